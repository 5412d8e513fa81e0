"""Which rows get a line of their own, where there are more of them than lines."""

from collections.abc import Callable, Iterable, Sequence

from msgspec import Struct

from stretto.views.timeline.rows import Row
from stretto.views.timeline.timeline import Timeline


class Crowd(Struct, frozen=True):
    """Rows that share one line: they are all done, or all wait, and so on; `type` is empty if it is not the same."""

    word: str
    rows: Sequence[Row]
    type: str = ""


Item = Row | Crowd

_WAITS = {"waiting", "queued"}


def arranged(timeline: Timeline, room: int) -> list[Item]:
    """The timeline in at most so many lines: first what is done shares some, then what waits, then the rest."""
    shown = list(_unfolded(timeline))
    if len(shown) <= room:
        return list(shown)
    for merge in (_done, _waiting, _fewer, _least):
        items = merge(shown, room)
        if len(items) <= room:
            return items
    return items[-room:] if room > 0 else []


def _unfolded(timeline: Timeline) -> Iterable[Row]:
    """Every row in the order of the plan, those within a subtask below it until that is over."""

    def below(parent: str) -> Iterable[Row]:
        for row in timeline.within(parent):
            yield row
            if not row.over or row.state == "stopped":
                yield from below(row.id)

    if timeline.plan:
        yield timeline.plan
    yield from below("")
    if timeline.answer:
        yield timeline.answer


def _done(shown: Sequence[Row], room: int) -> list[Item]:  # noqa: ARG001 - the shape of all of these
    """The crowds of what is done stand in front of the first row that is no role's."""
    rest: list[Item] = [row for row in shown if not _is_done(row)]
    at = 1 if rest and isinstance(rest[0], Row) and rest[0].role == "orchestrator" else 0
    return [*rest[:at], *_crowds(shown, _is_done, by_type=True), *rest[at:]]


def _waiting(shown: Sequence[Row], room: int) -> list[Item]:
    """Of those that wait, the first ones have lines of their own as far as there are any left."""
    busy = _done([row for row in shown if not _waits(row)], room)
    wait = [row for row in shown if _waits(row)]
    own = max(0, room - len(busy) - len({row.type for row in wait}))
    last = [item for item in busy if isinstance(item, Row) and item.role == "synthesizer"]
    return [*busy[: len(busy) - len(last)], *wait[:own], *_crowds(wait[own:], _waits, by_type=True), *last]


def _fewer(shown: Sequence[Row], room: int) -> list[Item]:
    """One line for all that is done and one for all that waits; of failed and running ones, as many as fit."""
    done, wait, bad, busy = _apart(shown)
    first = [row for row in shown if row.role == "orchestrator"]
    last = [row for row in shown if row.role == "synthesizer"]
    left = max(2, room - len(first) - len(last) - len(done) - len(wait))
    for_bad = min(len(bad), max(left // 3, left - len(busy)))
    return [*first, *done, *_some(bad, for_bad), *_some(busy, left - for_bad), *wait, *last]


def _least(shown: Sequence[Row], room: int) -> list[Item]:  # noqa: ARG001
    """One line for each state."""
    done, wait, bad, busy = _apart(shown)
    answer = [row for row in shown if row.role == "synthesizer"]
    return [*done, *wait, *_some(bad, 0), *_some(busy, 0), *answer]


def _apart(shown: Sequence[Row]) -> tuple[list[Item], list[Item], list[Row], list[Row]]:
    """Of the rows that are no role's: all that is done as one, all that waits, those that failed, those that run."""
    bad = [row for row in shown if not row.is_role and row.over and not _is_done(row)]
    busy = [row for row in shown if row.state == "running" and not row.is_role]
    return _crowds(shown, _is_done), _crowds(shown, _waits), bad, busy


def _crowds(shown: Sequence[Row], joins: Callable[[Row], bool], *, by_type: bool = False) -> list[Item]:
    groups: dict[str, list[Row]] = {}
    for row in shown:
        if joins(row):
            groups.setdefault(row.type if by_type else "", []).append(row)
    word = "done" if joins is _is_done else "waiting"
    return [rows[0] if len(rows) == 1 else Crowd(word, rows, type_) for type_, rows in groups.items()]


def _some(rows: Sequence[Row], most: int) -> list[Item]:
    """So many of the rows, the last one for all that are left."""
    if len(rows) <= most:
        return list(rows)
    own = max(0, most - 1)
    words = {row.state for row in rows[own:]}
    return [*rows[:own], Crowd(words.pop() if len(words) == 1 else "not done", rows[own:])]


def _is_done(row: Row) -> bool:
    """Whether nothing more is to be said of it; a result that its check found wrong is no such thing."""
    return row.state == "done" and not row.is_role and row.verdict != "fails"


def _waits(row: Row) -> bool:
    return row.state in _WAITS
