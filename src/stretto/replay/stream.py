"""Carrying a replay, and showing its events as those of any run."""

import asyncio
from contextlib import AsyncExitStack

from stretto.engine import Execution
from stretto.errors import MissingRecord, StrettoError
from stretto.events import AnyEvent, PlanFinished, RunStarted, SubtaskFinished
from stretto.models.replay import Order, Records, Replay
from stretto.policies.account import Account
from stretto.pool import Pool
from stretto.replay.recording import Recording
from stretto.run.stream import RunStream
from stretto.run.team import Team
from stretto.runs import Parsed
from stretto.shapes import Shape
from stretto.store.journal import Journal
from stretto.types import Definition, Limits
from stretto.types.definitions import knowing, unlimited


class _Replayed(Execution):
    """An execution that ends as the recorded one did."""

    recording: Recording

    async def execute(self) -> None:
        """As far as the records go; raises what the run ended with."""
        try:
            await super().execute()
        except StrettoError as error:
            raise self.recording.ended(error) from error.__cause__


class ReplayStream(RunStream[Parsed]):
    """A recorded run once more: the same events under the same id; nothing is asked and nothing is stored.

    With a `definition` that workflow runs over the records, else the recorded one; `shape`: that of the answer, if a
    Python type stands behind its schema. `timed`: in the time that was recorded. After a call that is not recorded the
    iterator raises `MissingRecord`.
    """

    def __init__(
        self,
        recording: Recording,
        definition: Definition | None = None,
        *,
        timed: bool = False,
        shape: Shape | None = None,
    ) -> None:
        recorded = recording.definition
        definition = unlimited(knowing(definition or recorded, recorded.known))
        run, role = recording.run, definition.synthesizer
        schema = role.schema if role else None
        if shape is None or shape.schema != schema:
            shape = None if schema is None else Shape(schema)
        pool = lambda: Pool({}, definition.limits)  # noqa: E731 - its loop is the one the stream is entered in
        super().__init__(Team(definition, {}), run.id, None, pool=pool, shape=shape)
        self._definition = definition
        self._recording = recording
        self._timed = timed
        self._told_by = recording.told_by
        self._order = Order(recording.ordered, recording.degraded, recording.rounds)

    @property
    def differences(self) -> list[str]:
        """In what this replay came out differently from the run, if that came to an end: empty as it should be."""
        if self._journal is None:
            return []
        before, now = self._recording.run, self.run
        ended = {"finished", "failed"}
        if before.status not in ended or now.status not in ended or now.error_type == MissingRecord.__name__:
            return []
        told = [
            f"{what} of {name} is another one"
            for name, result in before.results.items()
            for what in ("outcome", "text", "error")
            if getattr(result, what) != getattr(now.results.get(name), what, None)
        ]
        told += ["the answer is another one"] if before.answer != now.answer else []
        told += ["the coverage is another one"] if before.coverage != now.coverage else []
        return told + (["it ended with another error"] if before.error != now.error else [])

    async def _open(self, stack: AsyncExitStack) -> None:
        recording, run = self._recording, self._recording.run
        self._journal = journal = Journal(self.run_id, store=None, show=self._take)
        await stack.enter_async_context(journal)
        journal.append(RunStarted(task=run.task, workflow=run.workflow, simulated=run.simulated, basis=recording.basis))
        began = asyncio.get_running_loop().time() if self._timed else None
        records = Records(run.id, recording.calls, recording.replies, recording.requests)
        model = Replay(records, self._order, began)
        account = Account(Limits())
        known, given, shape = recording.known, recording.given, self._shape
        execution = _Replayed(self._definition, journal, lambda _: model, account, known, given, shape)
        execution.recording = recording
        await self._execute(execution, journal)

    def _take(self, event: AnyEvent) -> None:
        self._order.heard(event)
        self._events.put_nowait(event)
        place = 0
        if isinstance(event, PlanFinished):
            place = self._recording.planned.get(event.within, 0)
        elif isinstance(event, SubtaskFinished):
            place = self._told_by.get(event.subtask, 0)
        if place and self._journal:
            for given_up in self._order.given_up(place):
                self._journal.append(given_up)
