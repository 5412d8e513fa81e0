"""A run in pieces, for a page that shows it while it goes on: what is another than in the piece before."""

from collections.abc import Iterable
from datetime import datetime
from math import inf
from typing import Any

from msgspec import Struct

from stretto import events as e
from stretto.fold import Fold
from stretto.page.content import Elsewhere, facts_of, money, plain, row_of
from stretto.views.timeline.past import Following
from stretto.views.timeline.rows import Row
from stretto.views.timeline.timeline import Heard, Replying, reach, silent, unheard

_USUAL = (e.SubtaskPlanned, e.SubtaskStarted, e.SubtaskFinished, e.CallStarted, e.CallRetried, e.CallFinished)
"""What happens all the time; whatever else does may change anything that is told of the run."""
_ENDS = (e.RunFinished, e.RunFailed, e.RunInterrupted)
_ANEW = (e.RunStarted, e.RunResumed, e.PlanWithdrawn, e.SubtaskReopened, *_ENDS)
"""After these every row may be another."""


class Foretold(Struct, frozen=True):
    """When a run with so many `subtasks` will be done, as was foretold `at` a second of it.

    Half of all draws are done by `soon`, 19 of 20 by `late`, in seconds since it began; `known` are the recorded calls
    that tell of it.
    """

    at: float
    soon: float
    late: float
    known: int
    subtasks: int


class Pieces:
    """Takes the events of a run; `heard` tells how much its calls in flight were answered, `replying` since when.

    A piece has the rows that changed (with `whole`, all there are), everything else of a `Content` where that may have
    changed, else what always does: `now`, `end`, `input`, `output`, `cost`. `heard` are the tokens so far of the rows
    under way, about; `foretold` is there once it is known; `writing` says whether the answer begins anew, and how it
    goes on. No other long text is in it.
    """

    def __init__(self, heard: Heard = unheard, replying: Replying = silent) -> None:
        self._replying = replying
        self._following = Following()
        self._following.timeline.heard = heard
        self._fold = Fold()
        self._changed: dict[str, Row] = {}
        self._anew = True
        self._facts = True
        self._heard: dict[str, int] = {}
        self._answer = ""
        self._status = ""
        self._end = 0.0
        self._foretold: Foretold | None = None

    @property
    def over(self) -> bool:
        """Whether nothing more happens, as far as the events tell."""
        return self._following.timeline.over

    def take(self, events: Iterable[e.AnyEvent]) -> None:
        """Some events further."""
        for event in events:
            self._following.take(event)
            self._fold.take(event)
            self._anew = self._anew or isinstance(event, _ANEW)
            self._facts = self._facts or not isinstance(event, _USUAL)
            if row := self._row_of(event):
                self._changed[row.key] = row

    def second(self, at: datetime) -> float:
        """The second of a moment."""
        return self._following.second(at)

    def stop(self) -> None:
        """Nobody carries the run any more: if it has not ended, it was killed."""
        if not self.over:
            self._following.timeline.end(self._following.now)
            self._status, self._anew = "killed", True

    def piece(self, at: datetime, answer: str | None = None, foretold: Foretold | None = None) -> dict[str, Any] | None:
        """What has changed until a moment, as data; nothing if nothing has. `answer`: as far as it is written."""
        timeline, now = self._following.timeline, self._following.second(at)
        for row in timeline.listen(now, self._replying):
            self._changed[row.key] = row
        end = now if timeline.over else reach(now)
        heard = {row.key: tokens for row in timeline.rows() if row.open and (tokens := timeline.so_far(row))}
        writing = [] if answer is None else self._written(answer)
        before, now_ = (self._heard, self._end, self._foretold), (heard, end, foretold)
        if before == now_ and not (writing or self._changed or self._anew or self._facts):
            return None
        self._heard, self._end, self._foretold = now_
        told = self._told(now) | {"end": round(end, 3), "heard": heard}
        rows = timeline.rows() if self._anew else self._changed.values()
        told["rows"] = plain([row_of(row, inf, "", {}, Elsewhere()) for row in rows])
        if foretold:
            told["foretold"] = plain(foretold)
        if writing:
            told["writing"] = writing
        if self._anew:
            told["whole"] = True
        self._changed.clear()
        self._anew = self._facts = False
        return told

    def _told(self, now: float) -> dict[str, Any]:
        """All that is not told by rows, if it may be another; else what changes all the time."""
        if self._facts or self._anew:
            run = self._fold.run
            return dict(plain(facts_of(run, self._following.timeline, now, Elsewhere(), status=self._status)))
        usage = self._fold.usage
        cost = money(self._fold.cost)
        return {"now": round(now, 3), "input": usage.input_tokens, "output": usage.output_tokens, "cost": cost}

    def _written(self, answer: str) -> list[bool | str]:
        """Whether the answer begins anew, and what of it was not told yet; nothing if that is nothing."""
        before, self._answer = self._answer, answer
        goes_on = answer.startswith(before)
        return [] if answer == before else [not (before and goes_on), plain(answer[len(before) if goes_on else 0 :])]

    def _row_of(self, event: e.AnyEvent) -> Row | None:
        """The row that an event is about."""
        timeline = self._following.timeline
        if isinstance(event, e.CallStarted | e.CallRetried | e.CallFinished):
            return timeline.row(event.role, event.subtask)
        if isinstance(event, e.PlanFinished):
            return timeline.plan
        return timeline.subtasks.get(getattr(event, "subtask", ""))
