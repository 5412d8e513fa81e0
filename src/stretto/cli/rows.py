"""The rows of a map on their way into a file, or onto stdout."""

from collections.abc import Callable
from pathlib import Path
from typing import TextIO

from stretto import events as e
from stretto.maps import Ordered, RowReader, Table, json_line
from stretto.runs import Run

_TABLES = {".csv": ",", ".tsv": "\t"}


class RowFile:
    """Writes the rows of a run as its events come, each as soon as it can be; `close` it at the end.

    Into a `file`: JSON lines, or a table if its name ends so; without one JSON lines are given to `put`. In the order
    of the list, or `as_completed`.
    """

    def __init__(self, run: Run, file: Path | None, put: Callable[[str], None], *, as_completed: bool) -> None:
        assert run.basis.each is not None  # noqa: S101 - whoever makes one has looked
        items, plan = run.basis.each.items, run.basis.plan
        self._reader = RowReader(run.basis.each, run.calls)
        self._ordered = Ordered(subtask.id for subtask in plan.subtasks) if plan else Ordered(())
        self._as_completed = as_completed
        self._file: TextIO | None = None
        self._put = put
        self._line = json_line
        if file is None:
            return
        self._file = opened = file.open("w", encoding="utf-8", newline="")

        def into_file(lines: str) -> None:
            opened.write(lines)
            opened.flush()  # whoever looks into the file sees how far it is, and a kill takes nothing of it

        self._put = into_file
        if (delimiter := _TABLES.get(file.suffix.lower())) is not None:
            table = Table(items, delimiter)
            self._line = table.line
            self._put(table.head)

    def take(self, event: e.AnyEvent) -> None:
        """Write the rows that this event completes, in the order of the list or at once."""
        if isinstance(event, e.PlanWithdrawn) and event.plan is not None:
            self._ordered.keep(subtask.id for subtask in event.plan.subtasks)
        if (row := self._reader.take(event)) is None:
            return
        ready = [row] if self._as_completed else self._ordered.take(row)
        if ready:
            self._put("".join(map(self._line, ready)))

    def close(self) -> None:
        """Close the file, if the rows go into one."""
        if self._file is not None:
            self._file.close()
