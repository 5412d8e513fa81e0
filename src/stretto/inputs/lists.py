"""Reading a list whose items are worked on one by one: lines of text, rows of CSV, JSON."""

import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Literal, get_args

import msgspec

from stretto.errors import TaskError
from stretto.ground.text import other_encoding
from stretto.maps import Listing

ListForm = Literal["text", "csv", "tsv", "jsonl", "json"]
"""How the items of a list are written: a line each, rows below a header, a JSON value a line, one JSON array."""
FORMS: tuple[ListForm, ...] = get_args(ListForm)

_BY_END: dict[str, ListForm] = {".ndjson": "jsonl", **{f".{form}": form for form in FORMS if form != "text"}}
_DELIMITERS = ",;\t|"
_PIPE = "standard input"


def read_list(source: str | Path, form: ListForm | None = None) -> Listing:
    """The items in a file: texts, or objects by the names of their columns or keys.

    The `form` is what the file's name ends with (.csv, .tsv, .jsonl, .ndjson, .json), else a text a line; blank lines
    are left out. `-` is standard input, which is JSON lines if it begins with an object. Raises `TaskError` naming the
    place that is wrong, and for a list without items.
    """
    name = _PIPE if str(source) == "-" else str(source)
    text = _text(sys.stdin.buffer.read() if name == _PIPE else _read(Path(source)), name)
    if form is None:
        form = _BY_END.get(Path(source).suffix.lower(), "text")
        form = "jsonl" if name == _PIPE and text.lstrip().startswith("{") else form
    items = Listing(_READERS[form](text, name))
    if not items:
        below = " below its header" if form in {"csv", "tsv"} and text.strip() else ""
        raise TaskError(f"{name}: there are no items in it{below}; there would be nothing to do")
    return items


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise TaskError(f"{path}: cannot be read: {why}; name a file with a list, or - for standard input") from error


def _text(data: bytes, name: str) -> str:
    if other := other_encoding(data):
        raise TaskError(f"{name}: {other}")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise TaskError(f"{name}: not UTF-8 text (line {line}, byte {error.start}); make it UTF-8 first") from error
    if "\0" in text:
        raise TaskError(f"{name}: binary data (byte {data.index(0)}); a list is text, CSV or JSON")
    return text


def _lines(text: str, name: str) -> Iterator[tuple[str, str]]:
    """Every line that is not blank, with its place."""
    for number, line in enumerate(text.split("\n"), 1):
        if line := line.strip():
            yield f"{name}: line {number}", line


def _json_lines(text: str, name: str) -> Iterator[tuple[str, Any]]:
    for place, line in _lines(text, name):
        yield place, _decoded(line, place)


def _json(text: str, name: str) -> Iterator[tuple[str, Any]]:
    items = _decoded(text, name) if text.strip() else []
    if not isinstance(items, list):
        raise TaskError(f"{name}: it is no JSON array; make one of it, or name it .jsonl if it has a value a line")
    for number, item in enumerate(items, 1):
        yield f"{name}: item {number}", item


def _decoded(text: str, place: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError) as error:
        raise TaskError(f"{place}: no JSON: {error}") from error


def _csv(text: str, name: str) -> Iterator[tuple[str, dict[str, str]]]:
    return _rows(text, name, max(_DELIMITERS, key=lambda sign: len(next(_cells(text, name, sign), (1, []))[1])))


def _rows(text: str, name: str, delimiter: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Each row by the columns of the header; a cell that is not there is no field."""
    records = _cells(text, name, delimiter)
    _, first = next(records, (1, []))
    columns = [cell.strip() or f"column {number}" for number, cell in enumerate(first, 1)]
    if twice := [column for place, column in enumerate(columns) if column in columns[:place]]:
        raise TaskError(f"{name}: line 1: the column {twice[0]!r} stands twice in the header; rename one of them")
    for number, (line, cells) in enumerate(records, 1):
        place = f"{name}: row {number} (line {line})"
        if len(cells) > len(columns) and any(cell.strip() for cell in cells[len(columns) :]):
            raise TaskError(
                f"{place}: {len(cells)} cells, but the header has {len(columns)}; put a cell that has "
                f"{'a tab' if delimiter == chr(9) else repr(delimiter)} in it in quotes"
            )
        yield place, dict(zip(columns, cells, strict=False))


def _cells(text: str, name: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Every record that is not blank, with the line that it begins on."""
    import csv  # which a list of another form does not need
    import io

    before = csv.field_size_limit()
    reader, line = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True), 1
    while True:
        csv.field_size_limit(max(before, len(text) + 1))  # it is the whole program's, so for this one call
        try:
            cells = next(reader, None)
        except csv.Error as error:
            raise TaskError(f"{name}: line {line}: no CSV: {error}; a quote within a cell is written twice") from error
        finally:
            csv.field_size_limit(before)
        if cells is None:
            return
        if any(cell.strip() for cell in cells):
            yield line, cells
        line = reader.line_num + 1


_READERS: dict[ListForm, Callable[[str, str], Iterator[tuple[str, Any]]]] = {
    "text": _lines,
    "csv": _csv,
    "tsv": partial(_rows, delimiter="\t"),
    "jsonl": _json_lines,
    "json": _json,
}
