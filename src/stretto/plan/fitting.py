"""Which worker does a subtask whose type was written in other words, or not at all: no subtask fails for its type."""

import re
from collections.abc import Callable, Iterable, Mapping

from msgspec.structs import replace

from stretto.ground.regex import regex
from stretto.plan.fields import plain
from stretto.plan.item import Draft, Read, reads_as_work
from stretto.plan.naming import shown
from stretto.types import Role

_WORD = regex(r"[^\W\d_]{3,}")
# Atomic groups: rows of stars and blanks belong to one of them only.
_SAID = r"(?:(?:type|worker|agent|role|assigned to)\s{0,3}[:=]\s{0,3}[*_`\"']{0,3})?"
_LABEL = regex(
    rf"(?>[\s*_`]*)[\[(]?(?>[\s*`]*){_SAID}([^\W_][\w/ -]{{0,39}}?)(?>[\s*_`\"']*)"
    r"(?:[\])](?>[\s*_`]*):?|:(?>[*_`]*)|[-=]>|\u2192|[-\u2013\u2014]\s)\s*(?=\S)"
)
# The same behind it: `Write the code. (code/solve)`
_BEHIND = regex(
    rf"[\[(][*_`]{{0,3}}{_SAID}([^\W_][\w/ -]{{0,39}}?)[*_`\"']{{0,3}}[\])][*_.`]{{0,4}}\s*\Z", re.IGNORECASE
)
_DASHED = regex(r"\s(?:[-\u2013\u2014\u2192]|[-=]>)\s{0,3}[*_`@\[]{0,3}([^\W_][\w/ -]{0,39}?)[*_`\].]{0,3}\s*\Z")
_ADDRESSED = regex(r"[*_`]{0,3}@([^\W_][\w/-]{0,39})[*_`]{0,3}[:,]?\s+(?=\S)")
_WIDE = str.maketrans("\uff08\uff09\uff1a\u3010\u3011\uff3b\uff3d", "():[][]")
_HEAD = 60
_ALIKE = 4  # letters that two words which begin alike have in common
_FEWEST = 3
_ENDING = regex("(?:ing|ers?|ors?|es?|s)$")
_EVERYTHING = regex(r"\b(?:any|anything|everything|whatever|general|all)\b", re.IGNORECASE)
_COMMON = frozenset(
    {
        *("and", "the", "for", "with", "from", "that", "this", "what", "which", "into", "their", "its", "each", "one"),
        *("are", "not", "but", "who", "how", "task", "tasks", "worker"),
    }
)


def fitted(draft: Draft, workers: Mapping[str, Role]) -> Draft:
    """The draft with a type that one of the workers has, and a remark if that had to be guessed.

    The only worker takes every type, as it is written.
    """
    if not workers or draft.type in workers:
        return draft
    if not draft.type:
        name, description = labelled(draft.description, workers)
        if name:
            return replace(draft, type=name, description=description)
    if len(workers) == 1:
        return draft if draft.type.strip() else replace(draft, type=next(iter(workers)))
    if name := called(draft.type or draft.id or "", workers):
        return replace(draft, type=name)
    if name := _meant(draft.type, workers) if draft.type else _meant(draft.description, workers, abouts=False):
        said = f"type {shown(draft.type)} is taken to mean" if draft.type else "it names no type, and is given to"
        return replace(draft, type=name, remark=f"{said} {name!r}")
    name = general(workers)
    said = f"no worker is of type {shown(draft.type)}" if draft.type else "it names no type"
    return replace(draft, type=name, remark=f"{said}, and {name!r} does it")


def keyed(read: Read, workers: Mapping[str, Role]) -> Read:
    """An entry that has its worker's name as its only key (`{"plan": "Say what comes first."}`), as what it is."""
    name, said = next(iter(read.fields.items()), ("", None)) if len(read.fields) == 1 else ("", None)
    if isinstance(said, str) and reads_as_work(said) and (type_ := called(name, workers)):
        return replace(read, item=Draft(type_, said), weight=2)
    return read


def labelled(text: str, workers: Mapping[str, Role]) -> tuple[str, str]:
    """The worker that a text names before or behind what is to be done (`[plan] …`, `plan: …`, `… (plan)`); rest."""
    for label in (_LABEL, _ADDRESSED):
        found = label.match(text[:_HEAD].translate(_WIDE) + text[_HEAD:])
        if found and (name := called(found[1], workers)):
            return name, text[found.end() :]
    for label in (_BEHIND, _DASHED):
        found = label.search(text, max(0, len(text) - 80))
        if found and (name := called(found[1], workers)):
            return name, text[: found.start()].rstrip()
    return "", text


def general(workers: Mapping[str, Role]) -> str:
    """The worker for what fits none: the one called `general`, else one that says it does anything, else the first."""
    everything = [name for name, role in workers.items() if _EVERYTHING.search(role.about or "")]
    return "general" if "general" in workers else next(iter([*everything, *workers]))


def called(type_: str, workers: Mapping[str, Role]) -> str:
    """The worker of this name, but for case, punctuation and number; empty if there is none, or several."""
    asked = plain(type_).rstrip("s")
    alike = [name for name in workers if plain(name).rstrip("s") == asked]
    return alike[0] if len(alike) == 1 and asked else ""


def _meant(type_: str, workers: Mapping[str, Role], *, abouts: bool = True) -> str:
    """The one worker whose name begins like the type, or has a word of it; else the one whose `about` has."""
    asked, words = plain(type_), _words(type_)
    tries: list[Callable[[str, Role], bool]] = [
        lambda name, _: _begins(plain(name), asked, _FEWEST),
        lambda name, _: _stem(name) == _stem(type_),
        lambda name, _: _share(_words(name), words),
        *([lambda _, role: _share(_words(role.about or ""), words)] if abouts else []),
    ]
    for fits in tries:
        alike = [name for name, role in workers.items() if fits(name, role)]
        if len(alike) == 1:
            return alike[0]
    return ""


def _words(text: str) -> set[str]:
    return {word for word in (found.casefold() for found in _WORD.findall(text)) if word not in _COMMON}


def _share(some: Iterable[str], others: Iterable[str]) -> bool:
    others = list(others)
    return any(one == other or _begins(one, other, _ALIKE) for one in some for other in others)


def _begins(one: str, other: str, fewest: int) -> bool:
    """Whether one of two words begins with the other."""
    shorter, longer = sorted((one, other), key=len)
    return len(shorter) >= fewest and longer.startswith(shorter)


def _stem(word: str) -> str:
    """What `coding` and `coder` have in common with `code`; a blank if nothing is left that says anything."""
    stem = _ENDING.sub("", plain(word))
    return stem if len(stem) >= _FEWEST else word + " "
