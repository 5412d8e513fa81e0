"""An answer in Markdown as a tree of elements, which a browser builds without reading any HTML."""

from collections.abc import Container, Iterator, Sequence

import msgspec
from markdown_it.token import Token

from stretto.ground.regex import regex
from stretto.views.markdown import MOST, leads_out, reading

Tree = str | list["Tree | dict[str, str]"]
"""A text, or an element: its name, its attributes if it has any, and what is in it."""

_PIECES = {"text": "", "softbreak": "\n", "html_inline": "", "html_block": ""}
_ALIGN = "text-align:"
_NUMBER = regex(r"[1-9][0-9]{0,5}")


def tree_of(answer: str, numbers: Container[int] = ()) -> list[Tree]:
    """The answer's blocks; `[3]` becomes a `cite` if 3 is one of the `numbers`. What is JSON is shown as that."""
    if data := _json(answer):
        return [["pre", ["code", data]]]
    blocks = _children(iter(reading().parse(answer[:MOST])), numbers)
    more = len(answer) - MOST
    return [*blocks, ["p", f"and {more:,} more characters"]] if more > 0 else blocks


def _json(answer: str) -> str:
    """The answer as indented JSON, if it is an object or a list; else nothing."""
    try:
        data = msgspec.json.decode(answer)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        return ""
    return msgspec.json.format(msgspec.json.encode(data)).decode() if isinstance(data, dict | list) else ""


def _children(tokens: Iterator[Token], numbers: Container[int]) -> list[Tree]:
    """What stands until the element that is open is closed."""
    found: list[Tree] = []
    for token in tokens:
        if token.nesting < 0:
            break
        if token.nesting > 0:
            within = _children(tokens, numbers)
            found += within if token.hidden else [[token.tag, *_attributes(token), *within]]
        elif token.type == "inline":
            found += _children(iter(token.children or ()), numbers)
        else:
            found += _leaf(token, numbers)
    return found


def _leaf(token: Token, numbers: Container[int]) -> Sequence[Tree]:
    if token.type in _PIECES:
        return _numbered(token.content or _PIECES[token.type], numbers)
    if token.type in {"fence", "code_block"}:
        return [["pre", ["code", token.content]]]
    return [[token.tag, token.content]] if token.content else [[token.tag]]


def _numbered(text: str, numbers: Container[int]) -> list[Tree]:
    """The text, and the references in it."""
    found: list[Tree] = []
    rest = text
    while rest:
        before, bracket, behind = rest.partition("[")
        digits, closed, after = behind.partition("]")
        found.append(before)
        rest = after
        if not bracket:
            break
        if closed and _NUMBER.fullmatch(digits) and int(digits) in numbers:
            found.append(["cite", digits])
        else:
            found.append("[")
            rest = behind
    return [piece for piece in _joined(found) if piece]


def _joined(pieces: Sequence[Tree]) -> list[Tree]:
    """Texts that stand side by side as one."""
    found: list[Tree] = []
    for piece in pieces:
        if isinstance(piece, str) and found and isinstance(found[-1], str):
            found[-1] += piece
        else:
            found.append(piece)
    return found


def _attributes(token: Token) -> Iterator[dict[str, str]]:
    told: dict[str, str] = {}
    address, style = str(token.attrs.get("href", "")), str(token.attrs.get("style", ""))
    if token.tag == "a" and leads_out(address):
        told["href"] = address
    if style.startswith(_ALIGN):
        told["align"] = style.removeprefix(_ALIGN)
    if "start" in token.attrs:
        told["start"] = str(token.attrs["start"])
    if told:
        yield told
