"""Plans by row and column, by worker or in sections: tables in Markdown, CSV, a list for each worker, TOML."""

import csv
import json
import re
from collections.abc import Mapping
from typing import Any

from stretto.ground.regex import parted, regex
from stretto.plan.fields import DESCRIPTION, NEEDS, QUOTES, decode_text, is_field, listed, plain, unwrapped
from stretto.plan.fitting import called
from stretto.plan.item import Draft, Read, draft_of, reads_as_work, sure
from stretto.types import Role

_LISTS = regex(r"\[\s{0,40}\[")
_PLACES = {2: ("type", "description"), 3: ("id", "type", "description"), 4: ("id", "type", "description", "needs")}
"""What stands where in rows that do not say it, in the order in which a plan is asked for."""
_FRAME = str.maketrans("│┃║", "|||")
_RULE = regex(r"\s*[+\u2500-\u257f][-=+|\u2500-\u257f]{2,}\s*")
"""A line of a frame between rows."""
_CONTAINERS = ("tasks", "subtasks", "plan", "workers", "assignments")
_HEADING = regex(r"""^[ \t]{0,8}\[{1,2}[ \t]*([\w"'/.-]{1,80})[ \t]*\]{1,2}[ \t]*(?:#.*)?$""", re.MULTILINE)
_KEY = regex(r"^[ \t]{0,8}[\"']?([A-Za-z][\w-]{0,15})[\"']?[ \t]*=[ \t]*", re.MULTILINE)
_END = regex(r"^[ \t]{0,3}(?:```|~~~)|^[ \t]*\n(?=[^\[=\n]{1,200}$)", re.MULTILINE)
_LONG = ('"' * 3, "'" * 3)
_PLURALS = frozenset({"tasks", "task", "subtasks", "subtask", "steps", "step", "plan", "items"})


def table(text: str) -> list[Read]:
    """The rows of a table whose columns are the fields of a subtask."""
    found, names = list[dict[str, str]](), list[str]()
    for line in text.translate(_FRAME).splitlines():
        if line.count("|") < 2:
            names = names if _RULE.fullmatch(line) else []
            continue
        cells = [cell.strip().strip("*_`") for cell in line.strip().strip("|").split("|")]
        if not names:
            names = [plain(cell) for cell in cells] if sum(map(is_field, cells)) > 1 else []
            names = names if any(name in DESCRIPTION for name in names) else []
        elif any(cell.strip("-: ") for cell in cells):
            found.append({name: cell for name, cell in zip(names, cells, strict=False) if cell})
    return sure(found)


def separated(text: str) -> list[Read]:
    """The rows below a line that names fields, with commas, semicolons or tabs between them (CSV)."""
    lines = text.splitlines()
    for at, line in enumerate(lines):
        for mark in (mark for mark in "\t;," if mark in line):
            names = [plain(cell) for cell in line.strip().split(mark)]
            known = sum(map(is_field, names))
            if known > 1 and known == len(names) and any(name in DESCRIPTION for name in names):
                return _rows(names, lines[at + 1 :], mark)
    return []


def _rows(names: list[str], lines: list[str], mark: str) -> list[Read]:
    found = list[dict[str, str]]()
    place = next(at for at, name in enumerate(names) if name in DESCRIPTION)
    try:
        for row in csv.reader((line + "\n" for line in lines), delimiter=mark, skipinitialspace=True):
            if not row or row[0].startswith("```"):
                break
            more = max(0, len(row) - len(names))  # commas that should be in quotes, mostly in the longest text
            cells = [*row[:place], mark.join(row[place : place + more + 1]), *row[place + more + 1 :]]
            found.append({name: cell.strip() for name, cell in zip(names, cells, strict=False) if cell.strip()})
    except csv.Error:
        pass  # a cell longer than any, or a NUL: what was read stands
    return sure(found)


def rows(text: str) -> list[Read]:
    """Lists in a list, of which the first names the fields or there are none; or a list for each field."""
    form = object_in(text)
    columns = {plain(name): value for name, value in form.items() if is_field(name) and isinstance(value, list)}
    if len(columns) > 1 and any(name in DESCRIPTION for name in columns):
        return sure([dict(zip(columns, cells, strict=True)) for cells in zip(*columns.values(), strict=False)])
    listed = next((form[name] for name in form if plain(name) in _CONTAINERS and isinstance(form[name], list)), None)
    table = [each for each in (_list_in(text) if listed is None else listed) if isinstance(each, list) and each]
    names = [plain(str(cell)) for cell in table[0]] if table else []
    if len(names) > 1 and all(map(is_field, names)) and any(name in DESCRIPTION for name in names):
        return sure([dict(zip(names, cells, strict=False)) for cells in table[1:]])
    return sure([dict(zip(_PLACES[len(row)], row, strict=True)) for row in table if len(row) in _PLACES])


def _list_in(text: str) -> list[Any]:
    """The list in JSON that holds lists, if there is one."""
    begin = _LISTS.search(text)
    form = _json_at(text, begin.start()) if begin else []
    return form if isinstance(form, list) else []


def _json_at(text: str, begin: int) -> Any:
    """The JSON that begins at a place of a text, whatever follows it; None if there is none."""
    try:
        return json.JSONDecoder(strict=False).raw_decode(text, begin)[0]
    except (ValueError, RecursionError):
        return None


def by_worker(text: str, workers: Mapping[str, Role]) -> list[Read]:
    """What an object in JSON lists for each of its keys that is a worker."""
    found = list[Read]()
    for name, value in object_in(text).items():
        if type_ := called(name, workers):
            for each in value if isinstance(value, list) else [value]:
                said = draft_of({**unwrapped(each), "type": type_}) if isinstance(each, dict) else each
                draft = Draft(type_, said) if isinstance(said, str) and isinstance(each, str) else said
                if isinstance(draft, Draft) and reads_as_work(draft.description):
                    found.append(Read(draft, 2))
    return found


def object_in(text: str) -> dict[str, Any]:
    """The object in JSON that a text begins with, or the one in it that is a plan's; empty if there is none."""
    form = _json_at(text, max(0, text.find("{")))
    while isinstance(form, dict):
        inner = next((form[name] for name in form if plain(name) in _CONTAINERS and isinstance(form[name], dict)), None)
        if inner is None:
            return form
        form = inner
    return {}


def sections(text: str) -> list[Read]:
    """The sections that have the fields of a subtask; one that has a name of its own has it as its id.

    In TOML, or in what looks like it: a heading in brackets for each subtask, and below it a field a line.
    """
    found = []
    for heading, body in parted(_HEADING, text):
        name, fields = heading[1].rpartition(".")[2].strip("\"'"), _fields(body)
        found.append(fields if plain(name) in _PLURALS else {"id": name, **fields})
    return sure(found)


def _fields(body: str) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for key, raw in parted(_KEY, body):
        if is_field(key[1]):
            fields.setdefault(plain(key[1]), _value(raw, is_list=plain(key[1]) in NEEDS))
    return fields


def _value(raw: str, *, is_list: bool) -> Any:
    """A value as TOML writes it, or one without quotes; what stands behind it is none of it."""
    if raw.startswith(_LONG):
        return raw[3:].partition(raw[:3])[0].strip()
    end = _END.search(raw)
    value = (raw[: end.start()] if end else raw).strip()
    if value.startswith("["):
        return listed(value.partition("]")[0].replace("'", '"'))
    if not value:
        return ""
    if value[0] in QUOTES:
        value = value.splitlines()[0]
        closing = value.rfind(value[0], 1)
        return decode_text(value[1 : closing if closing > 0 else None])
    return value.splitlines()[0] if is_list else value
