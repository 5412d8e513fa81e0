"""An answer for people who want to know what it rests on: numbers in the text, and below it what they mean."""

from collections.abc import Mapping, Sequence

from stretto.ground.regex import regex
from stretto.references.citing import line
from stretto.references.reader import References
from stretto.types import Citation

_NUMBERED = regex(r"(?<![\w\])])\[(\d{1,3})\](?!\()")
_LONGEST = 200
_Key = tuple[str, tuple[int, int] | None, str, bool | None]


def footnotes(answer: str, citations: Sequence[Citation], described: Mapping[str, str] | None = None) -> str:
    """The answer with a number behind each passage that rests on something, and a list of these below.

    `described`: by id of a subtask what it is. Numbers go by first use, from 1, or from the first one that the answer
    does not use in brackets itself. Without citations the answer is as it was.
    """
    if not citations:
        return answer
    text, notes = numbered(answer, citations)
    listed = (f"- [{number}] {_described(one, described or {})}" for number, one in notes.items())
    return text + "\n\n---\n\n" + "\n".join(listed)


def numbered(answer: str, citations: Sequence[Citation]) -> tuple[str, dict[int, Citation]]:
    """The answer with a number in brackets behind each passage that rests on something, and what each of them means.

    No number is one that the answer has in brackets itself.
    """
    answer, fences = _closed(answer)
    first = max((int(number) for number in _NUMBERED.findall(answer)), default=0) + 1
    numbers: dict[_Key, int] = {}
    notes: dict[int, dict[int, None]] = {}  # by place, the numbers that stand there
    meant: dict[int, Citation] = {}
    for one in sorted(citations, key=lambda each: (each.end, each.start)):
        key = (one.source, one.lines, one.quote, one.verified)
        if key not in numbers:
            numbers[key] = first + len(numbers)
            meant[numbers[key]] = one
        notes.setdefault(_place(answer, min(max(one.end, 0), len(answer)), fences), {})[numbers[key]] = None
    return _noted(answer, notes, fences), meant


def _place(answer: str, end: int, fences: Sequence[tuple[int, int]]) -> int:
    """Where the numbers of a passage may stand: behind a block of code, inside the last cell of a row."""
    end = next((stop for start, stop in fences if start <= end <= stop), end)
    line = answer.rfind("\n", 0, end) + 1
    row = answer[line:end].rstrip()
    if row.lstrip().startswith("|") and row.endswith("|") and not row.endswith("\\|") and len(row.strip()) > 1:
        return line + len(row[:-1].rstrip())
    return end


def _noted(answer: str, notes: Mapping[int, Mapping[int, None]], fences: Sequence[tuple[int, int]]) -> str:
    pieces, at, ends = [], 0, {stop for _, stop in fences}
    for place in sorted(notes):
        marks = "".join(f"[{number}]" for number in notes[place])
        # Behind a `]` it would be a link, and before a parenthesis or a `[`; behind an address, a part of it.
        before = "" if place == 0 else "\n" if place in ends else " "
        after = "\n" if place in ends and answer[place : place + 2].strip("\r") not in {"", "\n", "\n\n"} else ""
        after = after or (" " if answer[place : place + 1] in {"(", "["} else "")
        pieces += [answer[at:place], before, marks, after]
        at = place
    return "".join(pieces) + answer[at:].rstrip()


def _closed(answer: str) -> tuple[str, tuple[tuple[int, int], ...]]:
    """The answer with its last block of code closed, and where its blocks are."""
    code = References(())
    code.feed(answer)
    code.end()
    if not code.unclosed:
        return answer, code.fences
    whole = f"{answer}{'' if answer.endswith(chr(10)) else chr(10)}{code.unclosed}"
    return whole, (*code.fences[:-1], (code.fences[-1][0], len(whole)))


def _described(one: Citation, described: Mapping[str, str]) -> str:
    if not one.name:
        return line(": ".join(filter(None, (one.source, described.get(one.source, "")))), _LONGEST)
    lines = "-".join(str(line) for line in dict.fromkeys(one.lines or ()))
    where = f", line{'s' if '-' in lines else ''} {lines}" if lines else ""
    quote = f': "{line(one.quote, _LONGEST)}"' if one.quote else ""
    doubt = " (not found in the file)" if one.verified is False else ""
    return f"{line(one.name, _LONGEST)}{where}{quote}{doubt}"
