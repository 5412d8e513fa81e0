"""A plan as code that nobody runs, or in tags: `Task(type="plan", …)`, or each worker called with what it is to do.

In tags are entries in XML, calls of tools as models write them, lists and tables in HTML. Source of the
calls: LLMCompiler (https://arxiv.org/abs/2312.04511), and models that were trained to call tools.
"""

import html
import re
from collections.abc import Iterator, Mapping
from typing import Any

from msgspec import Struct

from stretto.ground.regex import parted, regex
from stretto.plan.fields import DESCRIPTION, FIELD, is_field, listed, plain, unquoted
from stretto.plan.fitting import called
from stretto.plan.item import Draft, Read, draft_of, reads_as_work, sure, weight_of
from stretto.types import Role

# One that does not end goes to the end of its line: to try each quote in it anew would take the square of its length.
_STRING = r'"{3}(?s:.*?)"{3}|"(?>(?:[^"\\\n]|\\.)*)"?|' + r"(?<![A-Za-z]{2})'(?>(?:[^'\\\n]|\\.)*)'?"
_TOKEN = regex(
    _STRING + r"|(?P<call>[A-Za-z_][\w.]{0,60})\s{0,3}\(|[()\[\]{},]|(?P<name>[A-Za-z_]\w{0,30})\s{0,3}=(?!=)"
)
_TARGET = regex(r"(?:^|\n)[ \t]*(?:(\d{1,3})[.)][ \t]*|([A-Za-z_]\w{0,30})[ \t]*=[ \t]*)?(?:await[ \t]+)?\Z")
_REFERENCE = regex(r"\$\{?(\w{1,40})\}?|(?<![\w\"'])([A-Za-z_]\w{0,30})(?![\w\"'(])")

_ENTRY = regex(r"<(?:(?:sub_?)?(?:task|step)|item)\b([^<>]{0,300})>", re.IGNORECASE)
_END = regex(r"</(?:(?:sub_?)?(?:task|step)|item)s?>", re.IGNORECASE)
_TAG = regex(rf"<(/?)({FIELD})>")
_ANY_TAG = regex(r"</?[A-Za-z]\w{0,30}[^<>]{0,300}>")
_ATTRIBUTE = regex(r"""([A-Za-z]\w{0,15})\s{0,9}=\s{0,9}["']([^"'<>]{0,300})["']""")
# Claude's `<invoke name="plan">`, Qwen's `<function=plan>`, GLM's `<tool_call>plan`; and what they are given.
_INVOKED = regex(
    r"""<invoke name=["']([\w/. -]{1,40})["']>|<function=([\w/. -]{1,40})>"""
    r"|<tool_call>\s{0,9}([\w/.-]{1,40})\s{0,9}(?=<arg_key>)"
)
_GIVEN = regex(
    r"""<parameter(?: name)?=["']?([\w -]{1,40})["']?>"""
    r"|<arg_key>\s{0,9}([\w -]{1,40})\s{0,9}</arg_key>\s{0,9}<arg_value>|(</(?:parameter|arg_value)>)"
)
_NAMED = regex(r"<([A-Za-z][\w/.-]{0,39})>([^<>]{5,4000})</([A-Za-z][\w/.-]{0,39})>")
_ITEM = regex(r"<li\b[^<>]{0,200}>\s*", re.IGNORECASE)
_ROW = regex(r"<tr\b[^<>]{0,200}>\s*", re.IGNORECASE)
_GAP = regex(r"\n[ \t\n]*\n")
_CELL = regex(r"</t[hd]>\s*", re.IGNORECASE)


class _Call(Struct):
    """A call that is written down: its name, what it is assigned to, and its arguments as they stand.

    `own_line`: nothing stands before it.
    """

    name: str
    own_line: bool
    target: str
    places: list[str]
    names: dict[str, str]


def calls(text: str, workers: Mapping[str, Role]) -> list[Read]:
    """The calls that say what a subtask is, or call a worker."""
    reads, targets = [], set[str]()
    for call in _calls(text):
        fields = _fields(call, workers, targets)
        draft, weight = draft_of(fields), weight_of(fields)
        if isinstance(draft, Draft) and weight == 2 and reads_as_work(draft.description):
            reads.append(Read(draft, weight))
            targets.update(filter(None, (call.target, draft.id)))
    return reads


def _fields(call: _Call, workers: Mapping[str, Role], targets: set[str]) -> dict[str, Any]:
    worker = called(call.name, workers) if call.own_line and "." not in call.name else ""
    fields: dict[str, Any] = {plain(name): _value(raw) for name, raw in call.names.items() if is_field(name)}
    texts = [unquoted(raw) for raw in call.places if raw[:1] in {'"', "'"}]
    if worker:
        fields.setdefault("type", worker)
    elif not call.names and not any(called(each, workers) for each in texts):
        return {}
    for said in texts:
        if not worker and "type" not in fields and called(said, workers):
            fields["type"] = said
        elif not reads_as_work(said) and "id" not in fields:
            fields["id"] = said
        else:
            fields.setdefault("description", said)
    if call.target:
        fields.setdefault("id", call.target)
    named = (each for raw in call.places if raw[:1] not in {'"', "'"} for each in _REFERENCE.finditer(raw))
    used = [name for each in named if (name := each[1] or each[2]) in targets]
    if used and worker:
        fields.setdefault("needs", used)
    return fields


def _value(raw: str) -> Any:
    if raw[:1] in {'"', "'"}:
        return unquoted(raw)
    if raw.startswith(("[", "(")):
        return listed(raw[1:].rstrip(")] \n,").replace("'", '"').replace("$", ""))
    return raw.strip().lstrip("$")


def _calls(text: str) -> Iterator[_Call]:
    """The calls that have no other around them but one that gathers them, in the order of their ends."""
    opened: list[tuple[str, _Call | None]] = []
    name, at = "", 0
    for token in _TOKEN.finditer(text):
        innermost = opened[-1][1] if opened else None
        said = token[0]
        if token["call"]:
            before = _TARGET.search(text, max(0, token.start() - 60), token.start())
            call = _Call(token["call"], before is not None, (before[1] or before[2] or "") if before else "", [], {})
            opened.append(("(", call))
            name, at = "", token.end()
        elif said in "([{":
            opened.append((said, None))
        elif said in ")]}" and opened:
            _, closed = opened.pop()
            if closed:
                _argument(closed, name, text[at : token.start()])
                yield closed
                name, at = "", token.end()
        elif innermost and said == ",":
            _argument(innermost, name, text[at : token.start()])
            name, at = "", token.end()
        elif innermost and token["name"]:
            name, at = token["name"], token.end()


def _argument(call: _Call, name: str, raw: str) -> None:
    raw = raw.strip()
    if name:
        call.names.setdefault(name, raw)
    elif raw:
        call.places.append(raw)


def tagged(text: str) -> list[Read]:
    """Entries in XML: `<task><type>…</type><description>…</description></task>`."""
    found = []
    for match, rest in parted(_ENTRY, text):
        fields = {plain(name): html.unescape(value) for name, value in _ATTRIBUTE.findall(match[1])}
        inside = _END.split(rest, maxsplit=1)[0]
        inside = inside.replace("<![CDATA[", "").replace("]]>", "")
        fields |= _elements(inside)
        said = " ".join(_ANY_TAG.sub(" ", inside).split())
        if said and not any(fields.get(name) for name in DESCRIPTION):
            fields["description"] = html.unescape(said)
        found.append(fields)
    return sure(found)


def _elements(text: str) -> dict[str, str]:
    """The elements of an entry that have the name of a field."""
    fields: dict[str, str] = {}
    name, start = "", 0
    for tag in _TAG.finditer(text):
        if not tag[1] and not name and is_field(tag[2]):
            name, start = tag[2], tag.end()
        elif tag[1] and tag[2] == name:
            fields.setdefault(plain(name), html.unescape(text[start : tag.start()].strip()))
            name = ""
    return fields


def tag_calls(text: str, workers: Mapping[str, Role]) -> list[Read]:
    """The workers that are called in tags, or whose names are tags around what they are to do."""
    found = []
    for match, rest in parted(_INVOKED, text):
        given = {name: value for name, value in _given(rest).items() if is_field(name)}
        name = called(match[1] or match[2] or match[3], workers)
        found.append({**given, "type": name} if name else given)
    return sure(found) or [
        Read(Draft(type_, said), 2)
        for match in _NAMED.finditer(text)
        if match[1] == match[3] and (type_ := called(match[1], workers))
        if reads_as_work(said := html.unescape(match[2]).strip())
    ]


def _given(text: str) -> dict[str, str]:
    """What a call in tags gives, each up to its closing tag."""
    given: dict[str, str] = {}
    name, start = "", 0
    for tag in _GIVEN.finditer(text):
        if tag[3] and name:
            given.setdefault(name, html.unescape(text[start : tag.start()].strip()))
            name = ""
        elif not tag[3]:
            name, start = plain(tag[1] or tag[2]), tag.end()
    return given


def from_html(text: str) -> str:
    """A list or table of HTML as Markdown has it; empty if there is none."""
    marked = _CELL.sub(" | ", _ROW.sub("\n| ", _ITEM.sub("\n- ", text)))
    return "" if marked == text else html.unescape(_GAP.sub("\n", _ANY_TAG.sub("", marked)))
