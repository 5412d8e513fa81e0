"""The answer without its references, while it is being written; and what they were."""

import re
from collections.abc import Collection, Sequence

from msgspec import Struct

from stretto.ground.regex import regex
from stretto.references.citing import Found, cite
from stretto.references.marks import LONGEST, Mark, Sources, read_mark
from stretto.references.prose import HOLD, Prose, wait
from stretto.types import Citation, Input

_BETWEEN = regex(r"[ \xa0]?[,;]?[ \xa0]?\[\^")
_MAYBE_BETWEEN = regex(r"[ \xa0]?[,;]?[ \xa0]?\[?\Z")
_ENCLOSING = regex(r"[ \xa0]?[)\uff09]")
_OPENED = "(\uff08"
_MANY = 20_000


class _Placed(Struct, frozen=True):
    """A reference and where it ends; without one, the parenthesis behind some."""

    mark: Mark | None
    end: int


class References(Prose):
    """Takes the references out of an answer that comes in pieces.

    `known`: the ids of the subtasks that have a text; `planned`: of all there are, if more; `inputs`: those of the
    task, in their order (`i1`, `i2`, …), which may be called by their names, too. Removed are references that name
    anything known, and those that only seem to:
    `t7`, `i9`, what is planned but has no text, numbers in the form of known ids; `remarks` tell these. What else
    stands in `[^…]` is the answer's own, its Markdown footnotes (`[^1]`, `[^note]`) above all, and stays. So does
    everything in code: in fences, and between backticks that close within their paragraph and `LONGEST` characters.
    A footnote that is defined for one of ours (`[^t3]: …` at the start of a line) keeps its words, as `t3: …`.

    Of `feed` and `end` comes the clean text. Quotes are looked for in the inputs when `citations` or `remarks` are
    first asked for, which takes some milliseconds for each megabyte and quote.
    """

    def __init__(self, known: Collection[str], inputs: Sequence[Input] = (), planned: Collection[str] = ()) -> None:
        super().__init__()
        self._sources = Sources(known, planned, [each.name for each in inputs])
        self._inputs = tuple(inputs)
        self._found: list[Found] = []
        self._judged: tuple[int, tuple[tuple[Citation, ...], tuple[str, ...]]] | None = None

    def restart(self) -> None:
        """Forget what was read: the answer begins anew."""
        super().__init__()
        self._found, self._judged = [], None

    @property
    def citations(self) -> tuple[Citation, ...]:
        """What the passages of the clean text rest on, in its order."""
        return self._judgement()[0]

    @property
    def remarks(self) -> tuple[str, ...]:
        """What was removed though nothing is behind it, and what is not in the inputs; each once."""
        return self._judgement()[1]

    def _judgement(self) -> tuple[tuple[Citation, ...], tuple[str, ...]]:
        read = self._passed + len(self._held)
        if self._judged is None or self._judged[0] != read:
            self._judged = read, cite(self.text, self._fences, self._found, self._sources, self._inputs)
        return self._judged[1]

    def _reference(self, at: int, lead: re.Match[str]) -> int:
        """What may be a reference, or several in parentheses; these go with them."""
        bracket = lead.end() - 2
        enclosed = lead[0].lstrip(" \xa0")[0] in _OPENED
        marks = self._marks(bracket) if enclosed else self._mark_at(bracket)
        if marks is None:
            return wait(at, lead.start())
        if marks and lead[0] == "[^" and self._last == "\n":
            return self._defined(at, lead.start(), marks)
        if marks:
            return self._remove(marks)
        # Of what is none, only so much is text for certain that the rest can be looked at again.
        end = lead.start() + lead[0].index(lead[0].lstrip(" \xa0")[0]) + 1
        return self._emit(lead.start(), end)

    def _defined(self, at: int, start: int, marks: list[_Placed]) -> int:
        """A reference at the start of a line, which a colon makes a footnote of the answer's own."""
        end = marks[-1].end
        if end == len(self._held) and not self._over:
            return wait(at, start)
        self._remove(marks)
        if self._held.startswith(":", end):
            self._behind = False
            self._put(", ".join(part.label for placed in marks if placed.mark for part in placed.mark.parts))
        return end

    def _marks(self, at: int) -> list[_Placed] | None:
        """The references from here to a closing parenthesis; none if there is anything else."""
        marks: list[_Placed] = []
        end = at + LONGEST
        while at < end:
            one = self._mark_at(at)
            if not one:
                return one
            marks += one
            at = one[0].end
            if close := _ENCLOSING.match(self._held, at):
                return [*marks, _Placed(None, close.end())]
            between = _BETWEEN.match(self._held, at)
            if between is None:
                tell = self._over or not _MAYBE_BETWEEN.match(self._held, at)
                return [] if tell else None
            at = between.end() - 2
        return []

    def _mark_at(self, at: int) -> list[_Placed] | None:
        """The reference that begins here; none if there is none, None if nobody can tell yet."""
        window = self._held[at : at + LONGEST]
        mark = read_mark(window, self._sources.knows, over=self._over)
        if mark is True:
            return None
        return [_Placed(mark, at + mark.size)] if mark and self._sources.owns(mark) else []

    def _after(self, at: int) -> int:
        """What follows a reference: another one, with or without a comma between, or text."""
        if between := _BETWEEN.match(self._held, at):
            marks = self._mark_at(between.end() - 2)
            if marks is None:
                return HOLD
            if marks:
                return self._remove(marks)
        elif not self._over and _MAYBE_BETWEEN.match(self._held, at):
            return HOLD
        self._behind = False
        if self._length == self._bare:  # its line begins only now
            self._scan = self._line
        if self._last in "`~" and self._held[at] == self._last:  # or two marks of code would become one
            self._put(" ")
        return at + (self._last in f" \n\t\xa0[{_OPENED}" and self._held[at] == " ")

    def _remove(self, marks: list[_Placed]) -> int:
        """References go, and are remembered with the place where they stood."""
        for placed in marks:
            if placed.mark and len(self._found) < _MANY:  # more are taken out, and not looked at
                self._found += [Found(self._length, part) for part in placed.mark.parts]
        self._behind = True
        return marks[-1].end
