"""A whole reply that holds no list of subtasks in JSON, in the other forms in which models write one."""

import html
import json
import re
from collections.abc import Iterator, Mapping

from stretto.ground.regex import regex
from stretto.plan.calls import calls, from_html, tag_calls, tagged
from stretto.plan.fields import FIELD, decode_text, in_english, is_field, plain, unwrapped
from stretto.plan.fitting import called
from stretto.plan.grids import by_worker, object_in, rows, sections, separated, table
from stretto.plan.item import Draft, Read
from stretto.plan.lines import read_lines
from stretto.types import Role

_ENCODED = regex(r"""(["'])\s*[\[{](?:\s|\\[nrt])*\\+["']""")
_QUOTE = "[\"'“”]"
_KEYED = regex(rf"""{_QUOTE}([^"'“”\\\n]{{1,60}}){_QUOTE}\s*:\s*\{{(?=\s*{_QUOTE}?({FIELD}){_QUOTE}?\s*:)""")
_OBJECT = regex(rf"""(\[\s*)?\{{\s*{_QUOTE}?({FIELD}){_QUOTE}?\s*:""")
_TEXTS = regex(r"""\s*(?:```\w*\s*)?\[\s*(["'])""")
# What has no entries as its values, though these have the keys of one: a list's own name, and a schema.
_CONTAINERS = frozenset(
    {"tasks", "subtasks", "plan", "steps", "tasklist", "todo", "properties", "items", "definitions", "function"}
    | {"arguments", "parameters", "args"}
)
# YAML's other form, in which texts have no quotes.
_FLOW = regex(r"^[ \t]*-[ \t]*\{[ \t]*\w{1,16}:[ \t]+[^\s\"'\[{]", re.MULTILINE)
# Each line as Markdown quotes it, and the signs of JSON as a Chinese keyboard writes them.
_CITED = regex(r"^[ \t]{0,3}>[ \t]?", re.MULTILINE)
_WIDE = regex(r"""(?<=["'“”}\]\d])\s{0,9}([：，])(?=\s{0,9}["'“”{\[\d])""")  # noqa: RUF001
_MARKS = str.maketrans("｛｝［］＂「」『』«»：，", '{}[]""""""":,')  # noqa: RUF001
_TICKS = regex(r"(?<=[{\[:,(\s])`([^`\"\\\n]{0,2000})`(?=\s{0,9}[,:}\])])")
# Names and values as PHP and Ruby have them.
_ARROW = regex(r"""(?:["']([\w -]{1,40})["']|:(\w{1,40}))\s{0,9}=>""")
# An end of a text is no condition: each would be looked for to the end of the reply.
_BRACKET = regex(r"""(?:\barray\s{0,3}\(|\[)(\s{0,40}"[^"\n]{1,40}":)?|[\])]|"(?:[^"\\]|\\.)*+"?|'(?:[^'\\]|\\.)*+'?""")
_ARROWED = 32_768  # characters that are read so
_NARROW = {"：": ":", "，": ","}  # noqa: RUF001


def forms(text: str, workers: Mapping[str, Role]) -> Iterator[str | list[Read]]:
    """The reply in JSON as it could have been written, or the entries it has, one form after the other.

    JSON in other signs or languages, lists by worker, rows, JSON as a text in JSON, a list of texts without a name,
    objects keyed by id or one after the other, XML, a table, HTML, TOML, CSV, calls as code has them or in tags, and at
    last YAML and lists in Markdown.
    """
    yield from _wrapped(text)
    if found := by_worker(text, workers):
        yield found
    if _name_a_worker(found := rows(text), workers):
        yield found
    yield from _decoded(text)
    if _TEXTS.match(text):
        yield '"steps": ' + text[text.index("[") :]
    if _FLOW.search(text) and (found := read_lines(text, workers)):
        yield found
    yield from _objects(text)
    unmarked = from_html(text)
    for found in (tagged(text), table(text), table(unmarked), read_lines(unmarked, workers)):
        if found:
            yield found
    # These are forms of many things besides; what names none of the workers is another.
    for other in (sections(text), separated(text), calls(text, workers), tag_calls(text, workers)):
        if _name_a_worker(other, workers):
            yield other
    if found := read_lines(text, workers):
        yield found


def _name_a_worker(reads: list[Read], workers: Mapping[str, Role]) -> bool:
    types = [read.item.type for read in reads if isinstance(read.item, Draft)]
    return bool(types) and (not workers or any(called(type_, workers) for type_ in types))


def _wrapped(text: str) -> Iterator[str]:
    """What stands in other signs, those of HTML or of a quotation, or in the calls of tools as endpoints send them."""
    if "&quot;" in text and '"' not in text:
        yield html.unescape(text)
    if "\n>" in text and "{" in (bare := _CITED.sub("", text)):
        yield bare
    if (narrow := _WIDE.sub(lambda sign: _NARROW[sign[1]], text)) != text:
        yield narrow
    if (narrow := text.translate(_MARKS)) != text and ("{" not in text or '"' not in text):
        yield narrow
    if (known := in_english(text)) != text:
        yield known
    if "=>" in text:
        yield _without_arrows(text[:_ARROWED])
    if "`" in text and "{" in text and (quoted := _TICKS.sub(r'"\1"', text)) != text:
        yield quoted
    if isinstance(tools := object_in(text).get("tool_calls"), list):
        yield json.dumps([unwrapped(each) for each in tools if isinstance(each, dict)])


def _without_arrows(text: str) -> str:
    """Arrays of PHP, which have names in brackets, and Ruby's hashes as JSON has them."""
    ends = list[str]()

    def bracket(found: re.Match[str]) -> str:
        mark = found[0]
        if mark in {"]", ")"}:
            return ends.pop() if ends else mark
        if mark[0] not in "[a":  # a text
            return mark
        ends.append("}" if found[1] else "]")
        return f"{'{' if found[1] else '['}{found[1] or ''}"

    return _BRACKET.sub(bracket, _ARROW.sub(lambda name: f'"{name[1] or name[2]}":', text))


def _decoded(text: str) -> Iterator[str]:
    """What is a text in JSON, and is JSON itself."""
    if found := _ENCODED.search(text):
        end = text.rfind(found[1])
        yield decode_text(text[found.start() + 1 : end if end > found.start() else len(text)])
    elif '{\\"' in text:
        yield text.replace('\\"', '"')


def _objects(text: str) -> Iterator[str]:
    """Objects that are no elements of a list with a name: that of another list, keyed by id, or one after the other."""
    text = _KEYED.sub(_with_id, text)
    found = [match for match in _OBJECT.finditer(text) if is_field(match[2])]
    first = next((match for match in found if match[1]), None)
    if first:
        yield text[first.start() :]
    if found:
        yield "[" + text[found[0].end(1) if found[0][1] else found[0].start() :]


def _with_id(match: re.Match[str]) -> str:
    if plain(match[1]) in _CONTAINERS or is_field(match[1]) or not is_field(match[2]):
        return match[0]
    return f'{{"id": "{match[1]}", '
