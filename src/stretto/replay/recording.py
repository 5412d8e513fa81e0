"""What a log tells of a run so that it can be replayed."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from stretto import events as e
from stretto.calls import KEPT, fingerprint
from stretto.engine.caller import PLAN
from stretto.engine.condensing import CONDENSE
from stretto.engine.requests import plan_request
from stretto.errors import BudgetError, DeadlineError, MissingRecord, StoreError, StrettoError, WorkError
from stretto.fold import Fold, fold
from stretto.head import head_of
from stretto.models.replay import RecordedCall
from stretto.models.replay.records import Slot
from stretto.plan.book import worker_for
from stretto.replay.endings import Endings, unplanned
from stretto.rerun import plans_within
from stretto.runs import Run
from stretto.store.parcel import Entry
from stretto.types import OUTCOMES, Basis, Definition, Reply, Request, Result, Role
from stretto.types.definitions import definition_of
from stretto.types.facts import Facts, error_of


class Recording(Struct, frozen=True):
    """A run and its records: how its calls ended in its last execution, and every reply and request of all of them.

    `degraded`: what its last execution gave up, each with its place in the log; `planned`: by the subtask whose plan it
    is ("": the run's), the place up to which that was because of it, if it was not read whole. `known`: fingerprints of
    the replies that the last execution began with; `finished`: where in the log each subtask was over; `facts`: of
    the error that the run ended with.
    """

    run: Run
    calls: list[RecordedCall]
    replies: dict[str, list[RecordedCall]]
    requests: dict[Slot, list[Request]]
    degraded: list[tuple[int, e.RunDegraded]]
    planned: dict[str, int]
    known: frozenset[str] = frozenset()
    finished: dict[str, int] = {}
    facts: Facts | None = None

    @property
    def definition(self) -> Definition:
        """The workflow the run was carried with at last."""
        try:
            return definition_of(self.run.workflow)
        except msgspec.ValidationError as error:
            raise StoreError(
                f"run {self.run.id}: its definition cannot be read ({error}); run its task again"
            ) from error

    @property
    def basis(self) -> Basis:
        """What a replay begins with: as the run did, or with the plans that the records do not hold whole."""
        run = self.run
        basis = replace(run.basis, plans=plans_within(run, self.replies))
        if basis.plan is not None or run.plan.state is None or unplanned(run) or self._plan_is_kept:
            return basis
        return replace(basis, plan=run.plan)

    @property
    def ordered(self) -> list[RecordedCall]:
        """The calls whose endings follow each other as they did: not those for plans that are given."""
        plans = self.basis.plans
        given = {call.subtask for call in self.run.calls if call.part == PLAN and call.fingerprint in plans}
        given |= set() if self.basis.plan is None else {""}
        return [call for call in self.calls if call.plans is None or call.plans not in given]

    @property
    def rounds(self) -> dict[str, int]:
        """In which round each subtask was planned, those of workflows within included."""
        own = {subtask.id: subtask.round for subtask in self.run.plan.subtasks}
        parts = self.run.parts.items()
        return own | {f"{within}/{subtask.id}": subtask.round for within, p in parts for subtask in p.plan.subtasks}

    @property
    def given(self) -> dict[str, Result]:
        """Results that are not computed.

        Those a rerun took over; of what waited for others at the deadline; and those of several calls, if one of these
        has no reply: what was made of that instead can be told, but not which calls were never begun.
        """
        run, waited = self.run, {subtask.id for subtask in self.run.plan.subtasks if subtask.needs}
        partly = self._partly
        return {
            id_: result
            for id_, result in run.results.items()
            if (run.basis.only and id_ not in run.basis.only)
            or (id_ in waited and result.code == "unasked")
            or id_ in partly
        } | self._stopped

    @property
    def _stopped(self) -> dict[str, Result]:
        """What there was of subtasks that somebody has stopped, by their full names."""
        found = {name: (name.rpartition("/")[0], name.rpartition("/")[2]) for name in self.run.stopped}
        results = {name: self.run.part(within).results.get(own) for name, (within, own) in found.items()}
        return {name: result for name, result in results.items() if result is not None}

    @property
    def _partly(self) -> set[str]:
        """The subtasks of several calls, one of which has no whole reply, or may never have been begun."""
        late = min((place for place, event in self.degraded if event.policy == "deadline"), default=None)
        lost = {_own(call.subtask) for call in self.calls if call.done is None}
        for call in self.run.calls:
            if call.finished and call.finished.finish not in KEPT and call.part != CONDENSE:
                lost.add(_own(call.subtask))
        workers = self.definition.workers
        roles = {s.id: workers.get(worker_for(s.type, workers) or "") for s in self.run.plan.subtasks}
        several = {id_ for id_, role in roles.items() if role and _takes_several(role)}
        # Whether a reply was to be asked for once more, when there was no time for that any more, is not recorded.
        ended = {id_ for id_, place in self.finished.items() if late is not None and place > late}
        by = {
            outcome: {id_ for id_, each in self.run.results.items() if each.outcome == outcome} for outcome in OUTCOMES
        }
        return {id_ for id_ in several if late is not None or id_ in lost} | (
            (by["done"] | by["failed"] - lost) & ended
        )

    @property
    def told_by(self) -> dict[str, int]:
        """Up to which place in the log a result that is not computed tells what the run gave up."""
        return {id_: place for id_, place in self.finished.items() if id_ in self.given}

    def ended(self, error: StrettoError) -> StrettoError:
        """What the run ended with, if a replay that takes over results ends with this."""
        run = self.run
        ends: dict[str, type[StrettoError]] = {each.__name__: each for each in (BudgetError, DeadlineError, WorkError)}
        named = ends.get(run.error_type or "")
        if run.status == "failed" and self.given and isinstance(error, tuple(ends.values())) and named:
            return error_of(named, run.error or "", self.facts)
        return error

    @property
    def _plan_is_kept(self) -> bool:
        """Whether the orchestrator's replies are all there, and make the same plan when they are read once more."""
        if self.run.withdrawn:  # of all that was planned the last counts
            return False
        asked = list(dict.fromkeys(call.fingerprint for call in self.run.calls if call.role == "orchestrator"))
        # Before the next one was asked, or a further round, perhaps.
        if any(event.code in {"half_planned", "no_round"} for _, event in self.degraded):
            return False
        if not all(each in self.replies for each in asked) or (self.run.executions > 1 and len(asked) > 1):
            return False
        if self.definition.orchestrator is None:
            return True
        sample = self.run.basis.samples.get("orchestrator", 0)
        head = head_of(self.run.basis.inputs)
        return fingerprint(plan_request(self.definition, self.run.task, sample, head)) in asked


def recording_of(entries: Iterable[Entry]) -> Recording:
    """Read a log with its records; raises `MissingRecord` if the run kept none."""
    told = list(entries)
    run = fold(entry.event for entry in told)
    if run.forgotten:
        raise MissingRecord(
            f'run {run.id} is finished and kept no texts (record = "usage"), so there is nothing to replay; run its '
            'task again with record = "all"'
        )
    if run.basis.client:
        raise MissingRecord(f"run {run.id} is no task but single calls that came through an endpoint; none is replayed")
    replies, requests = _replies(told), _requests(told)
    start = max((n for n, entry in enumerate(told) if isinstance(entry.event, e.RunResumed)), default=0)
    before, last = ([entry.event for entry in part] for part in (told[:start], told[start:]))
    ended_with = ((entry.event, entry.reply) for entry in told if isinstance(entry.event, e.CallFinished))
    endings = Endings(run, last, replies, {event.call: reply for event, reply in ended_with if reply})
    calls = list(endings.calls())
    ended = {call.fingerprint for call in calls}
    # A plan that was whole before is not asked for once more: how it was made then is all there is.
    planning = {
        each.fingerprint: each
        for each in reversed(before)
        if isinstance(each, e.CallFinished) and each.role == "orchestrator" and each.finish in KEPT
    }
    earlier = [endings.kept(each) for key, each in planning.items() if key not in ended]
    return Recording(
        run,
        [*(replace(call, place=None) for call in earlier if call), *calls],
        {key: [endings.reply(key, reply) for reply in kept] for key, kept in replies.items()},
        requests,
        list(_given_up(before, last)),
        dict(_planned(last)),
        frozenset(_replies(told[:start])),
        {event.subtask: event.seq or 0 for event in last if isinstance(event, e.SubtaskFinished)},
        next((event.facts for event in last if isinstance(event, e.RunFailed)), None),
    )


def _planned(last: Iterable[e.AnyEvent]) -> Iterator[tuple[str, int]]:
    """Up to where in the log what was given up was because of a plan, the last one counts."""
    for event in last:
        if isinstance(event, e.PlanFinished):
            yield event.within, (event.seq or 0) + 1
        elif isinstance(event, e.RunDegraded) and event.code == "no_round":
            yield "", (event.seq or 0) + 1


def _given_up(before: Iterable[e.AnyEvent], last: Iterable[e.AnyEvent]) -> Iterator[tuple[int, e.RunDegraded]]:
    """What the last execution gave up, and where; the fold knows what it took over from those before."""
    reader, told = Fold(), set[tuple[str, str]]()
    for event in before:
        reader.take(event)
    for event in last:
        reader.take(event)
        for each in reader.gave_up:
            if (each.policy, each.reason) not in told:
                told.add((each.policy, each.reason))
                yield (
                    event.seq or 0,
                    e.RunDegraded(policy=each.policy, code=each.code, reason=each.reason, instead=each.instead),
                )


def _takes_several(role: Role) -> bool:
    """Whether a subtask takes this worker more calls than one."""
    return role.workflow is not None or role.check is not None or max(1, len(role.models)) * role.samples > 1


def _own(subtask: str | None) -> str:
    """The subtask of the run's own plan that a call serves."""
    return (subtask or "").partition("/")[0]


def _replies(told: Iterable[Entry]) -> Mapping[str, list[Reply]]:
    replies: defaultdict[str, list[Reply]] = defaultdict(list)
    for entry in told:
        if (reply := entry.reply) and entry.fingerprint:
            replies[entry.fingerprint].append(reply)
    return dict(replies)


def _requests(told: Iterable[Entry]) -> dict[Slot, list[Request]]:
    requests: defaultdict[Slot, list[Request]] = defaultdict(list)
    for entry in told:
        event = entry.event
        if isinstance(event, e.CallStarted | e.CallFinished) and (request := entry.request):
            requests[event.role, event.subtask].append(request)
    return dict(requests)
