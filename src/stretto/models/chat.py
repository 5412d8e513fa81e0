"""A model behind a chat-completions endpoint: one POST a call, streamed or whole.

Source of the format: https://platform.openai.com/docs/api-reference/chat.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import aiohttp
import msgspec

from stretto import errors
from stretto.calls import Call, Chunk, Done, Notice, Sent, Text
from stretto.events import RunDegraded
from stretto.models.dialect import Dialect
from stretto.models.http import Http, explained
from stretto.models.providers import Provider
from stretto.models.refusals import refusal, request_id
from stretto.models.thinking import ThinkFilter
from stretto.models.wire import Body, read
from stretto.types import Usage

_ERROR_BODY = 65536  # bytes of an error's body that we read
_EPILOGUE = 2.0  # seconds to wait for usage and the end of the body after the finish reason


class Endpoints:
    """All endpoints of an event loop, behind one HTTP session; `timeout` bounds a whole call in seconds."""

    def __init__(self, timeout: float) -> None:
        self.timeout = timeout
        self.http = Http()

    def model(self, label: str, name: str, provider: Provider, key: str | None) -> "ChatModel":
        """The model `name` at `provider`; messages call it by its label."""
        return ChatModel(self, label, name, provider, key)

    async def close(self) -> None:
        """Close every connection; the next call opens what it needs."""
        await self.http.close()


class ChatModel:
    """One model at one provider.

    What it refuses to be asked (a schema, `max_tokens`, a temperature) is asked in another way at once, and remembered.
    """

    def __init__(self, endpoints: Endpoints, label: str, name: str, provider: Provider, key: str | None) -> None:
        self._provider = provider
        self._name = name
        self._label = label
        self._key = key
        self._http = endpoints.http
        self._timeout = endpoints.timeout
        self._url = provider.base_url + "/chat/completions"
        self._dialect = Dialect(provider.schema, stream_usage=provider.stream_usage)
        self._headers = {"Content-Type": "application/json", "User-Agent": "stretto", **provider.headers}
        if key:
            self._headers.setdefault("Authorization", f"Bearer {key}")

    async def stream(self, call: Call) -> AsyncGenerator[Chunk, None]:
        """The reply, as the endpoint sends it."""
        while True:
            dialect = self._dialect
            try:
                async with aclosing(self._ask(call, dialect.body(self._name, call))) as chunks:
                    async for chunk in chunks:
                        yield chunk
                return  # noqa: TRY300 - the loop ends here in the usual case
            except errors.RequestError as error:
                adapted = dialect.adapted(str(error), call) if error.status in {400, 404, 415, 422, 501} else None
                if adapted is None:
                    raise
                if self._dialect == dialect:  # else another call has learned it meanwhile
                    self._dialect, given_up = adapted
                    if given_up:
                        yield Notice(RunDegraded(policy="dialect", reason=f"{self._label}: {given_up}"))

    async def _ask(self, call: Call, body: dict[str, Any]) -> AsyncGenerator[Chunk, None]:
        loop = asyncio.get_running_loop()
        until = loop.time() + self._timeout
        data = msgspec.json.encode(body)
        yield Sent()
        # The headers of a plain reply come with its end, so only the whole call's time binds it.
        first = min(until, loop.time() + self._provider.first_byte) if call.stream else until
        response = await self._post(data, first)
        try:
            if response.status != 200:
                raise await self._refused(response, until)
            chunks = self._streamed(response, until) if _is_stream(response) else self._whole(response, until)
            async with aclosing(chunks):
                async for chunk in chunks:
                    yield chunk
        finally:
            response.release()  # closes the connection unless the body was read to its end

    async def _post(self, data: bytes, until: float) -> aiohttp.ClientResponse:
        with explained(self._label, began=False):
            async with asyncio.timeout_at(until):
                return await self._http.session.post(
                    self._url,
                    data=data,
                    headers=self._headers,
                    allow_redirects=False,
                    ssl=self._http.tls if self._url.startswith("https:") else True,
                    timeout=aiohttp.ClientTimeout(total=None, sock_connect=self._provider.connect),
                )

    async def _refused(self, response: aiohttp.ClientResponse, until: float) -> errors.CallError:
        where = f"{self._label} at {self._url.partition('?')[0]}"
        if 300 <= response.status < 400:
            target = response.headers.get("location", "elsewhere").partition("?")[0]
            return errors.RequestError(
                f"{where}: redirects to {target}; set the base URL to that", status=response.status
            )
        with explained(self._label, began=False):
            async with asyncio.timeout_at(until):
                body = await response.content.read(_ERROR_BODY)
        if self._key:  # some providers repeat it
            body = body.replace(self._key.encode(), b"[key]")
        return refusal(response.status, response.headers, body, where)

    async def _whole(self, response: aiohttp.ClientResponse, until: float) -> AsyncGenerator[Chunk, None]:
        """A reply that came in one piece."""
        with explained(self._label, began=True):
            async with asyncio.timeout_at(until):
                data = await response.read()
        body = self._read(data, response)
        reply = _Reply(self._label, request_id(response.headers))
        for chunk in reply.take(body):
            yield chunk
        for chunk in reply.end():
            yield chunk

    async def _streamed(self, response: aiohttp.ClientResponse, until: float) -> AsyncGenerator[Chunk, None]:
        """A reply that comes as server-sent events."""
        loop = asyncio.get_running_loop()
        reply = _Reply(self._label, request_id(response.headers))
        patience, rest, open_ = self._provider.first_byte, b"", True
        try:
            while open_:
                data = await self._some(response, min(until, loop.time() + patience))
                open_ = bool(data)
                *lines, rest = (rest + (data or b"\n")).split(b"\n")
                for line in lines:
                    event = _data(line)
                    if event == b"[DONE]":
                        open_ = False
                    elif event:
                        for chunk in reply.take(self._read(event, response)):
                            yield chunk
                # Once the text is complete, usage and the end of the body should follow, but need not.
                patience = _EPILOGUE if reply.finish else self._provider.silence
        except errors.TransientError:
            if not reply.finish:
                raise
        for chunk in reply.end():
            yield chunk

    async def _some(self, response: aiohttp.ClientResponse, until: float) -> bytes:
        """What has arrived, or what comes next; empty at the end."""
        with explained(self._label, began=True):
            async with asyncio.timeout_at(until):
                return await response.content.readany()

    def _read(self, data: bytes, response: aiohttp.ClientResponse) -> Body:
        """The body in `data`, or the error it holds; raises `ReplyError` if it is something else altogether."""
        try:
            body = read(data)
        except (msgspec.MsgspecError, ValueError) as error:
            kind = response.content_type
            if kind in {"application/json", "text/event-stream"}:
                raise errors.CutError(f"{self._label}: a reply that cannot be read: {data[:200]!r}") from error
            raise errors.ReplyError(
                f"{self._label}: {self._url.partition('?')[0]} answers with {kind}, not with a chat completion; check "
                "the base URL (it ends where /chat/completions begins), and proxies in between",
                status=response.status,
            ) from error
        if body.error is not None:
            raise self._error_inside(body.error, response)
        return body

    def _error_inside(self, error: Any, response: aiohttp.ClientResponse) -> errors.CallError:
        """The error that came in a body although the status was 200."""
        code = str(error.get("code")) if isinstance(error, dict) else ""
        status = int(code) if code.isdigit() and 400 <= int(code) < 600 else 500
        text = msgspec.json.encode({"error": error})
        if self._key:
            text = text.replace(self._key.encode(), b"[key]")
        return refusal(status, response.headers, text, self._label)


class _Reply:
    """One reply while it is read: thoughts sorted out, finish reason and usage kept."""

    def __init__(self, label: str, request: str | None) -> None:
        self._label = label
        self._request = request
        self._think = ThinkFilter()
        self._usage: Usage | None = None
        self._model: str | None = None
        self._spoke = False
        self.finish: str | None = None

    def take(self, body: Body) -> list[Chunk]:
        """What a body says."""
        self.finish = body.finish or self.finish
        self._usage = body.tokens or self._usage
        self._model = body.model or self._model
        chunks: list[Chunk] = []
        for piece in body.pieces():
            chunks.extend(self._think.feed(piece.text) if isinstance(piece, Text) else [piece])
        self._spoke = self._spoke or any(isinstance(chunk, Text) for chunk in chunks)
        return chunks

    def end(self) -> list[Chunk]:
        """The last chunks; raises `CutError` if there was no finish reason, `EmptyReply` if there was no text."""
        if not self.finish:
            raise errors.CutError(f"{self._label}: the reply ended without a finish reason", request_id=self._request)
        chunks = self._think.end()
        self._spoke = self._spoke or any(isinstance(chunk, Text) and chunk.text.strip() for chunk in chunks)
        if self.finish == "stop" and not self._spoke:
            raise errors.EmptyReply(f"{self._label}: an empty reply", request_id=self._request)
        return [*chunks, Done(self.finish, self._usage, self._model, self._request)]


def _is_stream(response: aiohttp.ClientResponse) -> bool:
    return response.content_type == "text/event-stream"


def _data(line: bytes) -> bytes:
    """The data of a line of server-sent events; empty for comments, blank lines and other fields."""
    return line[5:].strip() if line.startswith(b"data:") else b""
