"""What a map finds: a row for each item, read from the events of its run."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
from msgspec.structs import replace

from stretto import events as e
from stretto.maps.items import ids_of
from stretto.records import CallRecord
from stretto.types import Each, Result, Row, Subtask, Usage
from stretto.views.rows import subtask_row


class RowReader:
    """Makes the rows of a map from its events, each when its subtask is over.

    `calls` are those of earlier executions; `items` take the place of the list's own in the rows.
    """

    def __init__(self, each: Each, calls: Iterable[CallRecord] = (), items: Sequence[Any] = ()) -> None:
        self._items = items or each.items
        self._shaped = each.schema is not None
        self._places = {id_: place for place, id_ in enumerate(ids_of(each.items))}
        self._calls: dict[str, dict[str, CallRecord]] = {}
        for call in calls:
            self._of(call.subtask)[call.id] = call

    def take(self, event: e.AnyEvent) -> Row | None:
        """One event further; the row that it completes, if it does."""
        match event:
            case e.CallStarted() if event.subtask:
                self._of(event.subtask).setdefault(event.call, _call(event, event.at))
            case e.CallFinished() if event.subtask:
                calls = self._of(event.subtask)
                began = calls[event.call].started_at if event.call in calls else None
                calls[event.call] = replace(_call(event, began), finished_at=event.at, finished=event)
            case e.SubtaskFinished() if event.subtask in self._places:
                facts = (event.text, event.error, event.verdict, event.remark, event.tokens)
                return self.row(Result(event.subtask, event.outcome, *facts))
        return None

    def row(self, result: Result) -> Row:
        """The row of an item whose subtask came to this."""
        place, calls = self._places[result.subtask], list(self._calls.pop(result.subtask, {}).values())
        facts = subtask_row(result.subtask, Subtask(result.subtask, "", ""), result, calls)
        return Row(
            id=result.subtask,
            index=place,
            item=self._items[place],
            answer=result.text,
            state=result.outcome,
            error=result.error,
            verdict=result.verdict,
            remark=result.remark,
            parsed=msgspec.json.decode(result.text) if self._shaped and result.outcome == "done" else None,
            model=facts.model,
            usage=Usage(facts.input_tokens, facts.output_tokens),
            cost=facts.cost,
            seconds=facts.seconds,
            reused=facts.calls > 0 and facts.reused == facts.calls,
        )

    def _of(self, subtask: str | None) -> dict[str, CallRecord]:
        """The calls of an item, those of a workflow that does it included."""
        return self._calls.setdefault((subtask or "").partition("/")[0], {})


def _call(event: e.CallStarted | e.CallFinished, began: str | None) -> CallRecord:
    """A call of an item, as far as a row tells of it."""
    return CallRecord(event.call, event.role, event.subtask, "", event.model, began, part=event.part)


def rows_of(each: Each | None, results: Mapping[str, Result], calls: Iterable[CallRecord]) -> list[Row]:
    """The rows that there are so far, in the order of the list; none of a run that is no map."""
    if each is None:
        return []
    reader = RowReader(each, calls)
    return [reader.row(results[id_]) for id_ in ids_of(each.items) if id_ in results]


class Ordered:
    """Holds back the rows that come before those in front of them; `ids` are those of all, in their order."""

    def __init__(self, ids: Iterable[str]) -> None:
        self._wanted = list(ids)
        self._next = 0
        self._held: dict[str, Row] = {}

    def keep(self, ids: Iterable[str]) -> None:
        """Only these are to come; none has come so far."""
        self._wanted = list(ids)

    def take(self, row: Row) -> list[Row]:
        """One more row; those that can go on now."""
        self._held[row.id] = row
        found = []
        while self._next < len(self._wanted) and self._wanted[self._next] in self._held:
            found.append(self._held.pop(self._wanted[self._next]))
            self._next += 1
        return found
