"""Replies that say again what they were told: pieces of our prompts, our headings, the task in place of its answer."""

import re
import string
from collections.abc import Iterable, Iterator, Sequence
from functools import cache, lru_cache

from msgspec import Struct

from stretto.ground.files import SHIPPED
from stretto.ground.regex import regex
from stretto.prompts.filling import names, text

LONGEST = 8
"""Words in a row of a prompt of ours that are no coincidence."""

_PART, _STEP = 4, 5
_SIGNS = "\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af"  # each of which is a word: no spaces tell more
_WORD = regex(rf"[{_SIGNS}]|[^\W{_SIGNS}]+")
_PUNCTUATION = str.maketrans(dict.fromkeys(map(ord, string.punctuation.replace("_", "") + "’“”„…–—"), " "))  # noqa: RUF001
_PLACEHOLDER = regex(r"\{\w+\}")
# With a mark of a heading before it: a program may well have a variable called ledger.
_MARKS = "=#*"
_HEADING = regex(
    rf"^[ \t]*[{_MARKS}][{_MARKS} \t]*"
    r"(?:(?:partial )?result of \S+ \([^)\n]*\)|(?:partial )?worker result \(|ledger[ \t]*=="
    r"|missing: result of )[^\n]*\n?",
    re.IGNORECASE | re.MULTILINE,
)
_ENDS = regex(r"[.!?:。！？：](?=\s|$)|\n")  # noqa: RUF001 - of sentences, in all scripts
# Of a text in lower case: to look for capitals, or for what stands before it, takes ten times as long.
_LEAD = regex(r"(?:the (?:whole )?task(?: is)?(?: to)?|your part[^:\n]*|my part[^:\n]*|task|thank you for the task)\b")
_LABEL = regex(r"[\s*_#>-]{0,20}(task|your part|my part)[*_ ]{0,5}:[*_ \t]{0,5}", re.IGNORECASE)
_QUOTED = regex(r"""["'`«„“][^"'`«»„“”\n]*["'`»“”]""")
_SHORT = 60  # words of a task or a reply beyond which saying them again may well be the work itself
_LETTERS = 20  # of a word, at most
_LEAST = 4  # words of a reply of which this can be said
_ALIKE = 0.75  # of its words, each in a run of three that stands in the task as well, or of four in our prompts


def echoes(reply: str, material: Iterable[str]) -> list[tuple[int, int]]:
    """Where a reply says again what our prompts say, as whole sentences or lines; never what `material` says, too."""
    marked = any(mark in reply for mark in _MARKS)
    found = [(match.start(), match.end()) for match in _HEADING.finditer(reply)] if marked else []
    if not found and not _may_echo(reply):  # nearly always
        return []
    told = [(run, span) for run, span in _runs(reply, LONGEST) if run in _ours()]
    said = {run for run, _ in told}  # mostly none: then all that the material says need not be looked through
    theirs = {run for part in material for run, _ in _runs(part, LONGEST) if run in said} if said else set()
    ours = [span for run, span in told if run not in theirs]
    headings = {match.group().strip().casefold() for part in material for match in _HEADING.finditer(part)}
    found = [span for span in found if reply[slice(*span)].strip().casefold() not in headings]
    return _joined(sorted([*found, *(_sentence(reply, *span) for span in ours)]))


def headed(reply: str, task: str, asked: str) -> int:
    """How far a reply begins as its prompt ends, with `Task:` and the task, and `Your part:`: small models do."""
    at, said = 0, f"{task}\n{asked}".casefold()
    while (label := _LABEL.match(reply, at)) and f"{label[1].casefold()}:" not in said:
        line = reply[label.end() :].partition("\n")[0]
        words = _words(line)
        if words and any(words == _words(part.strip().partition("\n")[0]) for part in (task, asked)):
            at = label.end() + len(line)
            continue
        return label.end() if label[1].casefold() != "task" else at
    return at


def without(reply: str, spans: Iterable[tuple[int, int]]) -> str:
    """The reply without these pieces of it."""
    left, at = "", 0
    for start, end in spans:
        left, at = _beside(left, reply[at:start]), end
    return _beside(left, reply[at:]).strip()


def _beside(left: str, right: str) -> str:
    """Two texts between which something was cut out, with an empty line between them at most."""
    if not (left.endswith("\n") or right.startswith("\n")):
        return left + right
    return "\n\n".join(filter(None, (left.rstrip("\n"), right.lstrip("\n"))))


def restates(reply: str, task: str, asked: str) -> bool:
    """Whether a short reply says nothing but what was asked, or the whole of a short task."""
    if len(reply) > _LETTERS * _SHORT:
        return False
    words = _words(_LEAD.sub(" ", reply.casefold(), count=1))
    if not _LEAST <= len(words) <= _SHORT:
        return False
    runs = _triples(words)
    for other in {asked, task, f"{task} {asked}".strip()}:
        known = _told(other)
        if known.runs.isdisjoint(runs) or known.words > _SHORT or len(words) > 2 * known.words + _LEAST:
            continue
        found = {at + n for at, run in enumerate(runs) if run in known.runs for n in range(3)}
        if len(found | _ours_in(words)) >= _ALIKE * len(words):
            return True
    return False


def _ours_in(words: Sequence[str]) -> set[int]:
    """The places of the words that stand in a run of four that our prompts have, too."""
    parts = enumerate(zip(*(words[at:] for at in range(_PART)), strict=False))
    return {at + n for at, part in parts if part in _anchors() for n in range(_PART)}


def recites(reply: str, prompt: str) -> bool:
    """Whether a short reply says nothing but what the template of its prompt says; what that quotes it may well say."""
    if len(reply) > _LETTERS * _SHORT:
        return False
    words = _words(reply)
    if not LONGEST <= len(words) <= _SHORT:
        return False
    pieces = _PLACEHOLDER.split(_QUOTED.sub("{quoted}", prompt))
    known = {run for piece in pieces for run in _triples(_words(piece))}
    found = {at + n for at, run in enumerate(_triples(words)) if run in known for n in range(3)}
    return len(found) >= _ALIKE * len(words)


class _Told(Struct, frozen=True):
    """How many words a text has, and its runs of three."""

    words: int
    runs: frozenset[tuple[str, ...]]


@lru_cache(maxsize=128)
def _told(part: str) -> _Told:
    """What is compared of a short text; nothing of a long one. The same task is looked at beside each of its parts."""
    words = _words(part) if len(part) <= _LETTERS * _SHORT else []
    return _Told(len(words), frozenset(_triples(words)))


def _words(part: str) -> list[str]:
    return _plain(part) if part.isascii() else _WORD.findall(part.casefold())


def _plain(part: str) -> list[str]:
    """The words of a text with spaces between them: a third of what a pattern takes."""
    return part.casefold().translate(_PUNCTUATION).split()


def _triples(words: Sequence[str]) -> list[tuple[str, ...]]:
    return list(zip(words, words[1:], words[2:], strict=False))


def _runs(part: str, length: int) -> Iterator[tuple[tuple[str, ...], tuple[int, int]]]:
    """Every run of so many words, with where it begins and ends."""
    found = list(_WORD.finditer(part))
    words = [match.group().casefold() for match in found]
    for at, run in enumerate(zip(*(words[first:] for first in range(length)), strict=False)):
        yield run, (found[at].start(), found[at + length - 1].end())


def _may_echo(reply: str) -> bool:
    """Whether a closer look is needed: a run of eight words has one of four in it that begins at a fifth word."""
    words = _plain(reply)
    parts = zip(*(words[first::_STEP] for first in range(_PART)), strict=False)
    return not _anchors().isdisjoint(parts)


@cache
def _anchors() -> frozenset[tuple[str, ...]]:
    runs = [words for words in map(_plain, _pieces()) if len(words) >= LONGEST]
    return frozenset(part for words in runs for part in zip(*(words[at:] for at in range(_PART)), strict=False))


@cache
def _ours() -> frozenset[tuple[str, ...]]:
    """Every run of words in a prompt of the package."""
    return frozenset(run for piece in _pieces() for run, _ in _runs(piece, LONGEST))


def _pieces() -> list[str]:
    """All that stands in the prompts and presets of the package, between placeholders."""
    told = [text(name) for name in names()]
    told += [path.read_text(encoding="utf-8") for path in sorted((SHIPPED / "presets").glob("*.toml"))]
    return [piece for each in told for piece in _PLACEHOLDER.split(each)]


def _sentence(reply: str, start: int, end: int) -> tuple[int, int]:
    """The sentence or line that these words stand in, or all of those."""
    before = [match.end() for match in _ENDS.finditer(reply, 0, start)]
    after = _ENDS.search(reply, end)
    return before[-1] if before else 0, after.end() if after else len(reply)


def _joined(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    joined: list[tuple[int, int]] = []
    for start, end in spans:
        if joined and start <= joined[-1][1]:
            joined[-1] = joined[-1][0], max(end, joined[-1][1])
        else:
            joined.append((start, end))
    return joined
