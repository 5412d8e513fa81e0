"""A chat-completions endpoint on loopback that answers each request by script, down to single bytes and resets."""

import asyncio
import contextlib
import json
import socket
import struct
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from typing import Any, ParamSpec, Self

from stretto import Message, Provider
from stretto.calls import Call, Chunk, Done, Reasoning, Text, Transcript, Urgency, fingerprint
from stretto.models.chat import ChatModel, Endpoints
from stretto.types import Request

P = ParamSpec("P")
KEY = 'sk-"se/cret\\key+&1234567890'
PROMPT = (Message("user", "Name a tea."),)
SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}, "required": []}


class Exchange:
    """One request as the endpoint got it, and the way back."""

    def __init__(self, writer: asyncio.StreamWriter, line: str, headers: dict[str, str], body: bytes) -> None:
        self.writer = writer
        self.line = line
        self.headers = headers
        self.body = json.loads(body) if body else {}

    async def send(self, *pieces: bytes, pause: float = 0.0) -> None:
        for piece in pieces:
            self.writer.write(piece)
            await self.writer.drain()
            await asyncio.sleep(pause)

    def reset(self) -> None:
        """Break the connection the hard way."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    def close(self) -> None:
        self.writer.close()


Script = Callable[[Exchange], Awaitable[None]] | bytes


class Endpoint:
    """Answers the n-th request by the n-th script, and every later one by the last."""

    def __init__(self, *scripts: Script) -> None:
        self._scripts = scripts
        self.requests: list[Exchange] = []
        self.connections = self.open = self.in_flight = self.peak = 0
        self.left = asyncio.Event()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, backlog=1024)
        self.port = self._server.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/v1"
        return self

    async def __aexit__(self, kind: object, *_: object) -> None:
        self._server.close()
        async with asyncio.timeout(2):
            while self.open:
                await asyncio.sleep(0.001)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open += 1
        first = b""
        try:
            while (request := await self._next(first, reader, writer)) is not None:
                self.requests.append(request)
                script = self._scripts[min(len(self.requests), len(self._scripts)) - 1]
                self.in_flight += 1
                self.peak = max(self.peak, self.in_flight)
                try:
                    first = await self._answer(script, request, reader)
                finally:
                    self.in_flight -= 1
                if writer.is_closing():
                    break
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self.open -= 1
            self.left.set()
            writer.close()

    async def _next(self, first: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Exchange | None:
        try:
            head = (first + await reader.readuntil(b"\r\n\r\n")).decode()
        except asyncio.IncompleteReadError:
            return None
        line, *fields = head.strip().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (field.partition(":") for field in fields)}
        return Exchange(writer, line, headers, await reader.readexactly(int(headers.get("content-length", 0))))

    async def _answer(self, script: Script, request: Exchange, reader: asyncio.StreamReader) -> bytes:
        """Play the script until it ends or the client leaves; what the client sent meanwhile is its next request."""
        play = asyncio.ensure_future(request.send(script) if isinstance(script, bytes) else script(request))
        watch = asyncio.ensure_future(reader.read(1))
        try:
            await asyncio.wait({play, watch}, return_when=asyncio.FIRST_COMPLETED)
            if play.done():
                play.result()
            if not watch.done() and request.writer.is_closing():
                return b""
            return await watch
        finally:
            for task in (play, watch):
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError, ConnectionError):
                    await task


def http(body: bytes, status: str = "200 OK", kind: str = "application/json", headers: str = "") -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n{headers}\r\n"
    return head.encode("utf-8", "surrogateescape") + body


def error(status: str, message: Any, headers: str = "", **more: Any) -> bytes:
    return http(json.dumps({"error": {"message": message, **more}}).encode(), status, headers=headers)


def reply(text: str | None = "Assam", finish: str | None = "stop", **more: Any) -> dict[str, Any]:
    message = {"role": "assistant", "content": text}
    return {"model": "m-1", "choices": [{"index": 0, "message": message, "finish_reason": finish}], **more}


def plain(text: str | None = "Assam", finish: str | None = "stop", **more: Any) -> bytes:
    return http(json.dumps(reply(text, finish, **more)).encode())


def delta(finish: str | None = None, **fields: Any) -> dict[str, Any]:
    return {"model": "m-1", "choices": [{"index": 0, "delta": fields, "finish_reason": finish}]}


def sse(*events: Any, done: bool = True) -> bytes:
    lines = [b"data: " + (e if isinstance(e, bytes) else json.dumps(e).encode()) + b"\n\n" for e in events]
    return b"".join(lines) + (b"data: [DONE]\n\n" if done else b"")


STREAM = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\nx-request-id: r-7\r\n\r\n"
)
END = b"0\r\n\r\n"


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def pieces_of(data: bytes, size: int) -> Iterator[bytes]:
    return (data[at : at + size] for at in range(0, len(data), size))


def streamed(data: bytes, size: int = 10**9) -> Script:
    """The bytes of a stream, `size` bytes in a chunk of their own."""

    async def play(exchange: Exchange) -> None:
        await exchange.send(STREAM, *(chunk(piece) for piece in pieces_of(data, size)), END)

    return play


@contextlib.asynccontextmanager
async def asking(
    server: Endpoint, key: str | None = KEY, seconds: float = 10.0, label: str = "x:tea", **provider: Any
) -> AsyncGenerator[ChatModel, None]:
    """A model at this endpoint; its connections are closed at the end."""
    endpoints = Endpoints(seconds)
    try:
        yield endpoints.model(label, "tea", Provider(**{"base_url": server.url, **provider}), key)
    finally:
        await endpoints.close()


def call(
    *, stream: bool = True, schema: Any = None, described: bool = False, messages: Any = PROMPT, **options: Any
) -> Call:
    request = Request("x:tea", messages, options, schema)
    return Call("c1", "r1", "worker", "t1", request, fingerprint(request), stream, Urgency(0), described)


class Heard:
    """What a call amounted to."""

    def __init__(self, chunks: list[Chunk]) -> None:
        self.chunks = chunks
        transcript = Transcript()
        for c in chunks:
            transcript.take(c)
        self.text = transcript.text
        self.thoughts = "".join(c.text for c in chunks if isinstance(c, Reasoning))
        self.texts = [c.text for c in chunks if isinstance(c, Text)]
        dones = [c for c in chunks if isinstance(c, Done)]
        assert len(dones) == 1
        assert chunks[-1] is dones[0]
        self.done = dones[0]


async def ask(model: ChatModel, asked: Call | None = None) -> Heard:
    return Heard([c async for c in model.stream(asked or call())])


async def hear(script: Script, asked: Call | None = None, **provider: Any) -> Heard:
    """One call to an endpoint that answers so."""
    async with Endpoint(script) as server, asking(server, **provider) as model:
        return await ask(model, asked)
