"""What a store knows of calls like those of a plan, and of earlier batches."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence

from msgspec import Struct

from stretto.errors import NoStore
from stretto.store.efforts import Effort, effort_of, newest_efforts
from stretto.store.listing import LOOKED_INTO, Wanted
from stretto.store.locations import Location
from stretto.store.sqlite import Store
from stretto.types import RoleName

ENOUGH = 5
"""Calls of one kind that show how much they differ; fewer show only about where they are."""
_NEWEST = 500  # calls of a kind that count: models get quicker, and prompts change

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
        for call in run.calls:
            if not (call.batch and call.finished and call.started_at):
                continue
            effort = effort_of(call.finished, call.started_at)
            marks.add(mark(effort))
            # Else its time is that of an answer for which somebody went on with the run, or of one that was asked live.
            if run.executions == 1 and call.finished.error is None and not call.retries:
                key = call.model.partition(":")[0], call.finished.simulated
                took[call.batch] = key, max(effort.seconds, took.get(call.batch, (key, 0.0))[1])
    seconds = defaultdict[tuple[str, bool], list[float]](list)
    for key, longest in took.values():
        seconds[key].append(longest)
    return Batches(seconds, frozenset(marks))


class Kind(Struct, frozen=True):
    """Calls that are alike: one model's, in one role, for one type of subtask, one part of it."""

    model: str
    role: RoleName
    type: str = ""
    part: str = ""


class History:
    """Efforts by their kind. Simulated ones serve the models of the providers in `simulated`, the others all others.

    Those of calls that went with one of these `batches` tell nothing: they took as long as that did.
    """

    def __init__(
        self, efforts: Iterable[Effort] = (), simulated: Collection[str] = (), batches: Batches | None = None
    ) -> None:
        self._batches = batches or Batches()
        self._simulated = simulated
        self._efforts: defaultdict[Kind, list[Effort]] = defaultdict(list)
        self._workers: defaultdict[str, list[Effort]] = defaultdict(list)
        self._models: defaultdict[str, list[Effort]] = defaultdict(list)
        for effort in efforts:
            if effort.simulated != (effort.model.partition(":")[0] in simulated):
                continue
            if self._batches.marks and mark(effort) in self._batches.marks:
                continue
            kind = Kind(effort.model, effort.role, _same(effort.type), _alike(effort.part))
            self._efforts[kind].append(effort)
            self._models[effort.model].append(effort)
            if effort.role == "worker" and not kind.part:
                self._workers[effort.model].append(effort)

    def like(self, kind: Kind) -> list[Effort]:
        """The newest efforts that tell of this kind: its own, its model's workers', or many of its model's."""
        own = self._efforts.get(Kind(kind.model, kind.role, _same(kind.type), _alike(kind.part)), [])
        workers = self._workers.get(kind.model, []) if kind.role == "worker" and not _alike(kind.part) else []
        every = self._models.get(kind.model, [])
        return (own or workers or (every if len(every) >= ENOUGH else []))[-_NEWEST:]

    def batches(self, model: str) -> Sequence[float]:
        """The seconds that the newest batches of a model's provider took."""
        provider = model.partition(":")[0]
        return self._batches.seconds.get((provider, provider in self._simulated), ())[:_NEWEST]


def history_of(
    store: Location | None, simulated: Collection[str], patience: float, batches: Batches | None = None
) -> History:
    """What this store knows, with what is known of its `batches`; nothing without one. Raises `StoreError`."""
    try:
        return History(newest_efforts(store, patience) if store else (), simulated, batches)
    except NoStore:
        return History((), simulated, batches)


def _alike(part: str) -> str:
    """Each of several replies is work like any other, and a second check is a check."""
    return "" if part.startswith("reply ") else part.removeprefix("second ")


def _same(type_: str) -> str:
    return type_.strip().casefold()
