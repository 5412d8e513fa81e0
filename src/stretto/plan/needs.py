"""What the `needs` of a plan mean, however they are written: read while the plan is, and settled when it ends.

A need that names a subtask which is not listed yet waits for it, and so does who has it. Of a circle the need that
closes it is left out, and so is what names nothing at the end. Each such repair is a remark on its subtask.
"""

import re
from collections.abc import Iterator, Mapping

from msgspec.structs import replace

from stretto.ground.regex import regex
from stretto.plan.fields import plain
from stretto.plan.naming import LONGEST_ID, safe_id, shown
from stretto.types import Subtask

_NUMBER = regex(r"(?:sub)?(?:task|step|part|result|id|no|nr|t|s)?0*([1-9]\d{0,3})")
# An id within other words: `result of t1`, `{{t1.output}}`, `Task 1: what it does`.
_SPOKEN = regex(
    r"(?<![^\W_])(?:(?:sub)?(?:task|step|part|result)s?[ _#.-]{0,2}|[ts#]_?)0*[1-9]\d{0,3}(?![^\W_])", re.IGNORECASE
)
_ONE_WORD = regex(r"[\w.-]+")
_OUTPUT = regex(r"[._-]?(?:outputs?|results?|answers?|text)", re.IGNORECASE)
_RANGE = regex(r"(\D{0,12})(\d{1,4})\s*(?:-|\u2013|\.{2,3}|to|through|bis)\s*\D{0,12}?(\d{1,4})", re.IGNORECASE)
_ALL = regex(
    r"\*|(?:all|everything|every|each)(?: of)?(?: the)?(?: (?:previous|prior|preceding|earlier|other|above))?"
    r"(?: (?:sub-?)?(?:tasks?|steps?|results?|ones))?(?: above| before)?",
    re.IGNORECASE,
)
_WORD = regex(r"[\w-]+")
_BEFORE = regex(
    r"(?:the )?(?:previous|prior|preceding|last|above)(?: (?:sub-?)?(?:task|step|result|one)| output)?", re.IGNORECASE
)
_SHORTEST = 3  # letters of a name that a longer one may begin with


class Needs:
    """The subtasks of a plan by all their names; those whose needs are not known yet are held back.

    `take` and `settle` give the subtasks that can be planned, each after those it needs.
    """

    def __init__(self) -> None:
        self._written: dict[str, str] = {}  # names as they were written, and the ids they became
        self._plain: dict[str, str] = {}  # the same without case, blanks and punctuation
        self._types: dict[str, str] = {}  # of every subtask, by id, as plain as the names
        self._places: dict[str, int] = {}  # the same, from 1, in the order in which they were listed
        self._order: list[str] = []
        self._described: dict[str, str] = {}  # ids by what is to be done
        self._undescribed: list[Subtask] = []  # those that are not among these yet: few needs are written so
        self._called: dict[str, tuple[str, ...]] = {}  # by id, all its names without case, blanks and punctuation
        self._waiting: dict[
            str | int, list[tuple[str, str]]
        ] = {}  # who waits for such a name, or place, with what need
        self._held: dict[str, Subtask] = {}
        self._open: dict[str, dict[str, str | None]] = {}  # of those held back: each need, and the id it means
        self._remarks: dict[str, list[str]] = {}
        self._listed = set[str]()

    @property
    def held(self) -> Mapping[str, Subtask]:
        """Those that are held back, by id."""
        return self._held

    def know(self, subtask: Subtask, *written: str | None) -> None:
        """A subtask is there; `written`: how else the plan calls it than by its id."""
        if subtask.id not in self._types:
            self._order.append(subtask.id)
            self._places[subtask.id] = len(self._order)
        self._types[subtask.id] = plain(subtask.type)
        self._undescribed.append(subtask)
        for name in filter(None, written):
            self._written.setdefault(name.strip(), subtask.id)
        for name in map(plain, (*filter(None, written), subtask.id)):
            self._plain.setdefault(name, subtask.id)
            self._called[subtask.id] = (*self._called.get(subtask.id, ()), name)

    def release(self, subtask: Subtask) -> None:
        """A subtask was planned, with all it needs before it."""
        self._listed.add(subtask.id)

    def take(self, subtask: Subtask) -> Iterator[Subtask]:
        """A subtask that is known, with its needs as they were written; all that can be planned now."""
        needs = self._asked(subtask)
        self._held[subtask.id], self._open[subtask.id] = subtask, {}
        keys: tuple[str | int, ...] = (*self._called[subtask.id], self._places[subtask.id])
        for key in keys:  # who waits for just this one
            for other, need in self._waiting.pop(key, ()):
                if need in self._open.get(other, ()) and self._exactly(need) == subtask.id:
                    self._mean(other, need, subtask.id)
        meant = [self._exactly(need) for need in needs]
        if subtask.id in meant and None in meant:  # filled in without a thought: itself, and what is not even there
            needs = []
            self._remark(subtask.id, "its needs name itself and subtasks listed later, and are left out")
        for need in needs:
            self._open[subtask.id][need] = None
            if (id_ := self._exactly(need)) is not None:
                self._mean(subtask.id, need, id_)
                continue
            number = _NUMBER.fullmatch(plain(need))
            for key in (plain(need), int(number[1])) if number else (plain(need),):
                self._waiting.setdefault(key, []).append((subtask.id, need))
        if self._listed.issuperset(self._open[subtask.id].values()):  # else nobody has what it waits for
            yield from self._ready()

    def settle(self) -> Iterator[Subtask]:
        """The plan is over: what names nothing is left out, and everything held back is planned."""
        unclear = [
            (id_, need, self._exactly(need) or self._loosely(need, id_))
            for id_, open_ in self._open.items()
            for need, meant in open_.items()
            if meant is None
        ]
        for id_, need, meant in sorted(unclear, key=lambda each: self._later(each[2], each[0])):
            if meant is None:
                del self._open[id_][need]
                self._remark(id_, f"its need {shown(need)} names no subtask and is left out")
            else:
                self._mean(id_, need, meant)
        yield from self._ready()

    def _asked(self, subtask: Subtask) -> list[str]:
        """The needs of a subtask one by one, with a remark on what had to be taken apart."""
        needs: list[str] = []
        for need in filter(None, map(str.strip, subtask.needs)):
            found = self._each(need, subtask.id)
            if found != [need]:
                self._remark(subtask.id, f"its need {shown(need)} is taken to mean {', '.join(map(repr, found))}")
            needs += found
        return list(dict.fromkeys(needs))

    def _each(self, need: str, whose: str) -> list[str]:
        """A need, or those that it speaks of: all before it, some at once, one within other words."""
        if self._exactly(need) is not None:
            return [need]
        if _BEFORE.fullmatch(need):
            return [id_ for id_ in self._order if id_ != whose][-1:] or [need]
        if _ALL.fullmatch(need):
            return [id_ for id_ in self._order if id_ != whose]
        if (found := _RANGE.fullmatch(need)) and int(found[2]) < int(found[3]) <= int(found[2]) + len(self._order):
            return [f"{found[1].strip()}{number}" for number in range(int(found[2]), int(found[3]) + 1)]
        if meant := self._describes(need):
            return [meant]
        if _ONE_WORD.fullmatch(need):  # it may be the name of what is listed later
            spoken = _SPOKEN.match(need)
            return [spoken[0]] if spoken and _OUTPUT.fullmatch(need, spoken.end()) else [need]
        said = {plain(word) for word in _WORD.findall(need)}
        named = [id_ for name, id_ in self._written.items() if len(name) >= _SHORTEST and plain(name) in said]
        return _SPOKEN.findall(need) or [id_ for id_ in named if id_ != whose] or [need]

    def _describes(self, need: str) -> str | None:
        """The subtask whose whole description a need is."""
        for subtask in self._undescribed:
            self._described.setdefault(plain(subtask.description), subtask.id)
        self._undescribed.clear()
        return self._described.get(plain(need))

    def _exactly(self, need: str) -> str | None:
        """The subtask that a need names by its id: as it was written, as it became, or in another spelling."""
        made = safe_id(need) or need[:LONGEST_ID]
        known = self._written.get(need) or (made if made in self._types else None) or self._plain.get(plain(need))
        if known is None and (number := _NUMBER.fullmatch(plain(need))):
            known = next(iter(self._order[int(number[1]) - 1 : int(number[1])]), None)
        return known

    def _loosely(self, need: str, whose: str) -> str | None:
        """The one subtask whose name begins like the need, or the need like it; else the one that has it as a type."""
        said, others = plain(need), {name: id_ for name, id_ in self._plain.items() if id_ != whose}
        alike = {id_ for name, id_ in others.items() if name and min(len(name), len(said)) >= _SHORTEST
                 and (name.startswith(said) or said.startswith(name))}  # fmt: skip
        if len(alike) != 1:
            alike = {id_ for id_, type_ in self._types.items() if id_ != whose and type_ == said}
        return alike.pop() if len(alike) == 1 else None

    def _mean(self, whose: str, need: str, id_: str) -> None:
        """A need means this subtask, unless that is itself, or waits for it."""
        if id_ == whose or self._waits(id_, whose):
            self._open[whose].pop(need, None)
            meant = "" if need == id_ else f"means {id_!r}, which "
            circle = "means itself" if id_ == whose else f"{meant}waits for it"
            self._remark(whose, f"its need {shown(need)} {circle} and is left out")
            return
        self._open[whose][need] = id_
        if need not in self._written and safe_id(need) != id_:
            self._remark(whose, f"its need {shown(need)} is taken to mean {id_!r}")
        if self._later(id_, whose):
            self._remark(whose, f"it needs {id_!r}, which is listed later, and waits for it")

    def _later(self, id_: str | None, other: str) -> bool:
        """Whether a subtask is listed after another."""
        return id_ is not None and self._places[id_] > self._places[other]

    def _waits(self, id_: str, other: str) -> bool:
        """Whether a subtask waits for another, be it through others."""
        todo, seen = [id_], set[str]()
        while todo:
            each = todo.pop()
            if each == other:
                return True
            if each not in seen:
                seen.add(each)
                todo += [meant for meant in self._open.get(each, {}).values() if meant]
        return False

    def _ready(self) -> Iterator[Subtask]:
        """Those held back whose needs are all planned, as they are planned."""
        found = True
        while found:
            ready = [id_ for id_, open_ in self._open.items() if self._listed.issuperset(open_.values())]
            found = bool(ready)
            for id_ in ready:
                subtask, open_ = self._held.pop(id_), self._open.pop(id_)
                needs = tuple(dict.fromkeys(meant for meant in open_.values() if meant))
                self._listed.add(id_)
                remark = "; ".join(filter(None, (subtask.remark, *self._remarks.pop(id_, ()))))
                same = needs == subtask.needs and remark == subtask.remark
                yield subtask if same else replace(subtask, needs=needs, remark=remark)

    def _remark(self, whose: str, text: str) -> None:
        remarks = self._remarks.setdefault(whose, [])
        if text not in remarks:
            remarks.append(text)
