"""What earlier batches of a store took, as the logs of its newest runs tell it."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from msgspec import Struct

from stretto.errors import NoStore
from stretto.runs import CallRecord
from stretto.store.efforts import Effort
from stretto.store.listing import LOOKED_INTO, Wanted
from stretto.store.locations import Location
from stretto.store.sqlite import Store
from stretto.types import Usage

_EVENTS = 12_000  # of the newest runs that are looked at: as many as efforts are taken from
_RUNS = 20 * LOOKED_INTO  # in which these are surely

Mark = tuple[str, str, str, int, int, float, bool]
"""What tells an effort from others: hardly two calls take the same, to the millisecond."""


class Batches(Struct, frozen=True):
    """Batches that have ended: `seconds` each took, by its provider and whether that was simulated.

    `marks`: the efforts of the calls that went with one, whose time is none of their model's.
    """

    seconds: Mapping[tuple[str, bool], Sequence[float]] = {}
    marks: frozenset[Mark] = frozenset()


def mark(effort: Effort) -> Mark:
    """What tells an effort from others."""
    tokens = effort.input_tokens, effort.output_tokens
    return effort.model, effort.role, effort.part, *tokens, round(effort.seconds, 3), effort.simulated


def batches_of(location: Location, patience: float) -> Batches:
    """What the newest runs of a store tell of batches; nothing without one. Raises `StoreError`."""
    store, events, runs = Store(location, patience), 0, 0
    try:
        summaries = store.listing(Wanted(limit=_RUNS))  # so long a list needs no logs
    except NoStore:
        return Batches()
    for summary in summaries:
        if events >= _EVENTS:
            break
        events, runs = events + summary.events, runs + 1
    took, marks = dict[str, tuple[tuple[str, bool], float]](), set[Mark]()
    for run in store.recent(runs):
        sent = [call for call in run.calls if call.batch and call.finished and call.started_at]
        marks |= {marked for call in sent for marked in _marks(call)}
        if run.executions == 1:  # else the time of its answers is that at which somebody went on with it
            for batch, key, longest in _took(sent):  # it may have had calls of several runs
                took[batch] = key, max(longest, took.get(batch, (key, 0.0))[1])
    seconds = defaultdict[tuple[str, bool], list[float]](list)
    for key, longest in took.values():
        seconds[key].append(longest)
    return Batches(seconds, frozenset(marks))


def _took(sent: Sequence[CallRecord]) -> Iterator[tuple[str, tuple[str, bool], float]]:
    """Each batch, whose it was, and what it took, of which all calls of a run that it has answered tell."""
    found = defaultdict[str, list[CallRecord]](list)
    for call in sent:
        if call.finished and call.finished.error is None and not call.retries:  # one that was asked live took longer
            found[call.batch].append(call)
    for batch, calls in found.items():
        finished = calls[0].finished
        assert finished is not None  # noqa: S101 - they have an answer
        yield batch, (calls[0].model.partition(":")[0], finished.simulated), max(map(_seconds, calls))


def _marks(call: CallRecord) -> Iterator[Mark]:
    finished = call.finished
    if finished is not None:
        usage = (finished.usage or Usage()) + finished.lost
        model = finished.asked or finished.model
        tokens = usage.input_tokens, usage.output_tokens
        yield model, call.role, call.part, *tokens, round(_seconds(call), 3), finished.simulated


def _seconds(call: CallRecord) -> float:
    took = datetime.fromisoformat(call.finished_at or "") - datetime.fromisoformat(call.started_at or "")
    return max(0.0, took.total_seconds())
