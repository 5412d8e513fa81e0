"""A model behind a chat-completions endpoint: one POST a call, streamed or whole.

Source of the format: https://platform.openai.com/docs/api-reference/chat.
"""

import asyncio
import random
from collections.abc import AsyncGenerator
from functools import cache
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import msgspec

from stretto import errors
from stretto.calls import Call, Chunk, Notice, Reasoning, Sent, Text
from stretto.events import RunDegraded
from stretto.ground.regex import regex
from stretto.models.answered import Answered, Source
from stretto.models.dialect import Dialect
from stretto.models.http import FAILURES, Http, no_room
from stretto.models.listing import tells
from stretto.models.providers import PATH, Provider, address, headers_of
from stretto.models.proxies import proxy_for
from stretto.models.refusals import of_images
from stretto.models.secrets import Secrets

_HELD_BACK = 0.1, 0.5  # seconds after which a call that found no file descriptor looks again
_MANY = 1000
_ADAPTABLE = frozenset({400, 404, 415, 422})
_TEXT_ALONE = ("api.openai.com", "openai.azure.com", "api.anthropic.com", "generativelanguage.googleapis.com")
_MARK = regex(
    r"<(?=\|[\w./:-]{1,40}\|?>|[\w./-]{1,40}\|>|\uff5c[^<>\n]{1,40}\uff5c>|/?(?:start_of_turn|end_of_turn)>)"
    r"|\[(?=/?(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS|TOOL_CONTENT)\])"
)


class Endpoints:
    """All endpoints of an event loop, behind one HTTP session; `timeout` bounds a whole call in seconds."""

    def __init__(self, timeout: float) -> None:
        self.timeout = timeout
        self.http = Http()
        self.proxy = cache(proxy_for)  # many models have one URL, and the whole environment is read for each
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
        self._obeys = may_obey(provider.base_url)
        self._timeout = endpoints.timeout
        self._url = address(provider.base_url, PATH)
        self._proxy = endpoints.proxy(self._url)
        self._connect = aiohttp.ClientTimeout(total=None, connect=provider.connect)
        self._dialect = Dialect(provider.schema, stream_usage=provider.stream_usage)
        self._lowered: dict[str, Dialect] = {}  # by call, for what its model writes is refused by chance
        self._headers = {"Content-Type": "application/json", **headers_of(provider, key)}
        self._secrets = Secrets(key, provider.headers, self._url)
        self._source = Source(label, self._url, self._secrets, endpoints.timeout)

    async def stream(self, call: Call) -> AsyncGenerator[Chunk, None]:
        """The reply, as the endpoint sends it."""
        while True:
            dialect, spoken = self._lowered.get(call.id, self._dialect), False
            try:
                data, streamed = self._written(dialect, call)
                yield Sent()
                chunks = self._heard(*await self._answered(call, data, streamed=streamed))
                try:
                    async for chunk in chunks:
                        spoken = spoken or isinstance(chunk, Text | Reasoning)
                        yield chunk
                finally:
                    await chunks.aclose()
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
        adapted = dialect.adapted(error.said, call) if error.status in _ADAPTABLE and not spoken else None
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

    def _written(self, dialect: Dialect, call: Call) -> tuple[bytes, bool]:
        """The body of a request, and whether it asks for a stream."""
        if call.request.head and call.request.head.images and not self._provider.images:
            raise errors.RequestError(
                f"{self._label}: its provider takes no images (images = false), and there are some"
            )
        body = self._body(dialect, call)
        return msgspec.json.encode(body), body["stream"]

    def _body(self, dialect: Dialect, call: Call) -> dict[str, Any]:
        """What is asked, in the dialect's words, without marks that the endpoint may obey."""
        body = dialect.body(self._name, call)
        if self._obeys:
            _unmark(body["messages"])
        return body

    async def _answered(self, call: Call, data: bytes, *, streamed: bool) -> tuple[Answered, aiohttp.ClientResponse]:
        """What the endpoint answers, and the response that whoever gets it must release."""
        loop = asyncio.get_running_loop()
        until = loop.time() + self._timeout
        while True:
            # The headers of a plain reply come with its end, so only the whole call's time binds it.
            first = min(until, loop.time() + self._provider.first_byte) if streamed else until
            if (response := await self._post(data, first, until)) is not None:
                return Answered(self._source, self._provider, response, call, first, until), response
            await asyncio.sleep(random.uniform(*_HELD_BACK))

    async def _heard(self, answered: Answered, response: aiohttp.ClientResponse) -> AsyncGenerator[Chunk, None]:
        """What an answer says, without secrets."""
        veil = self._secrets.veil()
        try:
            if told := await answered.begin():
                yield told
            chunks = answered.chunks()
            try:
                async for chunk in chunks:
                    for each in veil.take(chunk):
                        yield each
            finally:
                await chunks.aclose()
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
                response = await self._http.post(
                    self._url,
                    data,
                    headers=self._headers,
                    allow_redirects=False,
                    proxy=self._proxy,
                    ssl=self._http.tls(self._url),
                    timeout=self._connect,
                )
        except FAILURES as error:
            if no_room(error) and asyncio.get_running_loop().time() < until:
                return None
            late = self._source.late(until, f"no reply within {self._provider.first_byte:g} s")
            # aiohttp's error for a response carries the request with its headers, and a chain may be printed whole.
            cause = None if isinstance(error, aiohttp.ClientResponseError | aiohttp.InvalidURL) else error
            raise self._source.failure(error, self._source.where, began=False, late=late) from cause
        if tells(response.headers):
            self._telling.add(self._provider.base_url)
        return response


def _unmark(messages: list[dict[str, Any]]) -> None:
    """Leave no mark of a template in what these messages say."""
    for message in messages:
        if isinstance(message["content"], str):
            message["content"] = unmarked(message["content"])
        else:
            for part in message["content"]:
                if "text" in part:
                    part["text"] = unmarked(part["text"])


def may_obey(base_url: str) -> bool:
    """Whether an endpoint may take marks for its own: all but those of who wrote the models, to whom text is text."""
    return not (urlsplit(base_url).hostname or "").endswith(_TEXT_ALONE)


def unmarked(text: str) -> str:
    """The text with a space in each mark of a template, so that it is read as what is written there.

    A text that has them would speak as another: servers that run an open model (llama.cpp, Ollama, vLLM) take
    `<|im_start|>system` in a file, a page or a result for the token of that name, and what follows for the words of
    whoever set the model up. Sources: the chat templates of Qwen, Llama, Mistral, Gemma, DeepSeek, Phi and gpt-oss.
    """
    return _MARK.sub(r"\g<0> ", text) if _may_be_marked(text) else text


def _may_be_marked(text: str) -> bool:
    """Whether a closer look is needed: single letters are found in no time, and most texts lack one of them."""
    return (
        ("|" in text and ("<|" in text or "|>" in text))
        or "\uff5c" in text
        or (">" in text and "_of_turn>" in text)
        or ("]" in text and ("INST]" in text or "TOOL" in text or "_PROMPT]" in text))
    )
