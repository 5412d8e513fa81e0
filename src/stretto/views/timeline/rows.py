"""A row: a subtask, the plan or the answer, and what its calls have come to."""

from decimal import Decimal
from math import ceil
from typing import Literal

from msgspec import Struct

from stretto import events as e
from stretto.types import Outcome, Result, RoleName, Verdict
from stretto.views.timeline.calls import Call

PLAN, ANSWER = "plan", "answer"
"""The ids of the rows that are no subtasks, by which people know them."""

State = Literal["waiting", "queued", "running", "stopped"] | Outcome
_PARTS = {"check": "checking", "condense": "condensing", "plan": "planning", "answer": "writing"}


class Row(Struct):
    """What is known of one subtask (or of the plan, or of the answer), with moments in seconds since the run began.

    `queued`: when everything it needs was there; `since` and `until` are of its work itself. `calls`: in the
    order in which they were heard of; `open`: those of them that are under way, by their ids. `tokens` counts what was
    taken from the records, too; `cost` is None where a price is unknown. `reused`: its last reply was taken from the
    records; `twin`: whose that was, if another subtask of the run asked the same. Texts are as models wrote them.
    """

    id: str
    type: str
    description: str
    needs: tuple[str, ...] = ()
    round: int = 1
    role: RoleName = "worker"
    state: State = "waiting"
    queued: float | None = None
    since: float | None = None
    until: float | None = None
    calls: list[Call] = []
    open: dict[str, Call] = {}
    model: str = ""
    tokens: int = 0
    cost: Decimal | None = Decimal(0)
    part: str = ""
    attempt: int = 1
    verdict: Verdict | None = None
    remark: str = ""
    error: str = ""
    reused: bool = False
    twin: str = ""
    _retry: tuple[e.CallRetried, float] | None = None
    _replies: int = 0
    _counted: set[str] = set()

    @property
    def key(self) -> str:
        """What no other row is called: its id, or its role's with a slash in front, which no id has."""
        return f"/{self.role}" if self.is_role else self.id

    @property
    def parent(self) -> str:
        """The subtask whose workflow planned it; empty for those of the run itself."""
        return self.id.rpartition("/")[0]

    @property
    def own(self) -> str:
        """Its id within its parent."""
        return self.id.rpartition("/")[2]

    @property
    def is_role(self) -> bool:
        """Whether it is the plan or the answer, and no subtask."""
        return self.role != "worker"

    @property
    def over(self) -> bool:
        """Whether nothing more will come of it."""
        return self.state not in {"waiting", "queued", "running"}

    def begin(self, now: float) -> None:
        """Everything it needs is there."""
        self.state, self.until, self.error = "queued", None, ""
        self.queued = now if self.queued is None else self.queued

    def called(self, event: e.CallStarted, now: float) -> None:
        """A request left for it; told again of the same call if there is one more."""
        call = self._call(event)
        call.start, call.fingerprint = now if call.start is None else call.start, event.fingerprint
        self.since = now if self.since is None else self.since
        self.part, self.model = event.part, event.model
        if event.part.startswith("reply "):
            self._replies = max(self._replies, int(event.part.removeprefix("reply ")))
        if self.state in {"waiting", "queued", "stopped"} or (self.is_role and self.over):
            self.state, self.until = "running", None

    def again(self, event: e.CallRetried, now: float) -> None:
        """A request for it failed, or is asked in duplicate."""
        self._retry = (event, now)
        if event.call:
            self._call(event).again(event, now)
        if not event.rate_limited and not event.duplicate:
            self.attempt = event.attempt

    def answered(self, event: e.CallFinished, now: float) -> None:
        """A call for it ended."""
        self._call(event).finish(event, now)
        del self.open[event.call]
        self._retry = None
        self.paid(event)
        if self.is_role and not self.open:
            self.state, self.until = ("failed" if event.error else "done"), now
            self.error = event.error or ""

    def paid(self, event: e.CallFinished) -> None:
        """What a call for it came to."""
        self.model = event.answered_by or event.asked or event.model
        self.reused = event.reused
        known = event.reused and event.fingerprint in self._counted  # a run that goes on takes up its own calls again
        if event.usage and not known:
            self.tokens += event.usage.input_tokens + event.usage.output_tokens
        self._counted.add(event.fingerprint)
        if not event.reused:
            self.cost = None if self.cost is None or event.cost is None else self.cost + event.cost

    def end(self, now: float | None, came: e.SubtaskFinished | Result) -> None:
        """It has an outcome; `now` is None if it had that before."""
        self.state, self.error, self.verdict, self.remark = came.outcome, came.error or "", came.verdict, came.remark
        self.until = now
        self._retry = None

    def reopen(self) -> None:
        """It is to be done anew."""
        self.state, self.until, self.error, self.verdict, self.remark = "waiting", None, "", None, ""

    def stop(self, now: float) -> None:
        """End what is still under way: the run is over."""
        if self.state == "running" and self.is_role and not self.open:
            self.state = "done"
        if not self.over:
            self.state = "waiting" if self.since is None else "stopped"
        self.until = now if self.until is None and self.since is not None else self.until
        for call in self.open.values():
            call.end = now
        self.open.clear()

    def go_on(self) -> None:
        """The run goes on."""
        if self.state == "stopped":
            self.state = "waiting"

    def elapsed(self, now: float) -> float | None:
        """Seconds from its first request to its outcome, or until now; None if there was none.

        The plan's are those of its calls: between two rounds it is not worked on.
        """
        if self.since is None:
            return None
        if self.role == "orchestrator":
            spans = ((each.start, now if each.end is None else each.end) for each in self.calls)
            return sum(end - start for start, end in spans if start is not None)
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
        if not self.open:
            return ""
        said = f"retry {self.attempt}" if self.attempt > 1 else ""
        return ", ".join(each for each in (self._doing(), said) if each)

    def _call(self, event: e.CallStarted | e.CallRetried | e.CallFinished) -> Call:
        """The call that an event is about, which is under way with that if it was not."""
        if event.call not in self.open:
            self.open[event.call] = Call(event.call, event.part, event.model)
            self.calls.append(self.open[event.call])
        return self.open[event.call]

    def _doing(self) -> str:
        """What its latest call is, if that is not the work itself."""
        if self.part == "merge":
            return f"merging {self._replies} replies"
        if self.part.startswith("reply "):
            sent = [call for call in self.calls if call.start is not None]
            return f"{sum(call.end is not None for call in sent)} of {len(sent)} replies"
        return _PARTS.get(self.part, self.part)
