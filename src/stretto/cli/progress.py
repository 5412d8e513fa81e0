"""What a run is doing, as plain lines on stderr."""

import time

import click

from stretto import events as e
from stretto.runs import Run


class Progress:
    """Prints one line for everything a person who waits would want to know; nothing at all if `quiet`."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._began = time.monotonic()
        self._types: dict[str, str] = {}
        self._started: dict[str, float] = {}
        self._tokens: dict[str, int] = {}

    def show(self, event: e.AnyEvent) -> None:  # noqa: C901, PLR0912 - one arm for each kind of event, by design
        """One event."""
        match event:
            case e.RunStarted() if event.simulated:
                self.say("simulated: no language model is asked, every text is made up by the simulator")
            case e.RunResumed():
                self.say("resumed")
            case e.SubtaskPlanned():
                self._types[event.subtask] = event.type
                needs = f", needs {', '.join(event.needs)}" if event.needs else ""
                self.say(f"planned   {event.subtask} ({event.type}{needs}): {_short(event.description)}")
                if event.remark:
                    self.say(f"          {event.remark}")
            case e.PlanFinished():
                self._plan(event)
            case e.SubtaskStarted():
                self._started[event.subtask] = time.monotonic()
            case e.SubtaskFinished():
                self._subtask(event)
            case e.CallRetried():
                whose = event.subtask or event.role
                how = "held back" if event.rate_limited else f"attempt {event.attempt} failed"
                self.say(f"{how:<9} {whose}: {_short(event.reason)}; again in {event.wait:.1f} s")
            case e.CallFinished():
                self._call(event)
            case e.RunDegraded():
                self.say(f"degraded  {event.policy}: {event.reason}")
            case e.AnswerDelta() if event.restart:
                self.say("the answer was cut off and begins anew")
            case e.CallStarted() if event.role == "synthesizer":
                self.say("answer    is being written")
            case _:
                pass

    def summary(self, run: Run) -> None:
        """The last lines: what is missing, and what it took."""
        for missing in run.coverage.missing:
            self.say(f"missing   {missing.subtask} ({missing.type}), {missing.outcome}: {_short(missing.reason, 300)}")
        if run.coverage.plan != "complete":
            self.say(f"missing   the end of the plan ({run.coverage.plan}): {'; '.join(map(_short, run.plan.remarks))}")
        if run.coverage.answer != "complete":
            self.say("missing   the end of the answer: it met its token limit; raise max_tokens of the synthesizer")
        done = run.coverage.counts.get("done", 0)
        reused = sum(1 for call in run.calls if call.finished and call.finished.reused)
        parts = [
            f"{done} of {len(run.plan.subtasks)} subtasks",
            f"{len(run.calls)} calls" + (f" ({reused} reused)" if reused else ""),
            f"{run.usage.input_tokens:,} + {run.usage.output_tokens:,} tokens",
            f"{time.monotonic() - self._began:.1f} s",
            f"run {run.id}",
        ]
        self.say(("simulated: " if run.simulated else "") + ", ".join(parts))

    def say(self, line: str) -> None:
        """One line, if anyone listens."""
        if not self._quiet:
            click.echo(f"stretto: {line}", err=True)

    def _plan(self, event: e.PlanFinished) -> None:
        for remark in event.remarks:
            self.say(f"plan      {_short(remark, 300)}")
        if not event.subtasks:
            self.say("plan      no subtasks: the task is answered directly")

    def _subtask(self, event: e.SubtaskFinished) -> None:
        started = self._started.get(event.subtask)
        facts = [] if started is None else [f"{time.monotonic() - started:.1f} s"]
        if tokens := self._tokens.get(event.subtask):
            facts.append(f"{tokens:,} tokens")
        why = f": {_short(event.error, 300)}" if event.error else ""
        name = f"{event.subtask} ({self._types.get(event.subtask, '?')})"
        self.say(f"{event.outcome:<9} {name}{', ' if facts else ''}{', '.join(facts)}{why}")

    def _call(self, event: e.CallFinished) -> None:
        if event.subtask and event.usage and not event.reused:
            self._tokens[event.subtask] = event.usage.output_tokens


def _short(text: str | None, most: int = 100) -> str:
    line = " ".join((text or "").split())
    return line if len(line) <= most else line[: most - 1] + "…"
