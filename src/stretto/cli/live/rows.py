"""A row of the picture: a subtask, the plan or the answer, and what its calls have come to."""

from collections.abc import Collection, Sequence
from decimal import Decimal
from math import ceil
from typing import Literal

from msgspec import Struct

from stretto import events as e
from stretto.cli.words import short
from stretto.types import Outcome, Verdict

PLAN, ANSWER = "plan", "answer"
"""The ids of the rows that are no subtasks."""

State = Literal["waiting", "queued", "running", "stopped"] | Outcome
_PARTS = {"check": "checking", "condense": "condensing", "plan": "planning", "answer": "writing"}


_LONGEST = 300  # characters of a text that are kept


def harmless(text: str, most: int = _LONGEST) -> str:
    """A text that a model wrote on one line, without anything a terminal would obey, or that not all measure alike."""
    return short(text, most).replace("\N{VARIATION SELECTOR-16}", "")


class Stretch(Struct):
    """When a call was under way, in seconds; without an `end` it still is. `held`: it was refused, and waited."""

    start: float
    end: float | None = None
    held: bool = False


class Row:
    """What is known of one subtask (or of the plan, or of the answer); `since` and `until` are of its work itself.

    `own` is its id within `parent`, as it is shown. `cost` is None where a price is unknown. `description`, `error` and
    every other text is on one line and harmless.
    """

    __slots__ = (
        "_calls",
        "_counted",
        "_replies",
        "_retry",
        "attempt",
        "cost",
        "description",
        "error",
        "id",
        "model",
        "needs",
        "own",
        "parent",
        "part",
        "remark",
        "reused",
        "since",
        "state",
        "stretches",
        "tokens",
        "twin",
        "type",
        "until",
        "verdict",
    )

    def __init__(self, id_: str, type_: str, description: str, needs: Sequence[str]) -> None:
        self.id = id_
        self.parent = id_.rpartition("/")[0]
        self.own = harmless(id_.rpartition("/")[2], 60)
        self.type = harmless(type_, 60)
        self.description = harmless(description)
        self.needs = needs
        self.state: State = "waiting"
        self.since: float | None = None
        self.until: float | None = None
        self.stretches: list[Stretch] = []
        self.model = ""
        self.tokens = 0
        self.cost: Decimal | None = Decimal(0)
        self.part = ""
        self.attempt = 1
        self.verdict: Verdict | None = None
        self.remark = ""
        self.error = ""
        self.reused = False
        self.twin = ""
        self._calls: dict[str, Stretch] = {}
        self._retry: tuple[e.CallRetried, float] | None = None
        self._replies = 0
        self._counted = set[str]()

    @property
    def calls(self) -> Collection[str]:
        """The ids of its calls that are under way."""
        return self._calls.keys()

    @property
    def over(self) -> bool:
        """Whether nothing more will come of it."""
        return self.state not in {"waiting", "queued", "running"}

    def begin(self) -> None:
        """Everything it needs is there."""
        self.state, self.until, self.error = "queued", None, ""

    def called(self, call: str, part: str, model: str, now: float) -> None:
        """A request left for it; told again of the same call if there is one more."""
        if call not in self._calls:
            self._calls[call] = Stretch(now)
            self.stretches.append(self._calls[call])
        self.since = now if self.since is None else self.since
        self.part, self.model = part, harmless(model, 120)
        if part.startswith("reply "):
            self._replies = max(self._replies, int(part.removeprefix("reply ")))
        if self.state in {"waiting", "queued", "stopped"} or (self.id in {PLAN, ANSWER} and self.over):
            self.state, self.until = "running", None

    def again(self, event: e.CallRetried, now: float) -> None:
        """A request for it failed, or is asked in duplicate."""
        self._retry = (event, now)
        if event.duplicate:
            return
        if not event.rate_limited:
            self.attempt = event.attempt
        if event.call in self._calls:
            self.stretches.append(Stretch(now, now + event.wait, held=True))

    def answered(self, event: e.CallFinished, now: float) -> None:
        """A call for it ended."""
        stretch = self._calls.pop(event.call, None)
        if stretch is not None:
            stretch.end = now
            for held in self.stretches:
                held.end = min(held.end, now) if held.held and held.end is not None else held.end
        self._retry = None
        self.paid(event)
        if self.id in {PLAN, ANSWER} and not self._calls:
            self.state, self.until = ("failed" if event.error else "done"), now
            self.error = harmless(event.error or "")

    def paid(self, event: e.CallFinished) -> None:
        """What a call for it came to."""
        self.model = harmless(event.answered_by or event.asked or event.model, 120)
        self.reused = event.reused
        known = event.reused and event.fingerprint in self._counted  # a run that goes on takes up its own calls again
        if event.usage and not known:
            self.tokens += event.usage.input_tokens + event.usage.output_tokens
        self._counted.add(event.fingerprint)
        if not event.reused:
            self.cost = None if self.cost is None or event.cost is None else self.cost + event.cost

    def end(self, now: float | None, outcome: Outcome, error: str, verdict: Verdict | None, remark: str) -> None:
        """It has an outcome; `now` is None if it had that before."""
        self.state, self.error, self.verdict, self.remark = outcome, harmless(error), verdict, harmless(remark)
        self.until = now
        self._retry = None

    def stop(self, now: float) -> None:
        """End what is still under way: the run is over."""
        if self.state == "running" and self.id in {PLAN, ANSWER} and not self._calls:
            self.state = "done"
        if not self.over:
            self.state = "waiting" if self.since is None else "stopped"
        self.until = now if self.until is None and self.since is not None else self.until
        for stretch in self._calls.values():
            stretch.end = now
        self._calls.clear()

    def elapsed(self, now: float) -> float | None:
        """Seconds from its first request to its outcome, or until now; None if there was none.

        The plan's are those of its calls: between two rounds it is not worked on.
        """
        if self.since is None:
            return None
        if self.id == PLAN:
            calls = [stretch for stretch in self.stretches if not stretch.held]
            return sum((now if call.end is None else call.end) - call.start for call in calls)
        return max(0.0, (now if self.until is None else self.until) - self.since)

    def note(self, now: float) -> str:
        """What is special about what it does right now, in a few words; empty if nothing is."""
        if self._retry:
            event, at = self._retry
            left = at + event.wait - now
            if event.duplicate:
                return "asked twice"
            if event.rate_limited and left > 0:
                return f"held back {ceil(left)} s"
            if left > 0:
                return f"retry {event.attempt} in {ceil(left)} s"
        if self.state == "queued":
            return "queued"
        if not self._calls:
            return ""
        said = f"retry {self.attempt}" if self.attempt > 1 else ""
        return ", ".join(each for each in (self._doing(), said) if each)

    def _doing(self) -> str:
        """What its latest call is, if that is not the work itself."""
        if self.part == "merge":
            return f"merging {self._replies} replies"
        if self.part.startswith("reply "):
            asked = sum(not stretch.held for stretch in self.stretches)
            return f"{asked - len(self._calls)} of {asked} replies"
        return _PARTS.get(self.part, self.part)
