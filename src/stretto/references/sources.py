"""What an answer can refer to: subtasks with a result, and inputs."""

import re
from collections import Counter
from collections.abc import Collection, Sequence

from stretto.ground.regex import regex
from stretto.references.marks import Mark

_USUAL = regex(r"[ti]\d{1,5}", re.IGNORECASE)
_DIGITS = regex(r"\d+")


class Sources:
    """Tells whom a label means.

    `known`: subtasks with a text; `planned`: those that exist, text or not; `inputs`: the names of those there are
    (`i1`, …). An input goes before a subtask that has the same id, an exact id before one in another case, both before
    the name of an input, which is known by its last part too if no other has that.
    """

    def __init__(self, known: Collection[str], planned: Collection[str], inputs: Sequence[str]) -> None:
        self._inputs = {f"i{number}": number for number in range(1, len(inputs) + 1)}
        self._ids = {*known, *self._inputs}
        self._folded = _named(inputs) | {each.casefold(): each for each in sorted(self._ids, reverse=True)}
        self._planned = set(planned) - self._ids
        forms = {_DIGITS.sub("0", each) for each in {*self._ids, *self._planned} if _DIGITS.search(each)}
        self._forms = {form for form in forms if form != "0"}

    def find(self, label: str) -> str | None:
        """The id that a label means; None if there is no such source."""
        for name in (label, label.rstrip(".")):
            if name in self._ids:
                return name
        return self._folded.get(label.rstrip(".").casefold())

    def knows(self, label: str) -> bool:
        """Whether a label means anything there is."""
        return self.find(label) is not None

    def input(self, source: str) -> int | None:
        """The number of an input, from 1; None for a subtask."""
        return self._inputs.get(source)

    def owns(self, mark: Mark) -> bool:
        """Whether a reference is one of ours, not the answer's own footnote or a piece of its text.

        It is if it names anything that is known; if it can be read whole and names something planned, something like
        `t7` or `i9`, or a number in the form of a known id, it is too, though there is nothing behind it.
        """
        labels = [part.label for part in mark.parts]
        return any(map(self.knows, labels)) or (mark.whole and any(map(self._looks, labels)))

    def wants(self, label: str) -> str:
        """Why a label means nothing."""
        return f"{label} has no result" if label in self._planned else f"there is no {label}"

    def _looks(self, label: str) -> bool:
        return bool(label in self._planned or _USUAL.fullmatch(label)) or _DIGITS.sub("0", label) in self._forms


def _named(inputs: Sequence[str]) -> dict[str, str]:
    """The ids of inputs by names that nobody would give a footnote: those of files and pages."""
    numbered = [(name.casefold(), f"i{number}") for number, name in enumerate(inputs, 1)]
    ways = [*numbered, *((name.replace("\\", "/").rpartition("/")[2], id_) for name, id_ in numbered)]
    several = Counter(name for name, _ in set(ways))
    return {name: id_ for name, id_ in ways if ("." in name or "/" in name) and several[name] == 1}
