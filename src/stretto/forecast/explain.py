"""Which calls a rerun would take from the records, which it would make and why: known before anything is sent.

It is the rerun itself, over the records and a model that is asked and never answers. What follows from an answer that
is not there is never come to: whoever waits for it is asked again.
"""

import asyncio
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import aclosing

from msgspec import Struct

from stretto import events as e
from stretto.calls import Call, Chunk, Done
from stretto.engine.requests import writer_of
from stretto.forecast.earlier import Earlier, Forecast
from stretto.forecast.walk import Walk
from stretto.plan.book import worker_for
from stretto.plan.given import fixed_plan
from stretto.policies.memo import Memo, Replies
from stretto.policies.prices import Prices
from stretto.rerun import given_results
from stretto.runs import Run
from stretto.store.sqlite import Record
from stretto.types import Basis, Definition, Result, Role, Subtask

_OTHER_PLAN = "it depends on the new plan"


async def explain(
    definition: Definition,
    basis: Basis,
    origin: Run,
    records: Mapping[str, Record],
    replies: Replies,
    prices: Prices,
) -> list[Forecast]:
    """A line for each call of a rerun of `origin`, in the order of its plan; to be awaited in virtual time.

    `records` are those of `origin`; `replies` is what answers the calls of the rerun.
    """
    recalled, given = _Recalled(replies), given_results(basis, origin)
    started = e.RunStarted(run=origin.id, at=e.now(), task=origin.task, workflow={}, simulated=False, basis=basis)
    walk = Walk(definition, [started], lambda _: recalled, replies, given, recalled.heard)
    await walk.carry()
    earlier = Earlier(definition, basis, origin, records, prices)
    lines = _Lines(definition, walk.run, recalled.asked, given, origin, earlier)
    fixed = basis.plan or fixed_plan(definition, basis.inputs)
    return list(lines.all(str(walk.error or ""), planned=fixed is None))


class _Asked(Struct):
    """A call of the rerun, the round of planning in which it was made, and whether the records answer it."""

    call: Call
    round: int
    answered: bool = False


class _Nobody:
    """A model that never answers."""

    async def stream(self, call: Call) -> AsyncGenerator[Chunk, None]:
        await asyncio.Event().wait()
        yield Done(f"{call.id} was answered")


class _Recalled:
    """A model that answers from what is recorded, and else never; `asked` is all that it was asked."""

    def __init__(self, replies: Replies) -> None:
        self.asked: list[_Asked] = []
        self._memo = Memo(_Nobody(), replies)
        self._round = 1

    def heard(self, event: e.AnyEvent) -> None:
        """An event of the walk."""
        if isinstance(event, e.PlanFinished) and not event.within:
            self._round = event.round + 1

    async def stream(self, call: Call) -> AsyncGenerator[Chunk, None]:
        """The recorded reply."""
        asked = _Asked(call, self._round)
        self.asked.append(asked)
        async with aclosing(self._memo.stream(call)) as chunks:
            async for chunk in chunks:
                asked.answered = asked.answered or isinstance(chunk, Done)
                yield chunk


class _Lines(Struct):
    """What a walk over the records of `origin` has come to, as lines: its `run`, and all calls that were `asked`."""

    definition: Definition
    run: Run
    asked: list[_Asked]
    given: Mapping[str, Result]
    origin: Run
    earlier: Earlier

    def all(self, error: str, *, planned: bool) -> Iterator[Forecast]:
        """All lines, in the order of the plan, which is `planned` or given; `error`: why there can be no answer."""
        before = self.origin.plan
        subtasks, plans = self.run.plan.subtasks, self._of("orchestrator")
        last = max([1, *(each.round for each in plans), *(subtask.round for subtask in subtasks)])
        if not planned and self.definition.orchestrator:
            yield Forecast("orchestrator", "", "kept", "the plan is given")
        for number in range(1, last + 1):
            if asked := [each for each in plans if each.round == number]:
                yield self._planning(asked, number)
            for subtask in subtasks:
                if subtask.round == number:
                    yield from self._subtask(self.definition, "", subtask)
        waits, rounds = self._waits(""), max([1, before.rounds, *(subtask.round for subtask in before.subtasks)])
        if planned and waits and last < min(self.definition.limits.rounds, rounds):
            yield self._after(waits, "orchestrator", f"round {last + 1}", self.definition.orchestrator)
        elif all(each.answered for each in plans):
            yield self._answer(waits, error)
            return
        if not before.subtasks and not subtasks:
            yield Forecast("subtasks", "", "unknown", "there is no plan yet", cost=None)
        yield from self._unplanned("")
        if self.definition.synthesizer:
            yield self.earlier.unknown("synthesizer", "", _OTHER_PLAN)

    def _unplanned(self, within: str) -> Iterator[Forecast]:
        """What is still to be planned may be what the earlier plan had there, or something quite different."""
        known, path = {each.id for each in self.run.part(within).plan.subtasks}, f"{within}/" if within else ""
        for subtask in self.origin.part(within).plan.subtasks:
            if subtask.id not in known:
                yield self.earlier.unknown(path + subtask.id, subtask.type, _OTHER_PLAN)

    def _planning(self, asked: list[_Asked], number: int) -> Forecast:
        """The line of the orchestrator in a round."""
        type_, last = f"round {number}" if number > 1 else "", asked[-1]
        if last.answered:
            return Forecast("orchestrator", type_, "reused")
        rest = "its plan was not taken in whole, so the rest of it is asked for" if len(asked) > 1 else ""
        return self.earlier.new("orchestrator", type_, last.call.request.model, rest or self.earlier.why(last.call))

    def _subtask(self, definition: Definition, path: str, subtask: Subtask) -> Iterator[Forecast]:
        """The line of a subtask and, if a workflow does it, those of what is planned within."""
        role = definition.workers.get(worker_for(subtask.type, definition.workers) or "", Role())
        line = self._line(role, path, subtask)
        yield line
        if role.workflow is None:
            return
        for own in self.run.part(path + subtask.id).plan.subtasks:
            yield from self._subtask(role.workflow, f"{path}{subtask.id}/", own)
        if line.fate == "new":
            yield from self._unplanned(path + subtask.id)

    def _line(self, role: Role, path: str, subtask: Subtask) -> Forecast:
        name, type_, done = path + subtask.id, subtask.type, self.run.part(path.rstrip("/"))
        if given := self.given.get(name):
            return Forecast(name, type_, "kept", "" if given.outcome == "done" else given.outcome)
        asked = self._of(name)
        if result := done.results.get(subtask.id):
            return Forecast(name, type_, "reused") if asked else _without_call(name, type_, result)
        if (new := self._new(name, type_, asked)) is not None:
            return new
        planned = {each.id for each in done.plan.subtasks} - set(done.results)
        waits = [path + need for need in subtask.needs if need in planned] or self._waits(name)
        return self._after(waits, name, type_, writer_of(role.workflow) if role.workflow else role)

    def _answer(self, waits: list[str], error: str) -> Forecast:
        asked = self._of("synthesizer")
        if (new := self._new("synthesizer", "", asked)) is not None:
            return new
        if asked:
            return Forecast("synthesizer", "", "reused", error)
        if error:
            return Forecast("synthesizer", "", "fails", error)
        if self.definition.synthesizer is None:
            return Forecast("synthesizer", "", "kept", "there is none: the results are the answer")
        return self._after(waits, "synthesizer", "", self.definition.synthesizer)

    def _new(self, name: str, type_: str, asked: list[_Asked]) -> Forecast | None:
        """The line of somebody of whom a call is not answered, for the first of those; None if all are."""
        unanswered = next((each.call for each in asked if not each.answered), None)
        if unanswered is None:
            return None
        answered = {each.call.part for each in asked if each.answered}
        return self.earlier.new(name, type_, unanswered.request.model, self.earlier.why(unanswered), answered)

    def _after(self, waits: list[str], name: str, type_: str, role: Role | None) -> Forecast:
        """The line of calls that wait for others."""
        told = f"{', '.join(waits[:3])}{f' and {len(waits) - 3} more' if len(waits) > 3 else ''}"
        why = f"{told} {'is' if len(waits) == 1 else 'are'} asked again"
        answered = {each.call.part for each in self._of(name) if each.answered}
        return self.earlier.new(name, type_, role.candidates[0] if role else "", why, answered)

    def _of(self, name: str) -> list[_Asked]:
        """The calls of a subtask, or of a role that does none."""
        return [each for each in self.asked if (each.call.subtask or each.call.role) == name]

    def _waits(self, within: str) -> list[str]:
        """Who keeps a plan from its answer: its subtasks that are not over, or else whoever is asked of them."""
        part, path = self.run.part(within), f"{within}/" if within else ""
        if open_ := [path + each.id for each in part.plan.subtasks if each.id not in part.results]:
            return open_
        asked = (each.call.subtask for each in self.asked if not each.answered)
        return list(dict.fromkeys(subtask for subtask in asked if subtask and subtask.startswith(path)))


def _without_call(name: str, type_: str, result: Result) -> Forecast:
    """The line of a subtask that is over though nobody was asked for it."""
    if result.outcome == "done":
        return Forecast(name, type_, "kept", "the results of its workflow are its result")
    return Forecast(name, type_, "fails", result.error or "")
