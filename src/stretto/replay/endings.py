"""How the calls of a run ended, as its log tells it: with a reply, with an error, or because there was no time left."""

import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from msgspec.structs import replace

from stretto import events as e
from stretto.calls import KEPT, Done
from stretto.engine.caller import PLAN
from stretto.engine.condensing import CONDENSE
from stretto.errors import CallError, DeadlineError, error_named
from stretto.models.replay import ANY, RecordedCall
from stretto.proposal import dependents
from stretto.runs import Run
from stretto.types import Reply, RoleName

_LATE = "the deadline came"
_ANSWERS: frozenset[e.DegradedCode] = frozenset({"unmerged", "unmended"})
"""What is given up if there is no time for who writes the answer; one that it cuts has said something."""


class Endings:
    """The endings of the calls of the last execution of a run, whose events are `log`.

    `replies` are those of the whole run, by fingerprint, in the order of its log; `own`: by the call that got them.
    """

    def __init__(
        self, run: Run, log: Sequence[e.AnyEvent], replies: Mapping[str, Sequence[Reply]], own: Mapping[str, Reply]
    ) -> None:
        self._run = run
        self._log = log
        self._replies = replies
        self._own = own
        definition = run.workflow.get("definition", {})
        self._each = definition.get("memory", {}).get("reuse") == "off"  # then each of them answers one call
        self._taken = Counter[str]()
        self._began = _seconds(log[0].at)
        self._sent = {event.call: event for event in reversed(log) if isinstance(event, e.CallStarted)}
        self._over = {event.subtask: event for event in log if isinstance(event, e.SubtaskFinished)}
        self._fatal = {event.call for event in log if isinstance(event, e.RunFailed) and event.call}
        self._gone = set(_gone(run, log))
        self._planned = [event for event in log if isinstance(event, e.PlanFinished)]
        gave_up = (event for event in log if isinstance(event, e.RunDegraded) and event.policy == "deadline")
        self._short = {event.code for event in gave_up}  # what there was no time for
        self._ended_late = run.error_type == DeadlineError.__name__
        # Only at a deadline a call leaves nothing in the log: if the task was to be answered directly, there it was.
        written = any(isinstance(event, e.CallFinished) and event.role == "synthesizer" for event in log)
        silent = run.status == "failed" and not written
        self._unwritten = silent and definition.get("limits", {}).get("deadline") is not None

    def calls(self) -> Iterator[RecordedCall]:
        """Every call of the execution whose end is known."""
        late = set[str | None]()  # whose call was stopped at the deadline: subtasks, and (None) who writes the answer
        for event in self._log:
            if isinstance(event, e.CallFinished) and event.call not in self._gone and (call := self._ending(event)):
                if call.error is DeadlineError and call.role != "orchestrator":
                    late.add(call.subtask)
                yield call
        for over in self._over.values():
            if over.code == "unasked" or (over.outcome == "cut" and not over.code and over.subtask not in late):
                yield replace(self._unasked("worker", over.subtask, over.seq), text=over.text)
        if self._short:
            yield replace(self._unasked("worker", None, None), part=CONDENSE)
        if None not in late and (self._ended_late or self._unwritten or self._short & _ANSWERS):
            yield self._unasked("synthesizer", None, self._log[-1].seq)
        if self._ended_late and not self._run.plan.subtasks:
            yield self._unasked("orchestrator", None, None)

    def kept(self, event: e.CallFinished) -> RecordedCall | None:
        """A call that ended with a reply; None if that was not kept."""
        known = self._replies.get(event.fingerprint)
        if not known:
            return None
        reply = self._own.get(event.call) or known[min(self._taken[event.fingerprint], len(known) - 1)]
        self._taken[event.fingerprint] += self._each and event.call not in self._own
        return self._told(event, text=reply.text, reasoning=reply.reasoning, done=_done(reply, event))

    def reply(self, key: str, reply: Reply) -> RecordedCall:
        """A reply that answers whoever asks for it."""
        return RecordedCall(
            role="worker",
            subtask=None,
            fingerprint=key,
            text=reply.text,
            reasoning=reply.reasoning,
            done=_done(reply),
            left=False,
        )

    def _ending(self, event: e.CallFinished) -> RecordedCall | None:
        """None if a replay cannot know how this call ended, or need not."""
        if event.finish in KEPT:
            return self.kept(event)
        if event.finish == "stopped":
            return self._stopped(event)
        if event.role == "orchestrator":  # what it said is not recorded, and may have been a part of the plan
            ends = event.call in self._fatal or unplanned(self._run)
            return self._failed(event) if event.error and ends else None
        if event.finish is not None:
            return self._told(event, done=Done(event.finish, event.usage, event.answered_by, reused=True))
        return self._failed(event)

    def _stopped(self, event: e.CallFinished) -> RecordedCall | None:
        """A call that was given up, with what it had said if that is known; None if the deadline did not do that."""
        over, answer = self._over.get(event.subtask or ""), self._run.coverage.answer
        text, writes = None, event.role == "synthesizer"
        if over is not None and over.outcome == "cut":
            text = over.text
        elif writes and answer == "cut":
            text = self._run.answer
        # Logs of before calls had codes show it by what came of it.
        shown = text is not None or (writes and answer == "unmerged") or (self._ended_late and event.role != "worker")
        if event.code != "deadline" and not shown:
            return None
        return self._told(event, text=text or "", error=DeadlineError, why=self._lateness)

    def _failed(self, event: e.CallFinished) -> RecordedCall:
        error = _class(event.error_type) or CallError
        return self._told(event, error=error, why=event.error or "", facts=event.facts)

    def _told(self, event: e.CallFinished, **end: object) -> RecordedCall:
        sent = self._sent.get(event.call)
        here = event.seq is not None and event.seq >= (self._log[0].seq or 0)
        plans = plan_of(event)
        return RecordedCall(
            role=event.role,
            subtask=event.subtask,
            fingerprint=event.fingerprint,
            place=event.seq,
            left=sent is not None,
            sent=_seconds(sent.at) - self._began if sent else None,
            ended=_seconds(event.at) - self._began if here else None,
            plans=plans,
            round=self._round(plans, event.seq or 0) if plans is not None else 1,
            **end,  # type: ignore[arg-type]
        )

    def _round(self, within: str, place: int) -> int:
        """The round that a call for a plan belongs to: the next one that is over; of one that never is, it is late."""
        rounds = (event.round for event in self._planned if event.within == within and (event.seq or 0) > place)
        return next(rounds, sys.maxsize)

    def _unasked(self, role: RoleName, subtask: str | None, place: int | None) -> RecordedCall:
        return RecordedCall(
            role=role,
            subtask=subtask,
            fingerprint=ANY,
            place=place,
            error=DeadlineError,
            why=self._lateness,
            left=False,
            plans="" if role == "orchestrator" else None,
        )

    @property
    def _lateness(self) -> str:
        return self._run.error or _LATE if self._ended_late else _LATE


def _gone(run: Run, log: Sequence[e.AnyEvent]) -> Iterator[str]:
    """The calls for subtasks that were begun anew afterwards: a replay makes only those that came then."""
    asked: dict[str, list[str]] = {}
    for event in log:
        if isinstance(event, e.CallStarted | e.CallFinished) and event.subtask:
            asked.setdefault(event.subtask, []).append(event.call)
        elif isinstance(event, e.SubtaskReopened):
            within, slash, own = event.subtask.rpartition("/")
            for id_ in (own, *dependents(run.part(within).plan.subtasks, [own])):
                anew = f"{within}{slash}{id_}/"
                for subtask in [each for each in asked if f"{each}/".startswith(anew)]:
                    yield from asked.pop(subtask)


def _class(name: str | None) -> type[CallError] | None:
    """The error of a call that has this name."""
    named = error_named(name)
    return named if issubclass(named, CallError) else None


def unplanned(run: Run) -> bool:
    """Whether there was no plan at all, so that the task was answered directly, or could not be."""
    return run.plan.state == "incomplete" and not run.plan.subtasks


def plan_of(call: e.CallFinished) -> str | None:
    """The subtask whose plan a call is a part of ("": that of the run), if it is one."""
    if call.role == "orchestrator":
        return ""
    return call.subtask if call.part == PLAN else None


def _done(reply: Reply, event: e.CallFinished | None = None) -> Done:
    return Done(
        reply.finish,
        reply.usage,
        reply.model,
        event.request_id if event else None,
        reused=True,
        simulated=reply.simulated,
        asked=reply.asked,
    )


def _seconds(at: str) -> float:
    return datetime.fromisoformat(at).timestamp()
