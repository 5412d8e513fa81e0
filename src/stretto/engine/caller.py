"""Making calls: a request becomes a call, and the call leaves its events."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator
from itertools import count

from msgspec import Struct

from stretto import prompts
from stretto.calls import Call, Chunk, Done, Model, Restarted, Sent, Text, Transcript, Urgency, fingerprint
from stretto.engine.deadline import Deadline
from stretto.engine.ledger import Ledger
from stretto.engine.telling import Telling
from stretto.errors import BatchError, CallError, DeadlineError, StrettoError
from stretto.policies.account import Account
from stretto.runs import CallRecord
from stretto.store.journal import Journal
from stretto.types import Request, Role, RoleName
from stretto.types.facts import facts_of

PLAN, ANSWER = "plan", "answer"
"""The parts of a subtask that a workflow does."""
_WORK = ("", "retry", ANSWER)
"""The parts of a subtask that say something of its result; the replies of an ensemble do, too."""


class Errand(Struct, frozen=True):
    """What a call is made for: its role, and whose subtask it does, with the value the plan gives that.

    `part`: what of the subtask it is, if not the work itself. `watched`: somebody reads its reply while it comes.
    """

    role: RoleName
    urgency: Urgency
    subtask: str | None = None
    value: float | None = None
    part: str = ""
    watched: bool = False


PIECE = 8_192
"""Characters that are read without a pause, whatever came at once: what is hard to read takes 3 µs each."""


class Caller:
    """Asks the models of one run; `model` gives the model of a role, policies included.

    `under_way`: what the calls in flight have said so far, by their ids. `said`: what was said for a subtask that is
    not over, by its full name.
    `numbers`: those of its calls, which callers of one run share.
    Where there is a `deadline`, or if all is `streamed`, workers are: what they have said when they are cut is kept.
    """

    def __init__(
        self,
        journal: Journal,
        model: Callable[[Role], Model],
        account: Account,
        deadline: Deadline,
        numbers: Iterator[int] | None = None,
        *,
        streamed: bool = False,
    ) -> None:
        self._journal = journal
        self._model = model
        self._account = account
        self._deadline = deadline
        self.under_way: dict[str, Transcript] = {}
        self.said: dict[str, list[Transcript]] = {}
        self._streamed = streamed or deadline.limited
        self._batches = {call.fingerprint: call.batch for call in journal.run.calls if _is_out(call)}
        self.numbers = numbers or count(1 + max((int(call.id[1:]) for call in journal.run.calls), default=0))

    async def collect(
        self, errand: Errand, role: Role, request: Request, transcript: Transcript, telling: Telling | None = None
    ) -> str:
        """Read a whole reply; its finish reason. `telling` is told its text as it comes."""
        finish = ""
        chunks = self.ask(errand, role, request, transcript)
        try:
            async for chunk in chunks:
                if isinstance(chunk, Done):
                    finish = chunk.finish
                elif telling and isinstance(chunk, Text):
                    for at in range(0, len(chunk.text), PIECE):
                        if at:
                            await asyncio.sleep(0)
                        telling.take(chunk.text[at : at + PIECE])
                elif telling and isinstance(chunk, Restarted):
                    telling.restart()
        finally:
            await chunks.aclose()
        return finish

    async def ask(
        self, errand: Errand, role: Role, request: Request, transcript: Transcript
    ) -> AsyncGenerator[Chunk, None]:
        """One call, with its events and its transcript.

        On the model's behalf it raises `CallError`, and `DeadlineError` if that says the deadline came (in a replay).
        """
        call = self._call(errand, role, request)
        ledger = Ledger(call, self._journal, transcript, self._account)
        watch = self._deadline.watch()
        self.under_way[call.id] = transcript
        if call.subtask and (call.part in _WORK or call.part.startswith("reply ")):
            self.said.setdefault(call.subtask, []).append(transcript)
        try:
            chunks = self._model(role).stream(call)
            try:
                async for chunk in chunks:
                    if ledger.note(chunk):  # its request leaves when its next chunk is asked for
                        batched = isinstance(chunk, Sent) and bool(chunk.batch)
                        await self._journal.departing(paid=self._account.limited or batched)
                    if watch:
                        watch.take(chunk)
                    yield chunk
            finally:
                await chunks.aclose()
        except CallError as error:
            kind = type(error).__name__
            ledger.finish(error=str(error), error_type=kind, facts=facts_of(error), request_id=error.request_id)
            error.call = call.id
            raise
        except DeadlineError:  # a replayed one
            ledger.stop(late=True)
            raise
        except StrettoError:  # the store's, not the call's
            raise
        except Exception as error:  # a model that breaks its promise costs one call too
            failure = CallError(f"{request.model}: unexpected {type(error).__name__}: {error}")
            ledger.finish(error=str(failure), error_type=type(failure).__name__)
            failure.call = call.id
            raise failure from error
        except (GeneratorExit, asyncio.CancelledError):
            ledger.stop(late=self._deadline.cuts(call.role))
            raise
        finally:
            del self.under_way[call.id]

    def _call(self, errand: Errand, role: Role, request: Request) -> Call:
        plans = errand.role == "orchestrator" or errand.part == PLAN
        whole = errand.role != "worker" or errand.part in {PLAN, ANSWER}
        known = fingerprint(request)
        return Call(
            id=f"c{next(self.numbers)}",
            run=self._journal.run_id,
            role=errand.role,
            subtask=errand.subtask,
            request=request,
            fingerprint=known,
            stream=role.stream or whole or self._streamed,
            urgency=errand.urgency,
            described=plans and prompts.describes_plan(prompts.whole("orchestrator", role.prompt)),
            value=errand.value,
            part=errand.part,
            plans=plans,
            batch=self._batches.get(known, ""),
            watched=errand.watched,
        )


def _is_out(call: CallRecord) -> bool:
    """Whether a call left with a batch, and its answer there may still be had."""
    ended = call.finished
    return bool(call.batch) and (
        ended is None or ended.finish == "stopped" or ended.error_type not in {None, BatchError.__name__}
    )
