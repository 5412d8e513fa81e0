"""Rows in the order of their list."""

from collections.abc import Iterable

from stretto.types import Row


class Ordered:
    """Holds back the rows that come before those in front of them; `ids` are those of all, in their order."""

    def __init__(self, ids: Iterable[str]) -> None:
        self._wanted = list(ids)
        self._next = 0
        self._held: dict[str, Row] = {}

    def keep(self, ids: Iterable[str]) -> None:
        """Only these are to come; none has come so far."""
        self._wanted = list(ids)

    def take(self, row: Row) -> list[Row]:
        """One more row; those that can go on now."""
        self._held[row.id] = row
        found = []
        while self._next < len(self._wanted) and self._wanted[self._next] in self._held:
            found.append(self._held.pop(self._wanted[self._next]))
            self._next += 1
        return found
