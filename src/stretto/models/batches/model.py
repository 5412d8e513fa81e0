"""A model whose calls go out with others as one batch, and come back hours later."""

import asyncio
from collections.abc import AsyncGenerator

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from stretto import errors
from stretto.calls import Call, Chunk, Sent
from stretto.ground.ids import new_ulid
from stretto.models.answered import SIMULATED, Answered
from stretto.models.batches.gathered import Answer, Gathered
from stretto.models.batches.remote import ENDPOINT, Remote
from stretto.models.chat import ChatModel, Endpoints
from stretto.models.providers import Provider

_SOON, _PATIENCE, _GROWTH = 1.0, 60.0, 1.5
"""Seconds until a batch is looked at first, seconds between two looks at the most, and how these grow."""
_FAILURES = 60  # looks in a row that may fail: an hour, about
_OURS = (errors.AuthError, errors.QuotaError, errors.TransientError, errors.RateLimited)
"""What says nothing of batches: a live call would end with the same, or the next one with something else."""


class _Response(Struct, frozen=True):
    """What a line of results says of a response, as far as it is read like one that came by itself."""

    status: int
    headers: dict[str, str] = {}
    charset: str = ""
    content_type: str = "application/json"
    content: None = None


class BatchModel(ChatModel):
    """One model at one provider, asked by its Batch API.

    A call that has a `batch` was sent with it before: its answer is fetched from there. What is not answered there is a
    `BatchError`. The request is the one that would go out live.
    """

    def __init__(self, endpoints: Endpoints, label: str, name: str, provider: Provider, key: str | None) -> None:
        super().__init__(endpoints, label, name, provider, key)
        self._remote = Remote(endpoints.http, provider, self._headers, label, self._source.told)
        self._open: Gathered | None = None
        self._known: dict[str, Gathered] = {}  # by key, as long as somebody waits for them
        self._out: dict[str, str] = {}  # by line, the key of a batch that was sent and could not be looked at

    async def stream(self, call: Call) -> AsyncGenerator[Chunk, None]:
        """The reply, once its batch has ended."""
        line = f"{call.run}.{call.fingerprint}"
        batch = await self._joined(call, line)
        try:
            await batch.closed()
            yield Sent(batch=batch.key)  # the log knows of it before it leaves
            batch.logged(line)
            async with batch.carrying:  # whoever comes first carries it, and the next one if that is stopped
                await self._carry(batch)
            if batch.id and batch.failure is not None:
                self._out[line] = batch.key
        finally:
            batch.leave(line)
            if not batch.waiting and self._known.get(batch.key) is batch:
                del self._known[batch.key]
        for chunk in self._come_out(call, batch, line):
            yield chunk

    async def _joined(self, call: Call, line: str) -> Gathered:
        """The batch that a call goes with, or went with before."""
        if key := self._out.pop(line, "") or call.batch:
            found = self._known.get(key)
            if found is None or found.failure is not None:
                found = self._known[key] = Gathered(key, sent_before=True)
            async with found.carrying:
                found.id = found.id or await self._remote.find(key)
            if found.id:
                found.waiting += 1
                return found
        if self._open is None or not self._open.is_open:
            self._open = Gathered(new_ulid())
            self._known[self._open.key] = self._open
        asked = self._dialect.body(self._name, replace(call, stream=False))
        body = {name: value for name, value in asked.items() if name not in {"stream", "stream_options"}}
        data = msgspec.json.encode({"custom_id": line, "method": "POST", "url": ENDPOINT, "body": body})
        self._open.join(line, data)
        return self._open

    async def _carry(self, batch: Gathered) -> None:
        """Send a batch if that is to be done, and wait for its end; whatever keeps all of it from that is kept."""
        if batch.answers is not None or batch.failure is not None:
            return
        try:
            if not batch.id:
                await batch.gone.wait()
                batch.id = await self._submitted(batch)
            await self._fetch(batch)
        except errors.CallError as error:
            batch.failure = error

    async def _submitted(self, batch: Gathered) -> str:
        """Send a batch; its id. Where the answer to that is lost, it is looked for: it may be there, and paid."""
        try:
            return await self._remote.submit(batch.key, b"".join(each + b"\n" for each in batch.lines.values()))
        except errors.TransientError:
            if found := await self._remote.find(batch.key):
                return found
            raise

    async def _fetch(self, batch: Gathered) -> None:
        """Wait until a batch has ended, and fetch what came of it."""
        wait, failed = _SOON, 0
        while True:
            try:
                standing = await self._remote.look(batch.id)
                if standing.ended:
                    found: dict[str, Answer] = {}
                    for file in standing.files:
                        found |= await self._remote.answers(file)
                    batch.why, batch.answers = standing.why, found
                    return
                failed = 0
            except (errors.TransientError, errors.RateLimited, errors.ReplyError):  # it is at work all the same
                failed += 1
                if failed > _FAILURES:
                    raise
            await asyncio.sleep(wait)
            wait = min(wait * _GROWTH, _PATIENCE)

    def _come_out(self, call: Call, batch: Gathered, line: str) -> list[Chunk]:
        """What a batch says to one call; raises what it ended with."""
        if batch.failure is not None:
            kind = type(batch.failure) if isinstance(batch.failure, _OURS) else errors.BatchError
            raise kind(str(batch.failure), status=batch.failure.status)
        answer = (batch.answers or {}).get(line)
        if answer is None:
            why = batch.why or f"the batch {batch.id} has ended without it"
            raise errors.BatchError(f"{self._label}: {why}")
        response = _Response(answer.status, {SIMULATED: "true"} if answer.simulated else {})
        try:
            return Answered(self._source, self._provider, response, call, 0.0, 0.0).read(answer.body)
        except (errors.TransientError, errors.RateLimited, errors.RequestError) as error:
            # A live call may be asked in another way, and says the same otherwise.
            raise errors.BatchError(f"{self._label}: in the batch {batch.id}: {error}") from error
