"""Carrying a map, and giving its rows to whoever reads them."""

from collections import deque
from collections.abc import AsyncIterator, Callable, Generator, Iterable, Sequence
from typing import Any, Self

from msgspec import Struct
from msgspec.structs import replace

from stretto.errors import StrettoError
from stretto.events import PlanWithdrawn
from stretto.maps import Ordered, RowReader, list_of
from stretto.rerun import fresh_of
from stretto.run.mapping import mapping_of, worker_of
from stretto.run.opening import New
from stretto.run.stream import RunStream
from stretto.run.team import Team
from stretto.runs import Run
from stretto.shapes import Shape, fitted, shape_of
from stretto.types import Input, Row


class Wanted(Struct, frozen=True):
    """What is wanted of a map; each is told at `Workflow.map`."""

    template: str
    then: str
    answer: type[Any] | dict[str, Any] | None
    worker: str | None
    as_completed: bool
    fresh: Sequence[str]
    inputs: tuple[Input, ...]


class RowStream:
    """The rows of a map as its run finds them: `await` it for a list of all, or read them with `async for`.

    They come in the order of the list, each as soon as it and all before it are there; with `as_completed`, each when
    it is there. A row that has failed is a row, with its `state` and `error`; raised is only what keeps the run from
    being carried at all. As a context manager it stops the run, and every call in flight, when it is left.
    """

    def __init__(
        self, stream: RunStream | None, begin: New, items: Sequence[Any], shape: Shape | None, *, as_completed: bool
    ) -> None:
        assert begin.each is not None  # noqa: S101 - it is a map
        self._stream = stream
        self._reader = RowReader(begin.each, (), items)
        self._ordered = Ordered([subtask.id for subtask in begin.plan.subtasks] if begin.plan else [])
        self._as_completed = as_completed
        self._shape = shape
        self._ready: deque[Row] = deque()
        self._missing = len(items)
        self._answered = False
        self._entered = False

    @property
    def run_id(self) -> str:
        """The run's id, for `resume`; empty if there is none, because there were no items."""
        return self._stream.run_id if self._stream else ""

    @property
    def events(self) -> RunStream:
        """The run itself, for whoever wants to read its events in place of rows."""
        if self._stream is None:
            raise StrettoError("there were no items, so there is no run")
        return self._stream

    @property
    def run(self) -> Run:
        """The run so far: what it took, and with `then` its `answer`."""
        return self.events.run

    def __repr__(self) -> str:
        return f"<rows of run {self.run_id}: await them, or outside of asynchronous code take map_sync>"

    async def __aenter__(self) -> Self:
        if self._stream is not None:
            await self._stream.__aenter__()
        self._entered = True
        return self

    async def __aexit__(self, *error: object) -> None:
        if self._stream is not None:
            await self._stream.__aexit__(*error)

    def __aiter__(self) -> AsyncIterator[Row]:
        return self if self._entered else self._alone()

    async def __anext__(self) -> Row:
        while not self._ready:
            await self._read()
        self._missing -= 1
        return self._ready.popleft()

    def __await__(self) -> Generator[Any, None, list[Row]]:
        return self._all().__await__()

    async def _alone(self) -> AsyncIterator[Row]:
        async with self:
            async for row in self:
                yield row

    async def _all(self) -> list[Row]:
        return sorted([row async for row in self], key=lambda row: row.index)

    async def _read(self) -> None:
        """One event further; raises `StopAsyncIteration` at the end of the run."""
        if self._stream is None:
            raise StopAsyncIteration
        try:
            event = await self._stream.__anext__()
        except StrettoError:
            if self._missing or self._answered:
                raise
            raise StopAsyncIteration from None  # none of the rows has an answer, and each has said why
        if isinstance(event, PlanWithdrawn) and event.plan is not None:  # some rows were dropped before any was asked
            self._missing = len(event.plan.subtasks)
            self._ordered.keep(subtask.id for subtask in event.plan.subtasks)
        if (row := self._reader.take(event)) is None:
            return
        self._answered = self._answered or bool(row.answer)
        if self._shape is not None and row.done:
            row = replace(row, parsed=fitted(row.answer, self._shape).parsed)
        self._ready += [row] if self._as_completed else self._ordered.take(row)


async def all_of(rows: RowStream) -> list[Row]:
    """All rows, in the order of the list."""
    return await rows


def row_stream(
    team: Team,
    shape: Shape | None,
    stream: Callable[..., RunStream],
    wanted: Wanted,
    items: Iterable[Any],
) -> RowStream:
    """The map of these items; raises `TaskError` for what cannot be filled in, before anything is asked.

    `shape`: that of the results, if nothing else is wanted. `stream` carries what begins so, by a team.
    """
    shape = shape if wanted.answer is None else shape_of(wanted.answer, "answer")
    given, worker = list_of(items), worker_of(team.definition, wanted.worker)
    schema = None if shape is None else shape.schema
    each, plan = mapping_of(wanted.template, given, worker, wanted.then, schema)
    begin = New(each.then or each.template, plan, fresh_of(wanted.fresh, plan), wanted.inputs, each)
    carried = stream(begin, team=team.carrying(begin.basis), shape=shape) if given else None
    return RowStream(carried, begin, given, shape, as_completed=wanted.as_completed)
