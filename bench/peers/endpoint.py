"""The endpoint that all peers meet: OpenAI-compatible chat completions on a raw asyncio protocol, counting.

`python -m bench.peers.endpoint SCENE`, a `Scene` as JSON, prints its port. Models are named for their role. The task
says how many subtasks it wants, a subtask which part it is and how long it lasts. `GET /v1/stats`: what it has seen.
"""

import asyncio
import re
import sys
from collections import Counter
from typing import Any

import msgspec
from msgspec import Struct

from bench.endpoint import Bucket
from bench.peers import replies
from bench.peers.scene import Fault, RoleName, Scene, Seen

_LENGTH = re.compile(rb"content-length:\s*(\d+)", re.IGNORECASE)
_SUBTASKS = re.compile(rb"in (\d+) subtasks")
_PART = re.compile(rb"Part (\d+):")
_LASTS = re.compile(rb"lasts ([0-9.]+) s")


class Body(Struct):
    """What of a request decides the form of its reply."""

    model: RoleName
    stream: bool = False
    tools: list[dict[str, Any]] = []


class Ask(Struct, frozen=True):
    """One request: who is asked, for which part of the plan, in which form, and the bytes of its body."""

    role: RoleName
    part: int | None
    stream: bool
    tool: str | None
    raw: bytes

    @property
    def wanted(self) -> int:
        """How many subtasks the task wants."""
        found = _SUBTASKS.search(self.raw)
        return int(found[1]) if found else 0


class Endpoint:
    """What its connections have in common."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.seen = Seen()
        self.bucket = Bucket(scene.rpm, scene.bucket)
        self._asked: Counter[tuple[RoleName, int | None]] = Counter()
        self._done: Counter[int | None] = Counter()

    def fault(self, ask: Ask) -> Fault | None:
        """What goes wrong with this request, if anything does; counts it."""
        nth, fault = self._asked[ask.role, ask.part], self.scene.fault
        self._asked[ask.role, ask.part] += 1
        return fault if fault and fault.concerns(ask.role, ask.part) and nth < fault.times else None

    def completed(self, ask: Ask, text: str) -> None:
        """Count a reply that was sent to its end."""
        self.seen.completed += 1
        self.seen.tokens += replies.tokens(text, len(ask.raw))
        match ask.role:
            case "orchestrator":
                self.seen.plans += 1
            case "worker":
                self.seen.twice += self._done[ask.part] > 0
                self._done[ask.part] += 1
            case "synthesizer":
                self.seen.results = len(set(replies.FINDING.findall(ask.raw)))


class Connection(asyncio.Protocol):
    """One client; it sends a request when it has the reply to the one before."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._seen = endpoint.seen
        self._buffer = bytearray()
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way back."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer once a request is whole."""
        self._buffer += data
        end = self._buffer.find(b"\r\n\r\n") + 4
        if end < 4:
            return
        length = _LENGTH.search(self._buffer, 0, end)
        whole = end + (int(length[1]) if length else 0)
        if len(self._buffer) >= whole:
            body = bytes(self._buffer[end:whole])
            del self._buffer[:whole]
            if body:
                self._answer(_read(body))
            else:
                self._transport.write(replies.plain(msgspec.json.encode(self._seen)))

    def _answer(self, ask: Ask) -> None:
        seen, bucket = self._seen, self._endpoint.bucket
        seen.requests += 1
        if not bucket.take():
            seen.rejected += 1
            limited = bucket.headers(refused=True).decode()
            self._transport.write(replies.refused("429 Too Many Requests", "slow down", limited))
            return
        fault = self._endpoint.fault(ask)
        seen.failed += fault is not None
        if fault and fault.kind in ("429", "500"):
            self._transport.write(_refusal(fault))
            return
        seen.in_flight += 1
        seen.peak = max(seen.peak, seen.in_flight)
        text, finish, lasts = self._reply(ask, fault)
        if ask.stream:
            job = self._endpoint.scene.job
            pieces = replies.pieces(job, ask.wanted, text) if ask.role == "orchestrator" else [(lasts, text)]
            self._transport.write(replies.opening())
            self._say(ask, fault, pieces, 0, self._loop.time(), finish)
        else:
            self._later(lasts, self._say_whole, ask, fault, text, finish)

    def _reply(self, ask: Ask, fault: Fault | None) -> tuple[str, str, float]:
        """Text, finish reason, and the seconds it takes."""
        job = self._endpoint.scene.job
        if ask.role == "worker":
            lasts = _LASTS.search(ask.raw)
            return replies.finding(ask.part), "stop", float(lasts[1]) if lasts else 0.0
        if ask.role == "synthesizer":
            return replies.ANSWER, "stop", job.join
        return *replies.plan(job, ask.wanted, fault), job.span

    def _say_whole(self, ask: Ask, fault: Fault | None, text: str, finish: str) -> None:
        data = replies.whole(text, finish, len(ask.raw), ask.tool)
        if fault and fault.kind == "disconnect":
            self._break_off(data[: len(data) // 2])
        else:
            self._end(ask, text, data)

    def _say(
        self, ask: Ask, fault: Fault | None, pieces: list[tuple[float, str]], at: int, since: float, finish: str
    ) -> None:
        """Write the pieces that are due, and come back for the next."""
        if self._transport.is_closing():
            self._seen.in_flight -= 1
            return
        due = self._loop.time() - since + 1e-4
        while at < len(pieces) and pieces[at][0] <= due:
            self._transport.write(replies.event(pieces[at][1]))
            at += 1
        if fault and fault.kind == "disconnect" and at > len(pieces) // 2:
            self._break_off(b"")
        elif at == len(pieces):
            text = "".join(piece for _, piece in pieces)
            self._end(ask, text, replies.closing(text, finish, len(ask.raw)))
        else:
            self._loop.call_at(since + pieces[at][0], self._say, ask, fault, pieces, at, since, finish)

    def _later(self, seconds: float, *call: Any) -> None:
        if seconds:
            self._loop.call_later(seconds, *call)
        else:
            call[0](*call[1:])

    def _break_off(self, data: bytes) -> None:
        self._seen.in_flight -= 1
        self._transport.write(data)
        self._transport.close()

    def _end(self, ask: Ask, text: str, data: bytes) -> None:
        self._seen.in_flight -= 1
        if not self._transport.is_closing():
            self._transport.write(data)
            self._endpoint.completed(ask, text)


def _read(raw: bytes) -> Ask:
    body = msgspec.json.decode(raw, type=Body)
    part = _PART.search(raw) if body.model == "worker" else None
    tool = body.tools[0]["function"]["name"] if body.tools else None
    return Ask(body.model, int(part[1]) if part else None, body.stream, tool, raw)


def _refusal(fault: Fault) -> bytes:
    if fault.kind == "429":
        return replies.refused("429 Too Many Requests", "slow down", f"Retry-After: {fault.retry_after:g}\r\n")
    return replies.refused("500 Internal Server Error", "something broke")


async def _serve(scene: Scene) -> None:
    endpoint = Endpoint(scene)
    server = await asyncio.get_running_loop().create_server(lambda: Connection(endpoint), "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(msgspec.json.decode(sys.argv[1], type=Scene)))
