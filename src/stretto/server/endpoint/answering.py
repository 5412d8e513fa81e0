"""An answer as it is given, however it comes about: whole, or streamed, with an error if that is how it ends."""

import logging
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator
from contextlib import aclosing

from aiohttp import web

from stretto.calls import Chunk, Reasoning, Restarted, Text
from stretto.server.endpoint.completions import Ending
from stretto.server.endpoint.responses import Voice
from stretto.server.endpoint.sending import Sending
from stretto.server.endpoint.service import SERVICE
from stretto.server.endpoint.turnstile import Place
from stretto.server.refused import OURS, RefusedError

ANEW = "\n\n---\n\n"
"""Stands between what was said of an answer and the answer that is written in its place."""
RUN = "x-stretto-run"
_log = logging.getLogger("stretto.serve")


class Said:
    """Tells of an answer, as it is written, what the client does not have yet.

    An answer that begins anew and says the same is not said twice; one that says something else follows behind a line.
    """

    def __init__(self) -> None:
        self._now: list[str] = []
        self._had = ""  # what was said before it began anew
        self._behind = False  # whether all it says now was said before

    def take(self, text: str) -> str:
        """The answer goes on; what of it is to be sent."""
        self._now.append(text)
        return self._news("".join(self._now)) if self._behind else text

    def restart(self) -> None:
        """The answer begins anew."""
        if not self._behind:
            self._had = "".join(self._now)
            self._behind = bool(self._had)
        self._now.clear()

    def end(self, answer: str) -> str:
        """The answer is this; what of it is still to be sent."""
        self.restart()
        self._now.append(answer)
        if not self._had or answer.startswith(self._had):
            return answer[len(self._had) :]
        return ANEW + answer

    def _news(self, now: str) -> str:
        if self._had.startswith(now):
            return ""
        self._behind = False
        return now[len(self._had) :] if now.startswith(self._had) else ANEW + now


class Answering(ABC):
    """Gives what comes of a run in one place, as one voice says it; `run`: which run it is."""

    def __init__(self, place: Place, voice: Voice, run: str) -> None:
        self._place = place
        self._voice = voice
        self._said = Said()
        self._headers = {RUN: run}

    @abstractmethod
    def _chunks(self, *, stream: bool) -> AsyncGenerator[Chunk, None]:
        """What is said, as it comes; raises `RefusedError` if there is no answer."""

    @abstractmethod
    def _outcome(self) -> tuple[str, str, Ending]:
        """The answer, the thoughts before it, and how it ended, once nothing more comes."""

    async def give(self, request: web.Request, *, stream: bool) -> web.StreamResponse:
        """The answer as one response, which raises `RefusedError` if there is none, or as server-sent events."""
        if stream:
            return await self._streamed(request)
        await self._place.turn()
        async with aclosing(self._chunks(stream=False)) as chunks:
            async for _ in chunks:
                pass
        body = self._voice.whole(*self._outcome())
        return web.Response(body=body, content_type="application/json", headers=self._headers)

    async def _streamed(self, request: web.Request) -> web.StreamResponse:
        """An error before it has begun is raised: then it has a status of its own; later it is the last event."""
        silence = request.app[SERVICE].offer.silence
        async with Sending(request, self._voice.opening(), self._headers, silence) as sending:
            try:
                last = await self._tell(sending)
            except RefusedError as error:
                if not await sending.rest():
                    raise
                last = self._voice.failed(error.refusal)
            except ConnectionError:
                raise
            except Exception:
                if not await sending.rest():
                    raise
                _log.exception("a streamed answer")
                last = self._voice.failed(OURS)
            return await sending.end(last)

    async def _tell(self, sending: Sending) -> bytes:
        """Send all that is told of the answer, and before it to whoever has to wait for how many; what comes last."""
        if self._place.ahead:
            await sending.send(self._voice.thought(f"waiting: {self._place.ahead} before this\n"))
        await self._place.turn()
        async with aclosing(self._chunks(stream=True)) as chunks:
            async for chunk in chunks:
                if told := self._told(chunk):
                    await sending.send(told)
        answer, _, ending = self._outcome()
        rest = self._said.end(answer)
        return (self._voice.text(rest) if rest else b"") + self._voice.closing(ending)

    def _told(self, chunk: Chunk) -> bytes:
        match chunk:
            case Text():
                text = self._said.take(chunk.text)
                return self._voice.text(text) if text else b""
            case Reasoning():
                return self._voice.thought(chunk.text)
            case Restarted():
                self._said.restart()
        return b""
