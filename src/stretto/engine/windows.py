"""What a model can take in at once, and how results are made to fit that without asking anybody."""

from collections.abc import Callable, Mapping, Sequence

from msgspec.structs import replace

from stretto.engine.lengths import cap, shortened
from stretto.policies.estimate import USUAL, most_output, tokens_asked, tokens_in
from stretto.types import Request, Result, Role, Subtask

CONTEXT = 128_000
"""Tokens that a model takes of which nothing is said, if the inputs are not so long already."""

_BESIDE = 50_000  # tokens that are there beside inputs however long they are, if no window is told
_ROUNDS = 4  # of fitting texts to a window, if what stands around them grows with them

Reading = Callable[[Mapping[str, Result]], Request]
"""What the reader is asked with these results; a subtask that has none among them is not in it."""


def context_of(role: Role, request: Request) -> int:
    """Tokens that a role's model takes; `request`: what it is asked at the least."""
    return role.context or max(CONTEXT, tokens_asked(request) + _BESIDE)


def fits_surely(reader: Role, reading: Reading, results: Mapping[str, Result]) -> bool:
    """Whether a reader can take in the results as they are, as nearly always; False if that takes a closer look."""
    least = _without_reply(reader, reader.context or CONTEXT)
    if sum(len(result.text) for result in results.values()) > 8 * least:  # to put them together would take its time
        return False
    return tokens_asked(reading(results)) <= least


def _without_reply(reader: Role, window: int) -> int:
    """What is left of a window beside the reply that its reader may write."""
    return window - min(most_output(reader.options) or min(USUAL, window // 4), window // 2)


class Window:
    """What a reader can take in; `room`: tokens there are for the texts of results."""

    def __init__(self, reader: Role, reading: Reading, results: Mapping[str, Result]) -> None:
        self._reading = reading
        self._results = results
        bare = reading({})
        self._size = _without_reply(reader, context_of(reader, bare))
        self._hopeless = tokens_asked(bare) > self._size  # then its provider says so, in its own words
        named = {id_: replace(result, text="-") if result.text else result for id_, result in results.items()}
        self._around = tokens_asked(reading(named))
        self.room = self._size - self._around

    def fits(self, texts: Mapping[str, str], shown: Sequence[str] | None = None) -> bool:
        """Whether the results with these texts can be read at once; or those of them that are `shown`."""
        # To put many megabytes together only to see that they are too many would take its time.
        if shown is None and sum(len(text) for text in texts.values()) > 8 * self._size:
            return self._hopeless
        return self._hopeless or self._asked(texts, shown) <= self._size

    def fitted(self, texts: Mapping[str, str]) -> dict[str, str]:
        """The texts, cut where they are longer than their share of the room."""
        sizes, room, found = [tokens_in(text) for text in texts.values()], self.room, dict(texts)
        for _ in range(_ROUNDS):
            share = cap(sizes, room)
            found = {
                id_: text if size <= share else shortened(text, share)
                for (id_, text), size in zip(texts.items(), sizes, strict=True)
            }
            asked = self._asked(found)
            if asked <= self._size or room <= 0:
                break
            # What stands around the texts grows with them, or they stand there more than once.
            room = room * max(self.room, 0) // (asked - self._around) - 1
        return found

    def left_out(self, texts: Mapping[str, str], subtasks: Sequence[Subtask]) -> tuple[str, ...]:
        """Of results that do not fit, the fewest without which the others do, in the plan's order."""
        places = [(subtask.value or 0.0, -place, subtask.id) for place, subtask in enumerate(subtasks)]
        ranked = [id_ for _, _, id_ in sorted(places) if id_ in texts]
        least, most = 0, len(ranked)
        while least < most:
            middle = (least + most) // 2
            if self.fits(texts, ranked[middle:]):
                most = middle
            else:
                least = middle + 1
        gone = set(ranked[:least])
        return tuple(subtask.id for subtask in subtasks if subtask.id in gone)

    def _asked(self, texts: Mapping[str, str], shown: Sequence[str] | None = None) -> int:
        ids = texts if shown is None else shown
        return tokens_asked(self._reading({id_: replace(self._results[id_], text=texts[id_]) for id_ in ids}))
