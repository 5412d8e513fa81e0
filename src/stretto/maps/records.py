"""Rows as lines of a file: JSON, or cells beside those of the list."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from stretto.ground.regex import regex
from stretto.types import Row

_OURS = (
    *("id", "item", "answer", "state", "error", "verdict", "remark"),
    *("model", "input_tokens", "output_tokens", "cost", "seconds", "reused"),
)
_CELLS = ("answer", "state", "error")
# One that calls a function or another program: `=HYPERLINK("http://…")`, `+cmd|' /C calc'!A0`. A list or a number below
# zero begins alike, and stays what it is.
_FORMULA = regex(r"[\t\r\n]*[=+@-](?:.*?[A-Za-z]\w{0,30}\(|[^|]*\|[^!]*!)", re.DOTALL)


def json_line(row: Row) -> str:
    """A row as a line of JSON: its id, the item's fields (or it as `item`), the answer and what it took.

    A field of the item that is called like one of ours gets `_in` behind its name.
    """
    answer = (row.answer or None) if row.parsed is None else row.parsed
    facts: dict[str, Any] = {"id": row.id, **_given(row), "answer": answer}
    facts |= {"state": row.state, "error": row.error}
    facts |= {"verdict": row.verdict} if row.verdict else {}
    facts |= {"remark": row.remark} if row.remark else {}
    facts |= {"model": row.model, "input_tokens": row.usage.input_tokens, "output_tokens": row.usage.output_tokens}
    facts |= {"cost": None if row.cost is None else float(row.cost), "seconds": row.seconds, "reused": row.reused}
    return msgspec.json.encode(facts).decode() + "\n"


def _given(row: Row) -> dict[str, Any]:
    if not isinstance(row.item, dict):
        return {"item": row.item}
    names = _renamed(row.item, _OURS)
    return {names[key]: value for key, value in row.item.items() if key != "id" or str(value) != row.id}


class Table:
    """Rows as lines of CSV: the columns of the list, the answer, its state, and why there is none."""

    def __init__(self, items: Sequence[Any], delimiter: str = ",") -> None:
        fields = dict.fromkeys(key for item in items if isinstance(item, dict) for key in item)
        whole = {} if all(isinstance(item, dict) for item in items) else {"item": None}
        self._columns = list(whole | fields)
        self._names = _renamed(self._columns, _CELLS)
        self._delimiter = delimiter

    @property
    def head(self) -> str:
        """The first line."""
        return self._line([*(self._names[column] for column in self._columns), *_CELLS])

    def line(self, row: Row) -> str:
        """The line of a row."""
        item = row.item if isinstance(row.item, dict) else {"item": row.item}
        return self._line(
            [
                *(_cell(item.get(column)) for column in self._columns),
                _told(row.answer),
                row.state,
                _told(row.error or ""),
            ]
        )

    def _line(self, cells: Iterable[str]) -> str:
        import csv  # which nobody else needs
        import io

        text = io.StringIO()
        csv.writer(text, delimiter=self._delimiter, lineterminator="\n").writerow(cells)
        return text.getvalue()


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _told(text: str) -> str:
    """What a model or an endpoint said, as a text to a spreadsheet as well, which would carry out a formula in it."""
    return f"'{text}" if _FORMULA.match(text) else text


def _renamed(names: Iterable[str], ours: Sequence[str]) -> Mapping[str, str]:
    """What each name of an item is called beside ours."""
    kept, renamed = [*names], dict[str, str]()
    for name in kept:
        new = name
        while new in ours or (new != name and new in kept):
            new += "_in"
        renamed[name] = new
    return renamed
