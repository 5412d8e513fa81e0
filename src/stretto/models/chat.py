"""A model behind a chat-completions endpoint: one POST a call, streamed or whole.

Source of the format: https://platform.openai.com/docs/api-reference/chat.
"""

import asyncio
import io
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any
from urllib.parse import urljoin

import aiohttp
import msgspec

from stretto import errors
from stretto.calls import Call, Chunk, Notice, Reasoning, Sent, Text
from stretto.events import RunDegraded
from stretto.models.allowance import allowance
from stretto.models.dialect import Dialect
from stretto.models.http import FAILURES, Http, Reader, failure, proxy_for
from stretto.models.providers import PATH, Provider, address
from stretto.models.refusals import error_inside, of_images, refusal, request_id, status_inside
from stretto.models.reply import DONE, Events, Reply, is_streamed, joined
from stretto.models.secrets import Secrets
from stretto.models.wire import Body, read
from stretto.text import clean

SIMULATED = "x-stretto-simulated"
"""The header with which our simulator says that no language model answers."""

_ERROR_BODY = 65536  # bytes of an error's body that we read
_ERROR_PATIENCE = 10.0  # seconds we wait for it
_EPILOGUE = 3.0  # seconds from the finish reason for usage to follow: gateways count it themselves
_LAST = 0.25  # seconds from the last event to the end of the body; then the connection can serve again
_GATHER = 0.05  # seconds in which the tokens of a worker may gather: reading them one by one costs half as much again
_AT_ONCE = 2**20  # bytes of a request; aiohttp warns of more, and reads a file in pieces instead
_ADAPTABLE = frozenset({400, 404, 415, 422})


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
        self._http = endpoints.http
        self._timeout = endpoints.timeout
        self._url = address(provider.base_url, PATH)
        self._where = f"{label} at {self._url.partition('?')[0]}"  # a query may hold a key
        self._proxy = proxy_for(self._url)
        self._connect = aiohttp.ClientTimeout(total=None, connect=provider.connect)
        self._dialect = Dialect(provider.schema, stream_usage=provider.stream_usage)
        self._headers = {"Content-Type": "application/json", "User-Agent": "stretto", **provider.headers}
        if key and not any(name.lower() == "authorization" for name in provider.headers):
            self._headers["Authorization"] = f"Bearer {key}"
        self._secrets = Secrets(key, provider.headers, self._url)

    async def stream(self, call: Call) -> AsyncGenerator[Chunk, None]:
        """The reply, as the endpoint sends it."""
        while True:
            dialect, spoken = self._dialect, False
            try:
                async with aclosing(self._ask(call, dialect.body(self._name, call))) as chunks:
                    async for chunk in chunks:
                        spoken = spoken or isinstance(chunk, Text | Reasoning)
                        yield chunk
                return  # noqa: TRY300 - the loop ends here in the usual case
            except errors.RequestError as error:
                said = str(error).removeprefix(self._where)  # the model's name may contain any word
                adapted = dialect.adapted(said, call) if error.status in _ADAPTABLE and not spoken else None
                if adapted is None:
                    if call.request.head and call.request.head.images and (told := of_images(error)):
                        raise told from error
                    raise
                if self._dialect == dialect:  # else another call has learned it meanwhile
                    self._dialect, given_up = adapted
                    if given_up:
                        yield Notice(RunDegraded(policy="dialect", reason=f"{self._label}: {given_up}"))

    async def _ask(self, call: Call, body: dict[str, Any]) -> AsyncGenerator[Chunk, None]:
        if call.request.head and call.request.head.images and not self._provider.images:
            raise errors.RequestError(
                f"{self._label}: its provider takes no images (images = false), and there are some"
            )
        loop = asyncio.get_running_loop()
        until = loop.time() + self._timeout
        data = msgspec.json.encode(body)
        yield Sent()
        # The headers of a plain reply come with its end, so only the whole call's time binds it.
        first = min(until, loop.time() + self._provider.first_byte) if call.stream else until
        response = await self._post(data, first, until)
        try:
            if response.status != 200:
                raise await self._refused(response, until)
            if told := allowance(response.headers):
                yield told
            streamed = response.content_type == "text/event-stream"
            chunks = self._streamed(call, response, first, until) if streamed else self._whole(response, until)
            veil = self._secrets.veil()
            try:
                async with aclosing(chunks):
                    async for chunk in chunks:
                        for each in veil.take(chunk):
                            yield each
            except errors.CallError:
                for each in veil.rest():
                    yield each
                raise
        finally:
            response.release()  # closes the connection unless the body was read to its end

    async def _post(self, data: bytes, first: float, until: float) -> aiohttp.ClientResponse:
        try:
            async with asyncio.timeout_at(first):
                return await self._http.session.post(
                    self._url,
                    data=data if len(data) <= _AT_ONCE else io.BytesIO(data),
                    headers=self._headers,
                    allow_redirects=False,
                    proxy=self._proxy,
                    ssl=self._http.tls if self._url.startswith("https:") else True,
                    timeout=self._connect,
                )
        except FAILURES as error:
            late = self._late(until, f"no reply within {self._provider.first_byte:g} s")
            # aiohttp's error for a response carries the request with its headers, and a chain may be printed whole.
            cause = None if isinstance(error, aiohttp.ClientResponseError | aiohttp.InvalidURL) else error
            raise self._failure(error, self._where, began=False, late=late) from cause

    async def _refused(self, response: aiohttp.ClientResponse, until: float) -> errors.CallError:
        if 300 <= response.status < 400:
            target = urljoin(self._url, response.headers.get("location", "")).partition("?")[0].removesuffix(PATH)
            return errors.RequestError(
                self._told(f"{self._where}: redirects elsewhere; if that is right, set the base URL to {target}"),
                status=response.status,
            )
        text = self._told((await _beginning(response, until)).decode("utf-8", "replace"))
        return refusal(response.status, response.headers, text, self._where, self._id(response))

    async def _whole(self, response: aiohttp.ClientResponse, until: float) -> AsyncGenerator[Chunk, None]:
        """A reply that came in one piece."""
        try:
            async with asyncio.timeout_at(until):
                data = await response.read()
        except FAILURES as error:
            raise self._failure(error, self._label, began=True, late=self._late(until, "")) from None
        reply = self._reply(response)
        streamed = is_streamed(data)
        for event in Events().feed(data + b"\n") if streamed else [data]:
            for chunk in reply.take(self._read(event, response, whole=not streamed)) if event != DONE else ():
                yield chunk
        for chunk in reply.end():
            yield chunk

    async def _streamed(
        self, call: Call, response: aiohttp.ClientResponse, first: float, until: float
    ) -> AsyncGenerator[Chunk, None]:
        """A reply that comes as server-sent events."""
        loop = asyncio.get_running_loop()
        reply, events = self._reply(response), Events()
        # A plan is dispatched and an answer shown as it comes; of a worker only the whole is wanted.
        reader = Reader(response.content, _GATHER if call.role == "worker" else 0.0)
        patience, limit, ending, data = self._provider.first_byte, first, until, b"\n"
        try:
            while data:
                data = await self._some(reader, limit, until, patience)
                chunks, error = self._said(events.feed(data or b"\n"), reply, response)
                for chunk in chunks:
                    yield chunk
                if error:
                    raise error
                if reply.over:
                    ending = min(ending, loop.time() + _LAST)
                # Once the text is complete, usage and the end of the body should follow, but need not.
                if reply.finish:
                    ending = min(ending, loop.time() + _EPILOGUE)
                patience = self._provider.silence
                limit = min(ending, loop.time() + patience)
        except errors.TransientError:
            if not reply.finish:
                raise
        finally:
            reader.close()
        for chunk in reply.end():
            yield chunk

    def _said(
        self, events: list[bytes], reply: Reply, response: aiohttp.ClientResponse
    ) -> tuple[list[Chunk], errors.CallError | None]:
        """What events that came together say, text in one piece; and the error that follows it, if one does."""
        chunks: list[Chunk] = []
        error = None
        try:
            for event in events:
                if event == DONE:
                    reply.over = True
                else:
                    chunks += reply.take(self._read(event, response))
        except errors.CallError as failed:
            error = failed
        return joined(chunks) if len(chunks) > 1 else chunks, error

    async def _some(self, reader: Reader, limit: float, until: float, patience: float) -> bytes:
        try:
            return await reader.some(limit)
        except FAILURES as error:
            late = self._late(until, f"nothing came for {patience:g} s")
            raise self._failure(error, self._label, began=True, late=late) from None

    def _late(self, until: float, otherwise: str) -> str:
        """What took too long: the whole call, or something in it."""
        whole = asyncio.get_running_loop().time() >= until - 0.01  # timers may be a hair early
        return f"not finished within {self._timeout:g} s" if whole else otherwise

    def _read(self, data: bytes, response: aiohttp.ClientResponse, *, whole: bool = False) -> Body:
        """The body in `data`, or the error it holds; raises `ReplyError` if it is something else altogether."""
        try:
            body = read(data)
        except (msgspec.MsgspecError, ValueError) as error:
            raise self._unreadable(data, response) from error
        if not body.error and body.choices is not None:  # the usual case
            return body
        if inside := error_inside(data):
            text = self._told(msgspec.json.encode({"error": inside}).decode())
            raise refusal(status_inside(inside), response.headers, text, self._label, self._id(response))
        if whole:
            shown = self._told(data.decode("utf-8", "replace"))[:200]
            raise errors.ReplyError(f"{self._where}: no chat completion: {shown}", status=response.status)
        return body

    def _unreadable(self, data: bytes, response: aiohttp.ClientResponse) -> errors.CallError:
        kind = response.content_type
        if not data.strip():
            return errors.CutError(f"{self._label}: an empty body instead of a reply")
        if kind in {"application/json", "text/event-stream"} and not data.lstrip().startswith(b"<"):
            shown = self._told(data.decode("utf-8", "replace"))[:200]
            return errors.CutError(f"{self._label}: a reply that cannot be read: {shown}")
        return errors.ReplyError(
            self._told(f"{self._where}: answers with {kind}, not with a chat completion; check ")
            + "the base URL (it ends where /chat/completions begins), and proxies in between",
            status=response.status,
        )

    def _reply(self, response: aiohttp.ClientResponse) -> Reply:
        simulated = response.headers.get(SIMULATED) == "true"
        return Reply(self._label, self._id(response), told=self._told, simulated=simulated)

    def _id(self, response: aiohttp.ClientResponse) -> str | None:
        name = request_id(response.headers)
        return name and self._told(name)

    def _failure(self, error: Exception, where: str, *, began: bool, late: str) -> errors.CallError:
        """Our error for one of the network's, whose words may be those of whoever answers."""
        told = failure(error, where, began=began, late=late)
        return type(told)(self._told(str(told)))

    def _told(self, text: str) -> str:
        """What an endpoint said, fit to be repeated."""
        return self._secrets.hidden(clean(text))


async def _beginning(response: aiohttp.ClientResponse, until: float) -> bytes:
    """The body of an error, or as much of it as comes before the patience ends or the connection breaks."""
    body = b""
    try:
        async with asyncio.timeout_at(min(until, asyncio.get_running_loop().time() + _ERROR_PATIENCE)):
            while len(body) < _ERROR_BODY and (data := await response.content.read(_ERROR_BODY)):
                body += data
    except FAILURES:
        pass  # the status says enough
    return body
