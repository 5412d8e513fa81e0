"""The plan, read while it is being written: each subtask is handed over by the very piece of text that closes it.

Where no list of subtasks is found in that way, the whole reply is read once more when it is over, in the other forms
that models write.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from msgspec.structs import replace

from stretto.ground.regex import regex
from stretto.ground.text import clean
from stretto.plan.beginning import has_plan, is_draft, opening_in, size_in
from stretto.plan.fitting import fitted, keyed
from stretto.plan.item import (
    Broken,
    Draft,
    Read,
    draft_of,
    entries_in,
    names_itself,
    parts_in,
    read_item,
    says_something,
    weight_of,
)
from stretto.plan.scanner import Entry, Scanner
from stretto.types import Role

_SAYS = regex(r"[\w.…]")
_READABLE = 131_072  # characters of a reply that are looked at for other forms
_HOPELESS = 200  # objects that say nothing, each read in several ways, after which no more are while there is no plan
_DEEP = 2  # a reply inside a reply, as text, and one in that


class PlanReader:
    """Finds the subtasks in a reply that comes in pieces; with `workers` each has one of these as its type.

    `state`: no list was seen yet, one is open, or its `]` was seen. `size`: what stands before the list as the plan's
    size, or "". Prose may quote the plan's form, so a list called `tasks` without one object that says something does
    not count, one of another name only with an entry that has a type or needs, and the search goes on; what is in it
    is told when such an entry follows, or at the end. What is called a draft counts at the end, unless a plan follows.
    """

    def __init__(self, workers: Mapping[str, Role] | None = None, *, deep: int = _DEEP) -> None:
        self.cut = False
        """The reply ended inside an entry."""
        self._workers = workers or {}
        self._deep = deep
        self._scanner = Scanner(self._open, self._take)
        self._state: Literal["closed", "open"] | None = None  # what reading the whole once more has found
        self._text: list[str] = []  # all of it, while no list counts
        self._before: list[str] = []  # the text before each list
        self._brief: str | None = None  # what that says to every worker alike, once it was looked for
        self._name = ""  # of the list; empty if it has none
        self._draft = False  # the text before it says so
        self._place = 0
        self._broken = 0  # objects that say nothing, before a list counts
        self._held: list[Read] = []
        self._spare: list[Read] = []  # an earlier list that did not count, and may be the plan after all
        self._half: Mapping[str, Any] | None = None  # the newest entry, if it is no subtask and may be half of one

    @property
    def state(self) -> Literal["absent", "open", "closed"]:
        """Whether no list was seen yet, one is open, or its end was seen."""
        return self._state or self._scanner.state

    @property
    def goes_on(self) -> bool:
        """Whether what follows the newest entry shows that it is not the last."""
        return self.state == "open" and bool(self._scanner.section.strip())

    @property
    def goes_past(self) -> bool:
        """Whether a further plan stands behind this one."""
        return self.state == "closed" and self._scanner.counts and has_plan(self._scanner.section)

    @property
    def size(self) -> str:
        """What stands before the list as the plan's size, or ""."""
        return size_in(self._before)

    @property
    def brief(self) -> str:
        """The `brief` before the list, or ""."""
        if self._brief is None:  # every subtask asks
            self._brief = opening_in("".join(self._before), "", "brief")
        return self._brief

    @property
    def analysis(self) -> str:
        """The `analysis` or `brief` beside the list, or "" if there is none that can be decoded."""
        after = "" if self.state == "open" else self._scanner.section
        return opening_in("".join(self._before), after, "analysis", "brief")

    def feed(self, text: str) -> list[Draft | Broken]:
        """Take the next piece of the reply and return what it closed, in order."""
        if not self._scanner.counts:
            self._text.append(text)
        self._scanner.feed(text)
        if not self._scanner.counts:
            return []
        self._text.clear()
        # Of the newest entry the other half may follow.
        ready = len(self._held) - (self._half is not None)
        told, self._held = self._held[:ready], self._held[ready:]
        return self._fitted(told)

    def end(self, *, whole: bool = True) -> list[Draft | Broken]:
        """Take note that the reply is over, `whole` or cut off, and return what was not told yet."""
        if unfinished := self._scanner.unfinished():
            self.cut = True
            self._held.append(Read(Broken(self._place + 1, clean(unfinished[:200]), "the reply ended inside it")))
        told, self._held, self._half = self._held, [], None
        if not self._scanner.counts and not _is_plan(told, self._name):
            empty = self.state == "closed" and not told  # and meant so
            other = self._spare or ([] if empty else self._otherwise(whole=whole))
            told = other or [read for read in told if isinstance(read.item, Broken)]
        self._text.clear()
        return self._fitted(told)

    def _otherwise(self, *, whole: bool) -> list[Read]:
        """What the reply says in another form; nothing if it has none."""
        for form in self._forms():
            if not isinstance(form, str):
                self._state = "closed" if whole else "open"
                return form
            inner = PlanReader(deep=self._deep - 1)
            found = [*inner.feed(form), *inner.end(whole=whole)]
            found = [item for item in found if isinstance(item, Draft) or item.excerpt[:1] == "{"]  # else it is prose
            if any(isinstance(item, Draft) for item in found):
                self._before, self._brief = inner._before, None
                # Not all of these forms have a bracket at their end.
                self._state = "open" if inner.cut or not (whole or inner.state == "closed") else "closed"
                return [Read(item) for item in found]
        return []

    def _forms(self) -> Iterator[str | list[Read]]:
        """The whole reply as other forms have it; few plans need them, so they are loaded with the first that does."""
        if self._deep:
            from stretto.plan.forms import forms

            yield from forms("".join(self._text)[:_READABLE], self._workers)

    def _open(self, before: str, name: str) -> None:
        """A list begins; another before it did not count."""
        if _is_plan(self._held, self._name):
            self._spare = self._spare or self._held
        self._before.append(before)
        self._brief = None
        self._name, self._held, self._place, self._half = name, [], 0, None
        self._draft = is_draft(before)

    def _take(self, entry: Entry) -> None:
        """An entry of the list was closed."""
        is_object = entry.text[0] == "{"
        if is_object and self._broken > _HOPELESS and not self._scanner.counts:
            return
        half, self._half = self._half, None
        read = keyed(read_item(entry.text, self._place + 1, half), self._workers)
        if isinstance(read.item, Broken):
            self._broken += is_object
            if not is_object and (half is not None or not _SAYS.search(entry.text)):
                self._half = half
                return  # a splinter
            if entry.headless and not names_itself(read.fields):
                return  # the rest of an entry that was told already
            if is_object and (inner := entries_in(read.fields)):
                self._take_all(inner, entry.text)
                return
            self._half = read.fields if is_object else None
        elif parts := parts_in(read.fields, read.item):
            self._held += [Read(part, 2) for part in parts]
            self._place += len(parts)
            needs = dict.fromkeys([*read.item.needs, *(part.id for part in parts if part.id)])
            read = replace(read, item=replace(read.item, needs=tuple(needs)))
        if read.joined:
            self._held.pop()  # the half of it
        else:
            self._place += 1
        self._held.append(read)
        if is_object and not self._scanner.counts:
            self._scanner.counts = self._proves(read)

    def _take_all(self, inner: list[dict[str, Any]], text: str) -> None:
        """Take the entries of a list within an entry."""
        for fields in inner:
            self._place += 1
            said = draft_of(fields)
            item = said if isinstance(said, Draft) else Broken(self._place, clean(text[:200]), said)
            self._held.append(Read(item, weight_of(fields), fields))

    def _proves(self, read: Read) -> bool:
        """Whether this entry shows that the list is the plan's, before it is over."""
        if self._draft:
            return False
        if self._name == "tasks":
            return isinstance(read.item, Draft) or says_something(read.fields)
        return isinstance(read.item, Draft) and read.weight == 2

    def _fitted(self, told: list[Read]) -> list[Draft | Broken]:
        items = [read.item for read in told]
        return [item if isinstance(item, Broken) else fitted(item, self._workers) for item in items]


def _is_plan(entries: list[Read], name: str) -> bool:
    """Whether the entries of a list that did not count are subtasks after all: its name says so, or they look so."""
    weights = [read.weight for read in entries if isinstance(read.item, Draft)]
    return bool(weights) and (bool(name) or 2 in weights or weights.count(1) > 1)
