"""A model behind a chat-completions endpoint: one POST a call, streamed or whole.

Source of the format: https://platform.openai.com/docs/api-reference/chat.
"""

import asyncio
import io
import random
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any, Protocol
from urllib.parse import urljoin

import aiohttp
import msgspec

from stretto import errors
from stretto.calls import Call, Chunk, Notice, Reasoning, Sent, Text
from stretto.events import RunDegraded
from stretto.models.allowance import allowance
from stretto.models.contexts import tells
from stretto.models.dialect import Dialect
from stretto.models.error_forms import error_inside, status_inside
from stretto.models.http import FAILURES, Http, Reader, failure, no_room
from stretto.models.loosely import claims, decoded, several, unpacked
from stretto.models.providers import PATH, Provider, address
from stretto.models.proxies import proxy_for
from stretto.models.refusals import of_images, refusal, request_id
from stretto.models.reply import LARGEST, Reply, joined
from stretto.models.secrets import Secrets
from stretto.models.sse import DONE, Events, is_json, is_streamed
from stretto.models.wire import read
from stretto.text import clean

SIMULATED = "x-stretto-simulated"
"""The header with which our simulator says that no language model answers."""

_SHOWN = 200  # letters of a body that is no reply
_ERROR_BODY = 65536  # bytes of an error's body that we read
_ERROR_PATIENCE = 10.0  # seconds we wait for it
_EPILOGUE = 3.0  # seconds from the finish reason for usage to follow: gateways count it themselves
_UNSURE = 5.0  # the same where it came beside text, or before any: some servers send one with every piece
_LAST = 0.25  # seconds from the last event to the end of the body; then the connection can serve again
_GATHER = 0.05  # seconds in which the tokens of a worker may gather: reading them one by one costs half as much again
_AT_ONCE = 2**20  # bytes of a request; aiohttp warns of more, and reads a file in pieces instead
_HELD_BACK = 0.1, 0.5  # seconds after which a call that found no file descriptor looks again
_MANY = 1000
_AT_A_TIME = 500  # events
_LEAST = 12  # bytes of an event that may say anything
_ADAPTABLE = frozenset({400, 404, 415, 422})


class Response(Protocol):
    """What a reply comes with, as far as it is read."""

    @property
    def status(self) -> int: ...  # noqa: D102 - HTTP's own words
    @property
    def headers(self) -> Mapping[str, str]: ...  # noqa: D102
    @property
    def charset(self) -> str | None: ...  # noqa: D102
    @property
    def content_type(self) -> str: ...  # noqa: D102


class Endpoints:
    """All endpoints of an event loop, behind one HTTP session; `timeout` bounds a whole call in seconds."""

    def __init__(self, timeout: float) -> None:
        self.timeout = timeout
        self.http = Http()
        self.telling: set[str] = set()  # base URLs whose replies have shown that they say how much their models take

    def model(
        self, label: str, name: str, provider: Provider, key: str | None, kind: "type[ChatModel] | None" = None
    ) -> "ChatModel":
        """The model `name` at `provider`; messages call it by its label. `kind`: how it is asked, if not live."""
        return (kind or ChatModel)(self, label, name, provider, key)

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
        self._telling = endpoints.telling
        self._timeout = endpoints.timeout
        self._url = address(provider.base_url, PATH)
        self._where = f"{label} at {self._url.partition('?')[0]}"  # a query may hold a key
        self._proxy = proxy_for(self._url)
        self._connect = aiohttp.ClientTimeout(total=None, connect=provider.connect)
        self._dialect = Dialect(provider.schema, stream_usage=provider.stream_usage)
        self._lowered: dict[str, Dialect] = {}  # by call, for what its model writes is refused by chance
        self._headers = {"Content-Type": "application/json", "User-Agent": "stretto", **provider.headers}
        if key and not any(name.lower() == "authorization" for name in provider.headers):
            self._headers["Authorization"] = f"Bearer {key}"
        self._secrets = Secrets(key, provider.headers, self._url)

    async def stream(self, call: Call) -> AsyncGenerator[Chunk, None]:
        """The reply, as the endpoint sends it."""
        while True:
            dialect, spoken = self._lowered.get(call.id, self._dialect), False
            try:
                async with aclosing(self._ask(call, dialect.body(self._name, call))) as chunks:
                    async for chunk in chunks:
                        spoken = spoken or isinstance(chunk, Text | Reasoning)
                        yield chunk
                break
            except (errors.RequestError, errors.UnfitReply) as error:
                if given_up := self._another_way(error, dialect, call, spoken=spoken):
                    yield Notice(RunDegraded(policy="dialect", code="dialect", reason=f"{self._label}: {given_up}"))
        self._lowered.pop(call.id, None)

    def _another_way(self, error: errors.CallError, dialect: Dialect, call: Call, *, spoken: bool) -> str:
        """Remember how to ask after a refusal, and say what is given up by that; raises the error if nothing helps."""
        if isinstance(error, errors.UnfitReply):
            if call.request.schema is not None and (lower := dialect.lower()):
                self._lower(call, lower)
            raise error  # what was written may be paid: whoever asks again waits, reckons and tells of it
        said = str(error).removeprefix(self._where)  # the model's name may contain any word
        adapted = dialect.adapted(said, call) if error.status in _ADAPTABLE and not spoken else None
        if adapted is None:
            images = call.request.head and call.request.head.images
            if images and isinstance(error, errors.RequestError) and (told := of_images(error)):
                raise told from error
            raise error
        if call.id in self._lowered:
            self._lower(call, adapted[0])
        if self._dialect != dialect:  # another call has learned it meanwhile
            return ""
        self._dialect, given_up = adapted
        return given_up

    def _lower(self, call: Call, dialect: Dialect) -> None:
        """Ask this call so from now on; no other, for what a model wrote once says little of what it writes next."""
        if len(self._lowered) >= _MANY:  # calls that nobody went on with
            self._lowered.clear()
        self._lowered[call.id] = dialect

    async def _ask(self, call: Call, body: dict[str, Any]) -> AsyncGenerator[Chunk, None]:
        if call.request.head and call.request.head.images and not self._provider.images:
            raise errors.RequestError(
                f"{self._label}: its provider takes no images (images = false), and there are some"
            )
        data = msgspec.json.encode(body)
        yield Sent()
        loop = asyncio.get_running_loop()
        until = loop.time() + self._timeout
        while True:
            # The headers of a plain reply come with its end, so only the whole call's time binds it.
            first = min(until, loop.time() + self._provider.first_byte) if body["stream"] else until
            if (response := await self._post(data, first, until)) is not None:
                break
            await asyncio.sleep(random.uniform(*_HELD_BACK))
        try:
            if not 200 <= response.status < 300:  # some gateways say 201
                raise await self._refused(response, until)
            if told := allowance(response.headers):
                yield told
            streamed = response.content_type == "text/event-stream"
            chunks = self._streamed(call, response, first, until) if streamed else self._whole(call, response, until)
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

    async def _post(self, data: bytes, first: float, until: float) -> aiohttp.ClientResponse | None:
        """What the endpoint answers; None if nothing could be sent before another connection is closed."""
        try:
            async with asyncio.timeout_at(first):
                response = await self._http.session.post(
                    self._url,
                    data=data if len(data) <= _AT_ONCE else io.BytesIO(data),
                    headers=self._headers,
                    allow_redirects=False,
                    proxy=self._proxy,
                    ssl=self._http.tls if self._url.startswith("https:") else True,
                    timeout=self._connect,
                )
        except FAILURES as error:
            if no_room(error) and asyncio.get_running_loop().time() < until:
                return None
            late = self._late(until, f"no reply within {self._provider.first_byte:g} s")
            # aiohttp's error for a response carries the request with its headers, and a chain may be printed whole.
            cause = None if isinstance(error, aiohttp.ClientResponseError | aiohttp.InvalidURL) else error
            raise self._failure(error, self._where, began=False, late=late) from cause
        if tells(response.headers):
            self._telling.add(self._provider.base_url)
        return response

    async def _refused(self, response: aiohttp.ClientResponse, until: float) -> errors.CallError:
        if 300 <= response.status < 400:
            location = response.headers.get("location", "")
            target = urljoin(self._url, location).partition("?")[0].removesuffix(PATH)
            if target == self._url.partition("?")[0].removesuffix(PATH):
                why = "redirects to itself" if location else "redirects, and does not say where to"
                why += "; check the base URL, and proxies in between"
            else:
                why = f"redirects elsewhere; if that is right, set the base URL to {target}"
            return errors.RequestError(self._told(f"{self._where}: {response.status}: {why}"), status=response.status)
        text = self._told(decoded(await _beginning(response, until), response.charset or ""), _ERROR_BODY)
        return refusal(response.status, response.headers, text, self._where, self._id(response))

    async def _whole(self, call: Call, response: aiohttp.ClientResponse, until: float) -> AsyncGenerator[Chunk, None]:
        """A reply that came in one piece."""
        data, reader = bytearray(), Reader(response.content)
        try:
            while len(data) <= LARGEST and (piece := await reader.some(until)):
                data += piece
        except FAILURES as error:
            if not is_json(data):  # else only the length was wrong that its headers told
                raise self._failure(error, self._label, began=True, late=self._late(until, "")) from None
        finally:
            reader.close()
        self._bound(len(data), response)
        body, reply = unpacked(bytes(data), LARGEST), self._reply(call, response)
        if is_streamed(body):
            events = Events()
            chunks, failed = self._said(events.feed(body) + events.end(), reply, response)
        else:
            chunks, failed = self._heard(body, reply, response, whole=True), None
        for chunk in chunks:
            yield chunk
        if failed:
            raise failed
        for chunk in reply.end(whole=not is_streamed(body)):
            yield chunk

    def _bound(self, held: int, response: aiohttp.ClientResponse) -> None:
        """Refuse to hold more than any reply can need."""
        if held > LARGEST:
            raise errors.ReplyError(
                f"{self._where}: sends more than {LARGEST >> 20} MB in one piece; that is no chat completion",
                status=response.status,
            )

    async def _streamed(
        self, call: Call, response: aiohttp.ClientResponse, first: float, until: float
    ) -> AsyncGenerator[Chunk, None]:
        """A reply that comes as server-sent events."""
        loop = asyncio.get_running_loop()
        reply, events = self._reply(call, response), Events()
        # A plan is dispatched and an answer shown as it comes; of a worker only the whole is wanted.
        reader = Reader(response.content, _GATHER if call.role == "worker" else 0.0)
        patience, limit, ending, data = self._provider.first_byte, first, until, b"\n"
        try:
            while data and not reply.full:
                data = await self._some(reader, limit, until, patience)
                heard = events.feed(data) if data else events.end()
                for at in range(0, len(heard) or 1, _AT_A_TIME):
                    if at:  # a gateway may send thousands at once, and others wait for the loop
                        await asyncio.sleep(0)
                    chunks, error = self._said(heard[at : at + _AT_A_TIME], reply, response)
                    for chunk in chunks:
                        yield chunk
                    if error:
                        raise error
                ending = _ending(reply, ending, until)
                self._bound(events.held, response)
                patience = self._provider.silence
                limit = min(ending, loop.time() + patience)
        except errors.TransientError:
            if not reply.finish or reply.early:
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
                    chunks += self._heard(event, reply, response)
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

    def _heard(self, data: bytes, reply: Reply, response: Response, *, whole: bool = False) -> list[Chunk]:
        """What a body or event says; raises the error it holds, or `ReplyError` if it is something else altogether."""
        try:
            body = read(data, response.charset or "")
        except (msgspec.MsgspecError, ValueError) as error:
            if not (inside := several(data)):
                raise self._unreadable(data, response) from error
            return [chunk for each in inside for chunk in self._heard(each, reply, response)]
        if not body.failed and (body.choices or body.usage or len(data) < _LEAST):  # the usual case
            return reply.take(body)
        if body.choices is None and (inside := several(data)):
            return [chunk for each in inside for chunk in self._heard(each, reply, response)]
        if error_told := error_inside(data):
            text = self._told(msgspec.json.encode({"error": error_told}).decode(), _ERROR_BODY)
            raise refusal(status_inside(error_told), response.headers, text, self._label, self._id(response))
        if whole and not body.choices:
            if claims(data):
                raise errors.EmptyReply(f"{self._label}: a reply without any choices", request_id=self._id(response))
            shown = self._told(_text(data), _SHOWN)
            raise errors.ReplyError(f"{self._where}: no chat completion: {shown}", status=response.status)
        return reply.take(body)

    def _unreadable(self, data: bytes, response: Response) -> errors.CallError:
        kind = response.content_type
        if not data.strip():
            return errors.CutError(f"{self._label}: an empty body instead of a reply")
        if kind in {"application/json", "text/event-stream"} and not data.lstrip().startswith(b"<"):
            shown = self._told(_text(data), _SHOWN)
            return errors.CutError(f"{self._label}: a reply that cannot be read: {shown}")
        return errors.ReplyError(
            f"{self._where}: answers with {self._told(kind, _SHOWN)}, not with a chat completion; check the base URL "
            "(it ends where /chat/completions begins), and proxies in between",
            status=response.status,
        )

    def _reply(self, call: Call, response: Response) -> Reply:
        simulated, json = response.headers.get(SIMULATED) == "true", call.request.schema is not None
        return Reply(self._label, self._id(response), told=self._told, simulated=simulated, json=json)

    def _id(self, response: Response) -> str | None:
        name = request_id(response.headers)
        return name and self._told(name)

    def _failure(self, error: Exception, where: str, *, began: bool, late: str) -> errors.CallError:
        """Our error for one of the network's, whose words may be those of whoever answers."""
        told = failure(error, where, began=began, late=late)
        return type(told)(self._told(str(told)))

    def _told(self, text: str, most: int | None = None) -> str:
        """What an endpoint said, or its first `most` letters, fit to be repeated."""
        return self._secrets.hidden(clean(text)) if most is None else self._secrets.beginning(clean(text), most)


def _ending(reply: Reply, ending: float, until: float) -> float:
    """When to wait no longer for what is left of a streamed reply."""
    now = asyncio.get_running_loop().time()
    if reply.over:
        return min(ending, now + _LAST)
    if reply.early:
        return until
    # Once the text is complete, usage and the end of the body should follow, but need not.
    return min(ending, now + (_UNSURE if reply.beside else _EPILOGUE)) if reply.finish else ending


def _text(data: bytes) -> str:
    """As much of a body as can matter for its beginning."""
    return data[:_ERROR_BODY].decode("utf-8", "replace")


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
