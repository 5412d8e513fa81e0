"""Patterns of file names, matched in a time that grows with pattern times name, whoever wrote the pattern.

A star is matched by the first place where what follows it fits, and never tried again (an atomic group): of all ways
to match a pattern of stars that is one, and the usual translation to a regular expression tries each, for ever.
"""

import re
from collections.abc import Callable, Sequence

Part = Callable[[str], object] | None
"""Whether a name fits a part of a pattern; None stands for any number of folders (`**`)."""

_KINDS = {
    "alnum": r"^\W_", "alpha": r"^\W\d_", "blank": r" \t", "digit": r"0-9", "lower": "a-z", "upper": "A-Z",
    "space": r"\s", "punct": r"!-/:-@\[-`{-~", "xdigit": "0-9a-fA-F",
}  # fmt: skip


def part(pattern: str, *, escapes: bool) -> Part:
    """A pattern of one name; with `escapes` as git has it (https://git-scm.com/docs/gitignore), else as `glob` does."""
    if pattern == "**":
        return None
    chunks, at = [""], 0
    while at < len(pattern):
        sign = pattern[at]
        at += 1
        if sign == "*":
            if chunks[-1] or len(chunks) == 1:
                chunks.append("")
        elif sign == "?":
            chunks[-1] += "."
        elif sign == "[":
            found, at = _set(pattern, at, escapes=escapes)
            chunks[-1] += found
        elif sign == "\\" and escapes:
            chunks[-1] += re.escape(pattern[at : at + 1]) or _NEVER
            at += 1
        else:
            chunks[-1] += re.escape(sign)
    first, *rest = chunks
    if rest:
        *middle, last = rest
        first += "".join(f"(?>.*?{chunk})" for chunk in middle if chunk) + ".*" + last
    return re.compile(first, re.DOTALL).fullmatch


_NEVER = "(?!)"


def _set(pattern: str, at: int, *, escapes: bool) -> tuple[str, int]:
    """The set of characters that begins behind a `[`, as a regular expression, and where what follows it begins."""
    start, inside, negated = at, "", False
    if pattern[at : at + 1] in ({"!", "^"} if escapes else {"!"}):
        negated, at = True, at + 1
    kinds = list[str]()
    first = at
    while at < len(pattern) and (pattern[at] != "]" or at == first):
        named = re.compile(r"\[:(\w+):\]").match(pattern, at) if escapes else None
        if named and named[1] in _KINDS:
            kinds.append(_KINDS[named[1]])
            at = named.end()
            continue
        if pattern[at] == "\\" and escapes:
            at += 1
        low = pattern[at : at + 1]
        at += 1
        if pattern[at : at + 1] == "-" and pattern[at + 1 : at + 2] not in {"", "]"}:
            high = pattern[at + 2 : at + 3] if pattern[at + 1] == "\\" and escapes else pattern[at + 1]
            at += 3 if pattern[at + 1] == "\\" and escapes else 2
            inside += f"{re.escape(low)}-{re.escape(high)}" if low <= high else ""
        else:
            inside += re.escape(low)
    if at >= len(pattern):  # it is never closed: git matches nothing, a glob the bracket itself
        return (_NEVER, at) if escapes else (r"\[", start)
    options = [f"[{each}]" for each in (*kinds, inside) if each]
    either = f"(?:{'|'.join(options)})" if options else _NEVER
    return (f"(?!{either})[^/]" if negated else either), at + 1


def fits(parts: Sequence[Part], names: Sequence[str]) -> bool:
    """Whether the names of a path, from the top, fit the parts of a pattern."""
    at = name = 0
    again: tuple[int, int] | None = None  # the last `**`, and how far it reaches
    while name < len(names):
        if at < len(parts):
            each = parts[at]
            if each is None:
                at, again = at + 1, (at + 1, name)
                continue
            if each(names[name]):
                at, name = at + 1, name + 1
                continue
        if again is None:
            return False
        again = again[0], again[1] + 1
        at, name = again
    return all(each is None for each in parts[at:])
