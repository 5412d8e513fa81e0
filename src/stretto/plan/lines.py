"""A plan in lines: YAML, or a list in Markdown.

Models write neither as a parser wants it (colons in plain texts, quotes that do not close, bold field names), so lines
are read one by one: a bullet or number begins an entry, `name: value` is a field of it, what follows goes on.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from msgspec import Struct

from stretto.ground.regex import regex
from stretto.plan.fields import FIELD, NEEDS, QUOTES, TYPE, is_field, listed, plain
from stretto.plan.fitting import called, labelled
from stretto.plan.item import Draft, Read, draft_of, reads_as_work, weight_of
from stretto.types import Role

_LINE = regex(
    r"([ \t]*)"
    r"(?:([-*+\u2013]|\(?(?:\d{1,3}[.):]|[A-Za-z][.)]|[ivxIVX]{1,5}[.)])|\d{1,2}\ufe0f?\u20e3|#{1,6}"
    r"|#\.|\.{1,3}|[\u2022\u2023\u2043\u2190-\u27bf\u2b00-\u2bff\U0001f300-\U0001faff]\ufe0f?)(?=[ \t])"
    r"|([一二三四五六七八九十]{1,3}[、.\uff0e]|第[一二三四五六七八九十\d]{1,3}[步项個个][:\uff1a、]?))?"
    r"[ \t]*(.*)"
)
_FIELD = regex(
    rf"""[*_`"']{{0,3}}({FIELD}(?:[ _-][A-Za-z]{{1,12}})?)[*_`"']{{0,3}}[ \t]*:[*_`]{{0,3}}(?:[ \t]+(.*))?$"""
)
_NUMBERED = regex(
    r"[*_\s]*(?:(?:sub[ -]?)?(?:task|step)\s{0,3}#?|t(?=\d{1,3}[*_\s]*[:(]))(\d{1,3})\b[\s:.)\u2013\u2014-]*(.*)",
    re.IGNORECASE,
)
# `**Costs** (research): …`
_CALLED = regex(
    r"[*_`]{0,3}(\w[^()\[\]:]{0,60}?)[*_`]{0,3}\s{0,3}[(\[]([^()\[\]]{1,40})[)\]][*_`]{0,3}\s{0,3}:[*_`]{0,3}\s"
)
_BOX = regex(r"(?:\[[ xX]?\]|TODO|DONE)\s+")
# LaTeX's emphasis, and its items that have a name
_COMMAND = regex(r"\\(?:text(?:bf|it|tt|sc)|emph|underline|section\*?|paragraph\*?)\{([^{}\n]{0,200})\}")
_ITEM = regex(r"^[ \t]{0,40}\\item[ \t]{0,9}(?:\[([^\[\]\n]{1,60})\]:?)?", re.MULTILINE)
_KEY = regex(r"([\w.-]{1,40}):")
_FLOW = regex(rf"(?:\A\{{|,)\s*([\"']?)({FIELD})\1\s*:")
# The same without braces: `Type: plan, Description: …`
_PLAIN_FLOW = regex(rf"(?:\A|[,;|])\s*(?:\*\*|[\"'`_])?({FIELD})(?:\*\*|[\"'`_])?\s*:(?:\*\*)?\s")
_NEEDED = regex(
    r"[\[(]\s{0,3}(?:needs|depends on|dependencies|requires|after|uses)\s{0,3}:?\s{0,3}([^\[\]()]{1,120})[\])]"
    r"[.*_]{0,3}\s*\Z",
    re.IGNORECASE,
)
_BLOCKS = frozenset({"|", ">", "|-", ">-", "|+", ">+"})
# What says that a list is a plan. "Here are the steps:" begins many an answer, and so does "a plan for your trip:".
_HEADING = regex(
    r"\b(?:sub[ -]?tasks?|tasks|task list|(?:teil)?aufgaben|tareas|subtareas|tâches)\b|子任务|任务"
    r"|^\W*(?:(?:the|my|our|work) )?plan\W*$",
    re.IGNORECASE,
)
_LONGEST_HEADING = 80


class _Line(Struct, frozen=True):
    """A line: how far it is indented, its bullet, number or heading's mark, and what it says."""

    indent: int
    mark: str
    said: str


class _Entry:
    """An entry while its lines are read."""

    def __init__(self, indent: int, id_: str = "") -> None:
        self.indent = indent
        self.fields: dict[str, Any] = {"id": id_} if id_ else {}
        self.explicit = False  # one of its lines names a field
        self.loose = False  # and has no bullet
        self._newest = ""

    @property
    def wants_list(self) -> bool:
        """Whether bullets that are further in are what it needs."""
        return self._newest in NEEDS and not isinstance(self.fields[self._newest] or [], str)

    @property
    def says(self) -> bool:
        """Whether it says already what is to be done."""
        return bool(self.fields.get("description", True))

    def put(self, name: str, value: str) -> None:
        self._newest = plain(name)
        value = "" if value in _BLOCKS else value.strip()
        is_list = self._newest in NEEDS and value.startswith("[")
        self.fields[self._newest] = listed(value.replace("'", '"')) if is_list else _unquoted(value)

    def add(self, text: str) -> None:
        """What a further line says belongs to the newest field, or is the description."""
        name = self._newest or "description"
        held = self.fields.get(name, "")
        if name in NEEDS:
            self.fields[name] = [*(held if isinstance(held, list) else []), _unquoted(text)]
        else:
            self.fields[name] = f"{held}\n{text}".strip()
            self._newest = name

    def name_field(self, name: str, value: str, *, loose: bool) -> None:
        """A line names a field; what the first line said then is only a title."""
        if not self.explicit and "description" in self.fields:
            self.fields["title"] = self.fields.pop("description")
        self.explicit, self.loose = True, self.loose or loose
        self.put(name, value)


def read_lines(text: str, workers: Mapping[str, Role]) -> list[Read]:
    """The entries of a list, if it is a plan: they name types or workers, or stand below a heading that says so."""
    entries, headed = _entries(text, workers)
    reads = [Read(draft, weight_of(entry.fields)) for entry in entries if (draft := _draft(entry, workers))]
    sure = sum(read.weight == 2 for read in reads)
    return reads if 2 * sure >= max(1, len(entries)) or (headed and len(reads) > 1) else []


def _draft(entry: _Entry, workers: Mapping[str, Role]) -> Draft | None:
    """The subtask that an entry is; None if it is none, or only says once more what a worker is good for."""
    fields = entry.fields
    if "actioninput" in fields and called(str(fields.get("action")), workers):  # as agents are told to call tools
        fields["type"] = fields.pop("action")
    draft = draft_of(fields)
    if isinstance(draft, str) or not reads_as_work(draft.description):
        return None
    told = plain(draft.description)
    return None if any(told == plain(role.about or "") for role in workers.values()) else draft


def _entries(text: str, workers: Mapping[str, Role]) -> tuple[list[_Entry], bool]:
    """The entries of a text, and whether a line above the first of them says that they are tasks."""
    entries: list[_Entry] = []
    entry: _Entry | None = None
    headed = gap = False
    key = ""
    for line in _lines(text):
        field = _field(line)
        if not line.said:
            gap = True
            continue
        if field and (flow := _flow(line)):
            entries.append(entry := flow)
        elif field:
            if entry is None or key or _begins(line, plain(field[0]), entry):
                entries.append(entry := _Entry(line.indent, key))
                key = ""
            entry.name_field(*field, loose=not line.mark)
        elif line.indent and not line.mark and (named := _KEY.fullmatch(line.said)) and _ends(line, entry):
            key, entry = named[1], None
        elif (number := _NUMBERED.match(line.said)) or _is_item(line) or _begun(line.said, workers):
            if entry and line.indent > entry.indent and not number:
                entry.add(line.said if entry.wants_list or not entry.says else f"{line.mark} {line.said}")
            else:
                entries.append(entry := _flow(line) or _labelled(line, number, workers))
        elif entry and not line.mark and (not gap or line.indent > entry.indent):
            entry.add(line.said)
        else:
            entry, headed = None, headed or (not entries and _is_heading(line))
        gap = False
    return entries, headed


def _lines(text: str) -> Iterator[_Line]:
    if "\\item" in text:
        text = _COMMAND.sub(r"**\1**", text)
        text = _ITEM.sub(lambda item: f"- {item[1]}: " if item[1] else "- ", text)
    for raw in text.splitlines():
        found = _LINE.match(raw)
        if found:
            said, mark = found[4].rstrip(), (found[2] or found[3] or "").replace("#.", "1.")
            said = "" if said.startswith(("```", "~~~", "---", "***", "\\begin{", "\\end{")) else said
            yield _Line(len(found[1].expandtabs()), mark, _BOX.sub("", said, count=1) if mark else said)


def _flow(line: _Line) -> _Entry | None:
    """The entry that a line is in YAML's other form: `{id: t1, type: plan, description: …}`, or without the braces."""
    braced = line.said.startswith("{") and line.said.endswith("}")
    entry, said = _Entry(line.indent), line.said[:-1] if braced else line.said
    places = [(each, each[2]) for each in _FLOW.finditer(said)] if braced else []
    places = places or [(each, each[1]) for each in _PLAIN_FLOW.finditer(said)]
    found = [(each, name) for each, name in places if is_field(name)]
    if len(found) < 2 or (not braced and not {plain(name) for _, name in found} & {*TYPE}):
        return None
    ends = [*(each.start() for each, _ in found[1:]), len(said)]
    for (each, name), end in zip(found, ends, strict=True):
        entry.name_field(name, said[each.end() : end].strip(), loose=False)
    return entry


def _ends(line: _Line, entry: _Entry | None) -> bool:
    """Whether a line is further out than the entry before it."""
    return entry is None or line.indent < entry.indent


def _field(line: _Line) -> tuple[str, str] | None:
    """The field that a line names, and its value."""
    found = None if line.mark.startswith("#") else _FIELD.match(line.said)
    if found is None or not is_field(found[1]):
        return None
    value = found[2] or ""
    # JSON over several lines that was cut off; what is half there would be taken for whole.
    return None if line.said.startswith('"') and value.endswith((",", "[", "{")) else (found[1], value)


def _begins(line: _Line, name: str, entry: _Entry) -> bool:
    """Whether a field that is named here is one of the next entry."""
    if not entry.explicit:
        return line.indent < entry.indent
    return name in entry.fields or bool(line.mark and entry.loose and line.indent <= entry.indent)


def _labelled(line: _Line, number: re.Match[str] | None, workers: Mapping[str, Role]) -> _Entry:
    """An entry whose first line says what is to be done, perhaps by whom."""
    entry = _Entry(line.indent)
    text = number[2] if number else line.said
    if needed := _NEEDED.search(text):
        entry.put("needs", needed[1])
        text = text[: needed.start()].rstrip()
    name, said = labelled(text, workers)
    if not name and (found := _named(text, workers)):
        title = found[1].strip("*_` ")
        entry.put("title" if " " in title else "id", title)
        name, said = called(found[2], workers), text[found.end() :]
    if not name and (only := called(text, workers)):  # what is to be done stands below
        name, said = only, ""
    if number:
        entry.put("id", f"t{int(number[1])}")
    if name:
        entry.put("type", name)
    entry.put("description", said.strip("*_` \t:"))  # which may still be empty
    return entry


def _is_item(line: _Line) -> bool:
    """Whether a line is one of a list."""
    return bool(line.mark) and not line.mark.startswith("#")


def _begun(text: str, workers: Mapping[str, Role]) -> bool:
    """Whether a line without a mark begins an entry: it names a worker, in brackets or before a colon at its end."""
    alone = text.rstrip("*_` ")
    return _named(text, workers) is not None or (
        alone.endswith((":", "\uff1a")) and len(alone) <= _LONGEST_HEADING and bool(called(alone, workers))
    )


def _named(text: str, workers: Mapping[str, Role]) -> re.Match[str] | None:
    """What a text is called before it says, in brackets, whose it is."""
    found = _CALLED.match(text)
    return found if found and called(found[2], workers) else None


def _is_heading(line: _Line) -> bool:
    marked = (
        line.mark.startswith("#") or line.said.rstrip("*_ ").endswith((":", "\uff1a")) or line.said.startswith("**")
    )
    return marked and len(line.said) <= _LONGEST_HEADING and _HEADING.search(line.said) is not None


def _unquoted(value: str) -> str:
    """A plain value without quotes around it, and without what YAML takes as a remark behind them."""
    value = value.strip()
    return value[1:-1] if len(value) > 1 and value[0] in QUOTES and value[-1] in QUOTES else value
