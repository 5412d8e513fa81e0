"""Where in a reply the list of a plan begins, and what the plan says before it."""

import re
from collections.abc import Sequence

from msgspec import Struct

from stretto.ground.regex import regex
from stretto.ground.text import clean
from stretto.plan.fields import FIELD, QUOTES, decode_text, is_field

REACH = 300
"""How far back a beginning can reach: no pattern here matches more characters."""

_NAME = (
    "(?:sub[ _-]?)?tasks|(?:sub)?task[ _-]?list|todos?|to[ _-]?do[ _-]?list|plan|steps|items|assignments|jobs"
    "|(?:work|plan)[ _-]?items|parts|actions"
)
_KEY = regex(rf"""["'“”]({_NAME})["'“”]\s{{0,40}}:\s{{0,40}}\[\Z""", re.IGNORECASE)
_UNQUOTED = regex(rf"""(?<![\w"'“”\\.-])({_NAME})\s{{0,40}}:\s{{0,40}}\[\s{{0,40}}(\{{)\Z""", re.IGNORECASE)
_NAMELESS = regex(rf"""(["'“”]\s{{0,40}}:\s{{0,40}})?\[\s{{0,40}}(\{{)\s{{0,40}}["'“”]?({FIELD})["'“”]?\s{{0,40}}:\Z""")
_PHASE = regex(
    "phase|stage|step|round|group|wave|batch|part|level|parallel|sequential|tasks|first|then|next|final", re.IGNORECASE
)
_KEY_BEFORE = r"""["'“”]([\w -]{1,40})["'“”]\s{0,40}:\s{0,40}"""
_FURTHER = regex(
    rf"""[\s}}\]]{{0,60}},\s{{0,40}}{_KEY_BEFORE}(?:\{{\s{{0,40}}{_KEY_BEFORE})?"""
    rf"""\[\s{{0,40}}(\{{)\s{{0,40}}["'“”]?({FIELD})["'“”]?\s{{0,40}}:\Z"""
)
_DRAFT = regex(
    r"(?:\bdraft|\b(?:first|initial|rough|preliminary|tentative)[ _](?:attempt|version|try|pass|idea|plan|outline|cut)"
    r"|entwurf\b|\bborrador\b|\bbrouillon\b|草案|初稿)"
    r"""(?:\w{0,9}["']\s{0,9}:|[^\n{}[\]"]{0,60})\s{0,20}(?:```\w{0,9}\s{0,9})?[{[]""",
    re.IGNORECASE,
)
_FURTHER_PLAN = regex(rf"""["'“”](?:{_NAME})["'“”]\s{{0,40}}:\s{{0,40}}\[\s{{0,40}}\{{""", re.IGNORECASE)
_SIZE = regex(r"""["'“”]size["'“”]\s{0,40}:\s{0,40}["'“”](\w{1,40})["'“”]""", re.IGNORECASE)
# Atomic groups, not possessive repeats: these capture wrongly on CPython 3.11.2, which is Debian 12's own.
_OPENING = regex(
    r"""["'](analysis|brief)["']\s*:\s*"""
    r"""(?:"((?>(?:[^"\\]+|\\.|"(?!\s*(?:,\s*["']|,?\s*(?:\}|\Z))))*))("?)"""
    r"""|'((?>(?:[^'\\]+|\\.|'(?!\s*(?:,\s*["']|,?\s*(?:\}|\Z))))*))('?))""",
    re.DOTALL | re.IGNORECASE,
)


class Beginning(Struct, frozen=True):
    """A list that may be the plan: where its first entry can begin, and its name, in small letters, if it has one."""

    start: int
    name: str = ""


def list_at(text: str) -> Beginning | None:
    """The list that the last character of a text proves to have begun, if it does.

    That is its bracket, the brace of its first entry where its name has no quotes, or the colon behind the first key
    where it has no name.
    """
    mark, before = text[-1], text[:-1].rstrip()[-1:]  # looked at first: nearly every mark begins nothing
    if mark == "[":
        found = _KEY.search(text) if before == ":" else None
        return Beginning(len(text), found[1].casefold()) if found else None
    if mark == "{":
        found = _UNQUOTED.search(text) if before == "[" else None
        return Beginning(found.start(2), found[1].casefold()) if found else None
    if "[" not in text or "{" not in text:
        return None
    found = _NAMELESS.search(text) if before.isalnum() or before in QUOTES else None
    if found is None or found[1] or not is_field(found[3]):
        return None
    return Beginning(found.start(2))


def further_at(text: str, *, named: bool) -> int | None:
    """Where the first entry begins of a list that follows the plan's in its object, if it goes on with that.

    Its name must say so if the plan's has one (`named`). `text`: all that stands behind the plan's list, up to the
    colon behind the entry's first key.
    """
    found = _FURTHER.match(text)
    if found is None or not is_field(found[4]) or (named and not _PHASE.search(found[1])):
        return None
    return found.start(3)


def is_draft(before: str) -> bool:
    """Whether the text before a list calls it a draft, so that the plan may still follow."""
    return _DRAFT.search(before) is not None


def has_plan(after: str) -> bool:
    """Whether a list that is called as a plan's stands in the text behind one."""
    return _FURTHER_PLAN.search(after) is not None


def size_in(texts: Sequence[str]) -> str:
    """The size that is told last in these texts, or ""."""
    return next((found[-1] for text in reversed(texts) if (found := _SIZE.findall(text))), "")


def opening_in(before: str, after: str, *keys: str) -> str:
    """What one of these keys says beside the list, or "" if there is none that can be decoded.

    Prose that quotes the form comes before the plan, so the last one before the list is meant.
    """
    for match in [*reversed(list(_OPENING.finditer(before))), *_OPENING.finditer(after)]:
        key, body, closed = match[1].casefold(), match[2] if match[2] is not None else match[4], match[3] or match[5]
        if key in keys and closed:
            return clean(decode_text(body))
    return ""
