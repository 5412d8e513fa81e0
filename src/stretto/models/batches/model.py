"""A model whose calls go out with others as one batch, and come back hours later."""

import asyncio
from collections.abc import AsyncGenerator

import msgspec
from msgspec.structs import replace

from stretto import errors
from stretto.calls import Call, Chunk, Sent
from stretto.errors import CallError
from stretto.ground.ids import new_ulid
from stretto.models.answered import SIMULATED, Answered, Response
from stretto.models.batches.remote import ENDPOINT, Answer, Remote
from stretto.models.chat import ChatModel, Endpoints
from stretto.models.providers import LONGEST, QUIET, Provider

_MOST, _LARGEST = 50_000, 90 * 2**20  # lines and bytes of one batch
_SOON, _PATIENCE, _GROWTH = 1.0, 60.0, 1.5
"""Seconds until a batch is looked at first, seconds between two looks at the most, and how these grow."""
_FAILURES = 60  # looks in a row that may fail: an hour, about
_OURS = (errors.AuthError, errors.QuotaError, errors.TransientError, errors.RateLimited)
"""What says nothing of batches: a live call would end with the same, or the next one with something else."""


class Gathered:
    """The calls of one batch. `key` is what the logs of their runs, and the file at the provider, call it.

    `sent_before`: a log says that it was sent, perhaps by a process that is over. `id`: the provider's name for it,
    once it is known. `answers`: by the ids of lines, once it has ended; `why`: what became of those that are not among
    them. `failure`: what kept all of it from being sent, or looked at.
    """

    def __init__(self, key: str, *, sent_before: bool = False) -> None:
        self.key = key
        self.sent_before = sent_before
        self.lines: dict[str, bytes] = {}
        self.waiting = 0
        """How many calls wait for it."""
        self.id = ""
        self.answers: dict[str, Answer] | None = None
        self.why = ""
        self.failure: CallError | None = None
        self.carrying = asyncio.Lock()
        self.gone = asyncio.Event()
        """Whether every call in it is in the log of its run, so that it may be sent."""
        self._closed = sent_before
        self._begun = self._closes = 0.0
        self._size = 0
        self._unlogged: set[str] = set()
        if sent_before:
            self.gone.set()

    @property
    def is_open(self) -> bool:
        """Whether further calls may join."""
        return not self._closed

    def join(self, line: str, data: bytes) -> None:
        """One more call."""
        now = asyncio.get_running_loop().time()
        self.waiting += 1
        self._begun = self._begun if self.lines else now
        self._closes = min(now + QUIET, self._begun + LONGEST)
        self.lines[line] = data
        self._unlogged.add(line)
        self._size += len(data)
        self._closed = len(self.lines) >= _MOST or self._size >= _LARGEST

    async def closed(self) -> None:
        """Wait until nobody joins any more."""
        loop = asyncio.get_running_loop()
        while not self._closed:
            if (left := self._closes - loop.time()) > 0:
                await asyncio.sleep(left)
            else:
                self._closed = True

    def logged(self, line: str) -> None:
        """The log of its run knows that this call goes out with this batch."""
        self._unlogged.discard(line)
        if self._closed and not self._unlogged:
            self.gone.set()

    def leave(self, line: str) -> None:
        """Nobody waits for this call; if the batch was not sent yet, it goes without it."""
        self.waiting -= 1
        if not self.id:
            self.lines.pop(line, None)
        self.logged(line)


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
        asked = self._body(self._dialect, replace(call, stream=False))
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
        response = Response(answer.status, {SIMULATED: "true"} if answer.simulated else {})
        try:
            return Answered(self._source, self._provider, response, call, 0.0, 0.0).read(answer.body)
        except (errors.TransientError, errors.RateLimited, errors.RequestError) as error:
            # A live call may be asked in another way, and says the same otherwise.
            raise errors.BatchError(f"{self._label}: in the batch {batch.id}: {error}") from error
