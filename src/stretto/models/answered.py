"""The answer to one POST of a chat completion: what its status, its body or its events say, or the error that it is.

Source of the format: https://platform.openai.com/docs/api-reference/chat.
"""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from typing import Any

import aiohttp
import msgspec
from msgspec import Struct

from stretto import errors
from stretto.calls import Call, Chunk
from stretto.ground.text import clean
from stretto.models.alike import Alike
from stretto.models.allowance import allowance
from stretto.models.error_forms import error_inside, of_redirect, status_inside
from stretto.models.http import FAILURES, Reader, failure
from stretto.models.loosely import claims, decoded, other_interface, several, unpacked
from stretto.models.providers import Provider
from stretto.models.refusals import refusal, request_id
from stretto.models.reply import LARGEST, Reply, joined
from stretto.models.secrets import Secrets
from stretto.models.sse import DONE, Events, is_json, is_streamed
from stretto.models.wire import read
from stretto.types import Allowance

SIMULATED = "x-stretto-simulated"
"""The header with which our simulator says that no language model answers."""

_SHOWN = 200  # letters of a body that is no reply
_ERROR_BODY = 65536  # bytes of an error's body that we read
_ERROR_PATIENCE = 10.0  # seconds we wait for it
_EPILOGUE = 3.0  # seconds from the finish reason for usage to follow: gateways count it themselves
_UNSURE = 5.0  # the same where it came beside text, or before any: some servers send one with every piece
_LAST = 0.25  # seconds from the last event to the end of the body; then the connection can serve again
_GATHER = 0.05  # seconds in which the tokens of a worker may gather: reading them one by one costs half as much again
_AT_A_TIME = 500  # events
_LEAST = 12  # bytes of an event that may say anything


class Source:
    """Where replies come from, for whoever tells of it: a model by its label, at an endpoint that answers `where`."""

    def __init__(self, label: str, url: str, secrets: Secrets, timeout: float) -> None:
        self.label = label
        self.url = url
        self.where = f"{label} at {url.partition('?')[0]}"  # a query may hold a key
        self._secrets = secrets
        self._timeout = timeout

    def told(self, text: str, most: int | None = None) -> str:
        """What an endpoint said, or its first `most` letters, fit to be repeated."""
        return self._secrets.hidden(clean(text)) if most is None else self._secrets.beginning(clean(text), most)

    def failure(self, error: Exception, where: str, *, began: bool, late: str) -> errors.CallError:
        """Our error for one of the network's, whose words may be those of whoever answers."""
        told = failure(error, where, began=began, late=late)
        return type(told)(self.told(str(told)))

    def late(self, until: float, otherwise: str) -> str:
        """What took too long: the whole call, or something in it."""
        whole = asyncio.get_running_loop().time() >= until - 0.01  # timers may be a hair early
        return f"not finished within {self._timeout:g} s" if whole else otherwise


class Response(Struct, frozen=True):
    """What is told of a response, as far as it is read like one that came by itself."""

    status: int
    headers: Mapping[str, str] = {}
    charset: str = ""
    content_type: str = "application/json"
    content: Any = None


class Answered:
    """One response, read as a reply; its first byte is waited for until `first`, its end until `until`."""

    def __init__(
        self,
        source: Source,
        provider: Provider,
        response: aiohttp.ClientResponse | Response,
        call: Call,
        first: float,
        until: float,
    ) -> None:
        self._source = source
        self._provider = provider
        self._response = response
        self._first = first
        self._until = until
        # A plan is dispatched and an answer shown as it comes; of an unwatched worker only the whole is wanted.
        self._gathers = call.role == "worker" and not (call.plans or call.watched)
        self._waits = self._gathers or call.plans
        self._charset = response.charset or ""  # aiohttp takes its header apart each time that it is asked
        simulated, json = response.headers.get(SIMULATED) == "true", call.request.schema is not None
        self._reply = Reply(source.label, self._id(), told=source.told, simulated=simulated, json=json)
        self._alike = Alike()
        self._other = ""  # whose form an event has that is none of ours

    async def begin(self) -> Allowance | None:
        """What its headers say of limits, if they do; raises the error that it is."""
        if not 200 <= self._response.status < 300:  # some gateways say 201
            raise await self._refused()
        return allowance(self._response.headers)

    def chunks(self) -> AsyncGenerator[Chunk, None]:
        """What it says, as it comes; raises the error that it ends with."""
        return self._streamed() if self._response.content_type == "text/event-stream" else self._whole()

    def read(self, data: bytes) -> list[Chunk]:
        """What it says whose body is here already; raises the error that it is."""
        if not 200 <= self._response.status < 300:
            text = self._source.told(decoded(data, self._charset), _ERROR_BODY)
            raise refusal(self._response.status, self._response.headers, text, self._source.where, self._id())
        return [*self._heard(unpacked(data, LARGEST), whole=True), *self._reply.end(whole=True)]

    async def _refused(self) -> errors.CallError:
        if 300 <= self._response.status < 400:
            why = of_redirect(self._source.url, self._response.headers.get("location", ""))
            return errors.RequestError(
                self._source.told(f"{self._source.where}: {self._response.status}: {why}"), status=self._response.status
            )
        text = self._source.told(decoded(await self._beginning(), self._charset), _ERROR_BODY)
        return refusal(self._response.status, self._response.headers, text, self._source.where, self._id())

    async def _whole(self) -> AsyncGenerator[Chunk, None]:
        """A reply that came in one piece."""
        data, reader = bytearray(), Reader(self._response.content)
        try:
            while len(data) <= LARGEST and (piece := await reader.some(self._until)):
                data += piece
        except FAILURES as error:
            if not is_json(data):  # else only the length was wrong that its headers told
                raise self._source.failure(
                    error, self._source.label, began=True, late=self._source.late(self._until, "")
                ) from None
        finally:
            reader.close()
        self._bound(len(data))
        body = unpacked(bytes(data), LARGEST)
        streamed = is_streamed(body)
        if streamed:
            events = Events()
            chunks, failed = self._said(events.feed(body) + events.end())
        else:
            chunks, failed = self._heard(body, whole=True), None
        for chunk in chunks:
            yield chunk
        if failed:
            raise failed
        for chunk in self._end(whole=not streamed):
            yield chunk

    def _bound(self, size: int) -> None:
        """Refuse more than any reply can need without saying something."""
        if size > LARGEST:
            raise errors.ReplyError(
                f"{self._source.where}: sends more than {LARGEST >> 20} MB that are no chat completion",
                status=self._response.status,
            )

    async def _streamed(self) -> AsyncGenerator[Chunk, None]:
        """A reply that comes as server-sent events."""
        loop = asyncio.get_running_loop()
        events = Events()
        reader = Reader(self._response.content, _GATHER if self._gathers else 0.0, waits=self._waits)
        patience, limit, ending, data = self._provider.first_byte, self._first, self._until, b"\n"
        idle = 0  # bytes since it last said something
        try:
            while data and not self._reply.full:
                data = await self._some(reader, limit, patience)
                heard = events.feed(data) if data else events.end()
                idle += len(data)
                for at in range(0, len(heard) or 1, _AT_A_TIME):
                    if at:  # a gateway may send thousands at once, and others wait for the loop
                        await asyncio.sleep(0)
                    chunks, error = self._said(heard[at : at + _AT_A_TIME])
                    idle = 0 if chunks else idle
                    for chunk in chunks:
                        yield chunk
                    if error:
                        raise error
                ending = self._ending(ending)
                self._bound(idle)
                patience = self._provider.silence
                limit = min(ending, loop.time() + patience)
        except errors.TransientError:
            if not self._reply.finish or self._reply.early:
                raise
        finally:
            reader.close()
        for chunk in self._end():
            yield chunk

    def _end(self, *, whole: bool = False) -> list[Chunk]:
        """The last chunks; raises what is wrong with the reply as a whole."""
        try:
            return self._reply.end(whole=whole)
        except errors.CutError as error:
            if not self._other or self._reply.begun:
                raise
            raise self._strange(self._other) from error

    def _strange(self, what: str) -> errors.ReplyError:
        return errors.ReplyError(f"{self._source.where}: no chat completion{what}", status=self._response.status)

    def _said(self, events: list[bytes]) -> tuple[list[Chunk], errors.CallError | None]:
        """What events that came together say, text in one piece; and the error that follows it, if one does."""
        chunks: list[Chunk] = []
        error = None
        at = 0
        try:
            while at < len(events):
                if self._reply.flows and (texts := self._alike.texts(events, at)):
                    chunks += self._reply.go_on(texts)
                    at += len(texts)
                    continue
                if events[at] == DONE:
                    self._reply.over = True
                else:
                    chunks += self._heard(events[at])
                at += 1
        except errors.CallError as failed:
            error = failed
        return joined(chunks) if len(chunks) > 1 else chunks, error

    async def _some(self, reader: Reader, limit: float, patience: float) -> bytes:
        try:
            return await reader.some(limit)
        except FAILURES as error:
            late = self._source.late(self._until, f"nothing came for {patience:g} s")
            raise self._source.failure(error, self._source.label, began=True, late=late) from None

    def _heard(self, data: bytes, *, whole: bool = False) -> list[Chunk]:
        """What a body or event says; raises the error it holds, or `ReplyError` if it is something else altogether."""
        try:
            body = read(data, self._charset)
        except (msgspec.MsgspecError, ValueError) as error:
            if not (inside := several(data)):
                raise self._unreadable(data) from error
            return [chunk for each in inside for chunk in self._heard(each)]
        if not body.failed and (body.choices or (body.usage and not whole) or len(data) < _LEAST):  # the usual case
            self._alike.learn(data, body)
            return self._reply.take(body)
        if body.choices is None and (inside := several(data)):
            return [chunk for each in inside for chunk in self._heard(each)]
        if error_told := error_inside(data):
            text = self._source.told(msgspec.json.encode({"error": error_told}).decode(), _ERROR_BODY)
            raise refusal(status_inside(error_told), self._response.headers, text, self._source.label, self._id())
        if whole and not body.choices:
            other = other_interface(data)
            if claims(data) and not other:
                raise errors.EmptyReply(f"{self._source.label}: a reply without any choices", request_id=self._id())
            raise self._strange(f"{f' but {other}' if other else ''}: {self._source.told(_text(data), _SHOWN)}")
        if not self._other and not body.choices and (other := other_interface(data)):
            self._other = f" but {other}: {self._source.told(_text(data), _SHOWN)}"
        return self._reply.take(body)

    def _unreadable(self, data: bytes) -> errors.CallError:
        kind = self._response.content_type
        if not data.strip():
            return errors.CutError(f"{self._source.label}: an empty body instead of a reply")
        if kind in {"application/json", "text/event-stream"} and not data.lstrip().startswith(b"<"):
            shown = self._source.told(_text(data), _SHOWN)
            return errors.CutError(f"{self._source.label}: a reply that cannot be read: {shown}")
        return errors.ReplyError(
            f"{self._source.where}: answers with {self._source.told(kind, _SHOWN)}, not with a chat completion; check "
            "the base URL (it ends where /chat/completions begins), and proxies in between",
            status=self._response.status,
        )

    def _id(self) -> str | None:
        name = request_id(self._response.headers)
        return name and self._source.told(name)

    def _ending(self, ending: float) -> float:
        """When to wait no longer for what is left of a streamed reply."""
        reply, now = self._reply, asyncio.get_running_loop().time()
        if reply.over:
            return min(ending, now + _LAST)
        if reply.early:
            return self._until
        # Once the text is complete, usage and the end of the body should follow, but need not.
        return min(ending, now + (_UNSURE if reply.beside else _EPILOGUE)) if reply.finish else ending

    async def _beginning(self) -> bytes:
        """The body of an error, or as much of it as comes before the patience ends or the connection breaks."""
        body = b""
        try:
            async with asyncio.timeout_at(min(self._until, asyncio.get_running_loop().time() + _ERROR_PATIENCE)):
                while len(body) < _ERROR_BODY and (data := await self._response.content.read(_ERROR_BODY)):
                    body += data
        except FAILURES:
            pass  # the status says enough
        return body


def _text(data: bytes) -> str:
    """As much of a body as can matter for its beginning."""
    return data[:_ERROR_BODY].decode("utf-8", "replace")
