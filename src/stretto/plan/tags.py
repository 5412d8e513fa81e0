"""Plans in tags: entries in XML, calls of tools as models write them in tags of their own, lists and tables in HTML."""

import html
import re
from collections.abc import Mapping

from stretto.ground.regex import regex
from stretto.plan.fields import DESCRIPTION, FIELD, is_field, parted, plain
from stretto.plan.fitting import called
from stretto.plan.item import Draft, Read, reads_as_work, sure
from stretto.types import Role

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
