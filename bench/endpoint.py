"""A chat-completions endpoint that costs next to nothing: a raw asyncio protocol and replies made beforehand.

`python -m bench.endpoint [--rpm N --bucket N --tpm N --tells headers]` prints its port. `GET /stats` says what it has
seen. Every request costs `TOKENS` tokens; `--tells`: what is said of the limits, as in the simulator.
"""

import argparse
import asyncio
import re
import time
from functools import lru_cache

import msgspec
from msgspec import Struct

from bench.job import ANSWER_TEXT, TOKEN, WORKER_TEXT, Job, parse, plan_events

Events = list[tuple[float, bytes]]

_MODEL = re.compile(rb'"model":\s*"([^"]*)"')
_DELAY = re.compile(rb"lasts ([0-9.]+) s")
_LENGTH = re.compile(rb"content-length:\s*(\d+)", re.IGNORECASE)
_STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
_ID = '"id":"chatcmpl-1","created":1,"model":"bench"'
TOKENS = 400
_USAGE = '"usage":{"prompt_tokens":100,"completion_tokens":300}'


class Stats(Struct):
    """What an endpoint has seen so far; `cpu` is what it has spent itself."""

    requests: int = 0
    rejected: int = 0
    in_flight: int = 0
    peak: int = 0
    cpu: float = 0.0


class Bucket:
    """So many requests (or tokens) a minute, and at most `size` requests at once; without a rate, any."""

    def __init__(self, per_minute: float | None, size: float, cost: float = 1, tells: str = "retry_after") -> None:
        self._limit = per_minute
        self._rate = per_minute / 60 if per_minute else None
        self._cost = cost
        self._size = self._level = size * cost
        self._at = time.monotonic()
        self._tells = tells

    def take(self) -> bool:
        """Take what one request costs, if it is there."""
        if self._rate is None:
            return True
        now = time.monotonic()
        self._level = min(self._size, self._level + (now - self._at) * self._rate)
        self._at = now
        if self._level < self._cost:
            return False
        self._level -= self._cost
        return True

    def headers(self, *, refused: bool = False) -> bytes:
        """What is told of it with an answer."""
        if self._rate is None or self._tells == "nothing":
            return b""
        lines = ["Retry-After: 1"] if refused else []
        if self._tells == "headers":
            what = "requests" if self._cost == 1 else "tokens"
            reset = (self._size - self._level) / self._rate
            lines += [
                f"x-ratelimit-limit-{what}: {self._limit:.0f}",
                f"x-ratelimit-remaining-{what}: {int(self._level)}",
                f"x-ratelimit-reset-{what}: {1000 * reset:.0f}ms",
            ]
            if refused:
                lines.append(f"retry-after-ms: {1000 * (self._cost - self._level) / self._rate:.0f}")
        return "".join(f"{line}\r\n" for line in lines).encode()


class Connection(asyncio.Protocol):
    """One client; it sends a request when it has the reply to the one before."""

    def __init__(self, stats: Stats, bucket: Bucket) -> None:
        self._stats = stats
        self._bucket = bucket
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
            request = bytes(self._buffer[:whole])
            del self._buffer[:whole]
            self._answer(request)

    def _answer(self, request: bytes) -> None:
        model = _MODEL.search(request)
        if model is None:
            self._stats.cpu = time.process_time()
            self._transport.write(_plain(msgspec.json.encode(self._stats)))
            return
        if not self._bucket.take():
            self._stats.rejected += 1
            headers = self._bucket.headers(refused=True)
            self._transport.write(_plain(b'{"error":{"message":"slow down"}}', b"429 Too Many", headers))
            return
        told = self._bucket.headers()
        self._stats.requests += 1
        self._stats.in_flight += 1
        self._stats.peak = max(self._stats.peak, self._stats.in_flight)
        role, job = parse(model[1].decode())
        if role == "work" and not job.tokens:
            self._reply_whole(request, told)
        else:
            # Streams that were asked for in one moment do not tick in one moment.
            phase = self._stats.requests * 0.618 % 1 / job.rate if role == "work" else 0.0
            self._stream(_events(role, job), 0, self._loop.time() + phase, told)

    def _reply_whole(self, request: bytes, told: bytes) -> None:
        delay = _DELAY.search(request)
        reply = _with(_WORKER, told)
        if delay and float(delay[1]):
            self._loop.call_later(float(delay[1]), self._write_last, reply)
        else:
            self._write_last(reply)

    def _stream(self, events: Events, at: int, since: float, told: bytes) -> None:
        """Write the events that are due, and come back for the next."""
        if self._transport.is_closing():
            self._stats.in_flight -= 1
            return
        start, due = at, self._loop.time() - since + 1e-4
        while at < len(events) and events[at][0] <= due:
            at += 1
        data = b"".join([_with(_STREAM, told) if start == 0 and at else b"", *(event for _, event in events[start:at])])
        if at == len(events):
            self._write_last(data)
        else:
            self._transport.write(data)
            self._loop.call_at(since + events[at][0], self._stream, events, at, since, told)

    def _write_last(self, data: bytes) -> None:
        self._stats.in_flight -= 1
        if not self._transport.is_closing():
            self._transport.write(data)


def _plain(body: bytes, status: bytes = b"200 OK", headers: bytes = b"") -> bytes:
    head = b"HTTP/1.1 %b\r\nContent-Type: application/json\r\n%bContent-Length: %d\r\n\r\n"
    return head % (status, headers, len(body)) + body


def _with(reply: bytes, headers: bytes) -> bytes:
    return reply.replace(b"\r\n", b"\r\n" + headers, 1) if headers else reply


def _whole(text: str) -> bytes:
    content = msgspec.json.encode(text).decode()
    choice = f'{{"index":0,"finish_reason":"stop","message":{{"role":"assistant","content":{content}}}}}'
    return _plain(f'{{{_ID},"object":"chat.completion","choices":[{choice}],{_USAGE}}}'.encode())


_WORKER = _whole(WORKER_TEXT)


@lru_cache
def _events(role: str, job: Job) -> Events:
    """A streamed reply: the bytes to send, each with its time."""
    pieces = list(plan_events(job)) if role == "plan" else list(_tokens(role, job))
    end = pieces[-1][0]
    events = [(at, _event(f'"choices":[{{"index":0,"delta":{{"content":{_json(text)}}}}}]')) for at, text in pieces]
    finish = _event('"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]')
    last = _chunk(b"data: [DONE]\n\n") + _chunk(b"")
    return [*events, (end, finish + _event(f'"choices":[],{_USAGE}') + last)]


def _tokens(role: str, job: Job) -> list[tuple[float, str]]:
    # No two lines are the same: a reply that repeats itself would be stopped.
    text = ANSWER_TEXT if role == "join" else "".join(f"Line {n} of what was found. " for n in range(job.tokens))
    count = len(text) // TOKEN if role == "join" else job.tokens
    step = job.join / max(1, count - 1) if role == "join" else 1 / job.rate
    return [(step * i, text[i * TOKEN : (i + 1) * TOKEN]) for i in range(count)]


def _json(text: str) -> str:
    return msgspec.json.encode(text).decode()


def _event(fields: str) -> bytes:
    return _chunk(f'data: {{{_ID},"object":"chat.completion.chunk",{fields}}}\n\n'.encode())


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


async def _serve(bucket: Bucket) -> None:
    stats = Stats()
    server = await asyncio.get_running_loop().create_server(
        lambda: Connection(stats, bucket), "127.0.0.1", 0, backlog=4096
    )
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def main() -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rpm", type=float)
    parser.add_argument("--tpm", type=float)
    parser.add_argument("--bucket", type=float, default=20)
    parser.add_argument("--tells", default="retry_after")
    given = parser.parse_args()
    cost = TOKENS if given.tpm else 1
    asyncio.run(_serve(Bucket(given.tpm or given.rpm, given.bucket, cost, given.tells)))


if __name__ == "__main__":
    main()
