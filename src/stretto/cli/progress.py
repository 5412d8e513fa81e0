"""What a run is doing, as plain lines on stderr."""

import contextlib
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager

from stretto import events as e
from stretto.cli.screen import say, size_of
from stretto.cli.totals import LISTED, gaps, shortcomings, sizes, totals
from stretto.cli.waiting import Waiting
from stretto.cli.words import Folding, hung, not_listed, short
from stretto.ground.text import many, seemly
from stretto.inputs import Gathered
from stretto.runs import Run
from stretto.types import Each, Outcome, Plan
from stretto.views.twins import Twins

_EACH = 20
"""Subtasks that have lines of their own; of more there is only a count, every few seconds."""

_GAP = 2.0  # seconds between two counts, or two remarks of one kind


class Progress:
    """Prints what a person who waits would want to know, a line at a time; nothing at all if `quiet`.

    After so many seconds of `silence` a line says what is waited for.
    """

    def __init__(self, *, quiet: bool, silence: float = 5.0) -> None:
        self._quiet = quiet
        self._waiting = Waiting(silence)
        self._began = time.monotonic()
        self._types: dict[str, str] = {}
        self._started: dict[str, float] = {}
        self._replies: dict[str, e.CallFinished] = {}
        self._twins = Twins()
        self._twin_of: dict[str, str] = {}
        self._outcomes: dict[Outcome, int] = {}
        self._spoken: dict[str, list[float]] = {}
        self._unspoken: dict[str, int] = {}
        self._since = ""
        self._folding = Folding()
        self._unplanned = ""  # why there is no plan

    def shown(self) -> AbstractContextManager[None]:
        """As long as this is open a run is carried; where nothing happens for a while, what is waited for is said."""
        return self._waiting.told(lambda text: self.tell("waiting", text))

    def suspended(self) -> AbstractContextManager[None]:
        """As long as this is open, somebody is asked at the terminal."""
        return contextlib.nullcontext()

    def listen(self, heard: Callable[[str], int]) -> None:
        """`heard` tells how many characters a call in flight has been answered with so far."""
        self._waiting.heard = heard

    def close(self) -> None:
        """Nothing more will be shown, and the terminal is as it was."""

    def rendered(self, text: str) -> str:
        """The answer goes on; what of it is to be written to a terminal now."""
        return self._folding.take(seemly(text), size_of(sys.stdout)[0])

    def above(self, lines: str) -> str:
        """Lines of output; what of them is to be written to a terminal now."""
        return seemly(lines)

    def rest(self) -> str:
        """What is still to be written of an answer that goes no further."""
        return self._folding.end(size_of(sys.stdout)[0])

    def show(self, event: e.AnyEvent) -> None:  # noqa: C901, PLR0912 - one arm for each kind of event, by design
        """Say what an event has to tell, in lines."""
        self._waiting.take(event, self._name)
        match event:
            case e.RunStarted():
                self._began_with(event)
            case e.RunResumed():
                self._since = event.at
            case e.SubtaskPlanned():
                self._planned(event)
            case e.PlanFinished():
                self._plan(event)
            case e.PlanWithdrawn():
                self._types.clear()
                self.tell("withdrawn", f"{event.reason}{f': {short(event.remark, 300)}' if event.remark else ''}")
            case e.SubtaskReopened():
                self._started.pop(event.subtask, None)
                self.tell("again", f"{event.subtask}{f': {short(event.remark, 300)}' if event.remark else ''}")
            case e.CallStarted() if event.subtask:  # waiting for its turn is no effort
                self._started.setdefault(event.subtask, time.monotonic())
            case e.SubtaskFinished():
                self._finished(event)
            case e.CallRetried():
                self._retried(event)
            case e.CallFinished() if "check" not in event.part:  # that is about a result, and none itself
                self._replies[event.subtask or event.role] = event
                self._twin_of[event.subtask or event.role] = self._twins.of(event)
            case e.RunDegraded() if event.code != "direct":  # that is told before, and in the summary
                self.tell("degraded", f"{event.policy}: {short(event.reason, 300)}")
            case e.AnswerDelta() if event.restart:
                self.tell("answer", "begins anew")
            case e.CallStarted() if event.role == "synthesizer":
                why = f"by one call, as if nobody had planned: {short(self._unplanned, 300)}"
                self.tell("answer", why if self._unplanned else "is being written")

    def model(self, why: str) -> None:
        """The model that is taken because none is named, and why."""
        self.tell("model", why)

    def input(self, found: Gathered) -> None:
        """What was read of one source that the task comes with, and what of it was left out."""
        for remark in found.remarks[:LISTED]:
            self.tell("input", short(remark, 300))
        if (more := len(found.remarks) - LISTED) > 0:
            self.tell("input", f"and {more} more of {short(found.source)} left out")
        if found.inputs:
            self.tell("input", f"{short(found.source)}  {sizes(found.inputs)}")

    def resumed(self, run: Run) -> None:
        """A run goes on: what it has already."""
        self._types = {subtask.id: subtask.type for subtask in run.plan.subtasks}
        done = sum(result.outcome == "done" for result in run.results.values())
        self.tell("resume", f"{run.id}, with {done} of {len(self._types)} planned subtasks done before")
        if run.simulated:
            self._simulated()

    def summary(self, run: Run) -> None:
        """The last lines: what is missing, and what it took; if `quiet`, only that something is missing or doubtful."""
        if self._quiet and not run.coverage.complete:
            say(f"answered, but {gaps(run)}")
        for word, text in shortcomings(run, self._unplanned):
            self.tell(word, text)
        self._total(run)

    def _total(self, run: Run) -> None:
        """The last line: how long it took, subtasks, calls, tokens, money."""
        self.tell("finished", ", ".join(totals(run, self._since)) + (" (simulated)" if run.simulated else ""))

    def _began_with(self, event: e.RunStarted) -> None:
        self._since = event.at
        self.tell("run", event.run)
        if event.basis.origin:
            self.tell("rerun", f"of {event.basis.origin}: what it recorded for the same request is reused")
        if event.basis.inputs:
            self.tell("inputs", f"in all {sizes(event.basis.inputs)}")
        if event.basis.each is not None and event.basis.plan is not None:
            self.tell("list", _list_facts(event.basis.each, event.basis.plan))
        for model, known in event.workflow.get("definition", {}).get("known", {}).items():
            if others := known.get("others"):
                self.tell("warning", not_listed(model, others))
        if event.simulated:
            self._simulated()

    def _simulated(self) -> None:
        self.tell("simulated", "no language model is asked, every text is made up by the simulator")

    def _planned(self, event: e.SubtaskPlanned) -> None:
        self._types[event.subtask] = event.type
        if event.alone:  # it stands in the list
            return
        if len(self._types) <= _EACH:
            needs = f", needs {', '.join(event.needs)}" if event.needs else ""
            self.tell("planned", f"{self._name(event.subtask)}{needs}: {short(event.description)}")
        else:
            self._count()
        self._remark(event)

    def _remark(self, event: e.SubtaskPlanned) -> None:
        if event.remark:
            self._now_and_then("remark", f"{short(event.subtask)}: {short(event.remark, 300)}")

    def _plan(self, event: e.PlanFinished) -> None:
        for remark in self._remarks_on(event)[:LISTED]:
            self.tell("plan", short(remark, 300))
        whose = f"{short(event.within)}, " if event.within else ""
        whose += f"round {event.round}, " if event.round > 1 else ""
        if event.subtasks:
            many = f"{event.subtasks}{' more' if event.round > 1 else ''} subtask{'s' if event.subtasks > 1 else ''}"
            self.tell("plan", f"{whose}{event.state}: {many}")
        else:
            none = "there is none" if event.state == "incomplete" else "no subtasks: the task is answered directly"
            self.tell("plan", f"{whose}{'nothing more is needed' if event.round > 1 else none}")

    def _remarks_on(self, event: e.PlanFinished) -> tuple[str, ...]:
        """What is to be said of a plan now; why there is none is told once: when one call is made in its place."""
        if event.subtasks or event.within or event.round > 1 or event.state != "incomplete":
            return event.remarks
        *others, self._unplanned = event.remarks or ("",)
        return tuple(others)

    def _finished(self, event: e.SubtaskFinished) -> None:
        self._outcomes[event.outcome] = self._outcomes.get(event.outcome, 0) + 1
        name = self._name(event.subtask)
        if event.outcome != "done":
            self._now_and_then(event.outcome, f"{name}: {short(event.error, 300)}", freely=LISTED)
        elif len(self._types) <= _EACH:
            self.tell("done", f"{name}{self._effort(event.subtask)}")
        else:
            self._count()

    def _effort(self, subtask: str) -> str:
        reply, started = self._replies.get(subtask), self._started.get(subtask)
        if reply and reply.reused:
            twin = self._twin_of.get(subtask)
            return f", a duplicate of {short(twin)}: asked once" if twin else ", taken from the records"
        facts = [f"{reply.usage.output_tokens:,} tokens"] if reply and reply.usage else []
        facts += [f"{time.monotonic() - started:.1f} s"] if started is not None else []
        return "".join(f", {fact}" for fact in facts)

    def _retried(self, event: e.CallRetried) -> None:
        whose = self._name(event.subtask) if event.subtask else event.role
        again = f"again in {event.wait:.1f} s"
        if event.duplicate and not event.wait:
            self._now_and_then("hedged", f"{whose}: {short(event.reason, 200)}")
        elif event.rate_limited:
            self._now_and_then("held back", f"{whose}, {again}: {short(event.reason, 200)}")
        else:
            self._now_and_then("retry", f"{whose}, attempt {event.attempt}, {again}: {short(event.reason, 200)}", 3)

    def _count(self) -> None:
        """How far it is, every few seconds."""
        others = "".join(f", {number} {outcome}" for outcome, number in self._outcomes.items() if outcome != "done")
        self._now_and_then("working", f"{self._outcomes.get('done', 0)} done{others} of {len(self._types)} planned")
        self._unspoken["working"] = 0

    def _name(self, subtask: str) -> str:
        return short(f"{subtask} ({self._types.get(subtask, '?')})")  # a model wrote it

    def _now_and_then(self, word: str, text: str, freely: int = 1) -> None:
        """A line of a kind that may come in hundreds: the first few at once, then one every few seconds."""
        now, spoken = time.monotonic(), self._spoken.setdefault(word, [])
        if len(spoken) >= freely and now - spoken[-1] < _GAP:
            self._unspoken[word] = self._unspoken.get(word, 0) + 1
            return
        spoken.append(now)
        unspoken = self._unspoken.pop(word, 0)
        self.tell(word, text + (f" (and {unspoken} more like it)" if unspoken else ""))

    def tell(self, word: str, text: str) -> None:
        """One line, if anyone listens: what it is about, and what is to be said."""
        self._waiting.restart()
        if not self._quiet:
            with contextlib.suppress(OSError):
                said = hung(text, size_of(sys.stderr)[0]) if sys.stderr.isatty() else f"  {text}"
                sys.stderr.write(f"{self._age():6.1f}s  {word:<9}{said}\n")
                sys.stderr.flush()

    def _age(self) -> float:
        return time.monotonic() - self._began


def _list_facts(each: Each, plan: Plan) -> str:
    """How long a list is, and what is to be said of it before anything is asked."""
    items, texts = len(each.items), len({subtask.description for subtask in plan.subtasks})
    facts = [many(items, "item")]
    facts += [f"{texts:,} different ones: what is the same is asked once"] if texts < items else []
    has_ids = all(isinstance(item, dict) and "id" in item for item in each.items)
    if has_ids and str(each.items[0]["id"]) != plan.subtasks[0].id:
        facts.append("their ids stand twice or can be none, so they are called t1, t2, …")
    return ", ".join(facts)
