"""What a model can take in at once, and how results are made to fit that without asking anybody."""

from collections.abc import Callable, Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from stretto.engine.lengths import cap, shortened
from stretto.errors import ContextError
from stretto.policies.estimate import BYTES, USUAL, most_output, size_of, tokens_asked, tokens_in
from stretto.types import Definition, Known, Request, Result, Role, Subtask

CONTEXT = 128_000
"""Tokens that a model takes of which nothing is known, if the inputs are not so long already."""

_BESIDE = 50_000  # tokens that are there beside inputs however long they are, if no window is known
_ROUNDS = 4  # of fitting texts to a window, if what stands around them grows with them
_MARGIN = 16  # the part of a count that is added to it: what counted a result may not be what reads it
_DENSEST, _LIGHTEST = 1.0, 5.0  # bytes of a token, whatever was learned
_HEAVIEST = 8  # bytes of a token in a text whose tokens are known: what says less has not counted

Reading = Callable[[Mapping[str, Result]], Request]
"""What the reader is asked with these results; a subtask that has none among them is not in it."""


class Reader(Struct, frozen=True):
    """Who reads results: a role, its window in tokens (None: nobody knows it), and the bytes of one of its tokens."""

    role: Role
    context: int | None = None
    bytes: float = BYTES

    def tokens(self, request: Request) -> int:
        """Tokens of a request."""
        return tokens_asked(request, self.bytes)

    def length(self, result: Result, text: str) -> int:
        """Tokens of a text that a result has, or is to have: as they were counted, if they were."""
        if result.tokens is None or text != result.text:
            return tokens_in(text, self.bytes)
        return max(result.tokens + -(-result.tokens // _MARGIN), size_of(text) // _HEAVIEST)


def reader_of(definition: Definition, role: Role) -> Reader:
    """A role of the definition as a reader: what is written of its window goes before what is known of its model."""
    known = definition.known.get(_model(role), Known())
    each = BYTES if known.bytes is None else min(max(known.bytes, _DENSEST), _LIGHTEST)
    return Reader(role, role.context or known.context, each)


def narrowed(definition: Definition, role: Role, request: Request, error: object) -> Definition | None:
    """The definition as the refusal of a request for its length teaches it; None if the error is none.

    If the provider said how much its model takes, that is it; if nobody knows, or that was kept to already, two thirds
    of what was asked, or of that.
    """
    if not isinstance(error, ContextError):
        return None
    reader = reader_of(definition, role)
    told, kept = error.context, reader.context
    context = told if told and (kept is None or told < kept) else (kept or reader.tokens(request)) * 2 // 3
    model = _model(role)
    known = replace(definition.known.get(model, Known()), context=context)

    def taught(each: Role) -> Role:
        return replace(each, context=context) if each.context and _model(each) == model else each

    return replace(
        definition,
        known={**definition.known, model: known},
        orchestrator=definition.orchestrator and taught(definition.orchestrator),
        workers={name: taught(worker) for name, worker in definition.workers.items()},
        synthesizer=definition.synthesizer and taught(definition.synthesizer),
    )


def _model(role: Role) -> str:
    """The model that a role asks first."""
    return next((model for model in role.all_models if model), "")


def context_of(reader: Reader, request: Request) -> int:
    """Tokens that a reader takes; `request`: what it is asked at the least."""
    return reader.context or max(CONTEXT, reader.tokens(request) + _BESIDE)


def fits_surely(reader: Reader, reading: Reading, results: Mapping[str, Result]) -> bool:
    """Whether a reader can take in the results as they are, as nearly always; False if that takes a closer look."""
    least = _without_reply(reader.role, reader.context or CONTEXT)
    if sum(len(result.text) for result in results.values()) > 8 * least:  # to put them together would take its time
        return False
    more = sum(max(0, reader.length(each, each.text) - tokens_in(each.text, reader.bytes)) for each in results.values())
    return reader.tokens(reading(results)) + more <= least


def _without_reply(reader: Role, window: int) -> int:
    """What is left of a window beside the reply that its reader may write."""
    return window - min(most_output(reader.options) or min(USUAL, window // 4), window // 2)


class Window:
    """What a reader can take in; `room`: tokens there are for the texts of results."""

    def __init__(self, reader: Reader, reading: Reading, results: Mapping[str, Result]) -> None:
        self._reader = reader
        self._reading = reading
        self._results = results
        bare = reading({})
        self._size = _without_reply(reader.role, context_of(reader, bare))
        self._hopeless = reader.tokens(bare) > self._size  # then its provider says so, in its own words
        named = {id_: replace(result, text="-") if result.text else result for id_, result in results.items()}
        self._around = reader.tokens(reading(named))
        self.room = self._size - self._around

    def lengths(self, texts: Mapping[str, str]) -> dict[str, int]:
        """Tokens of the texts that the results have, or are to have."""
        return {id_: self._reader.length(self._results[id_], text) for id_, text in texts.items()}

    def fits(self, texts: Mapping[str, str], shown: Sequence[str] | None = None) -> bool:
        """Whether the results with these texts can be read at once; or those of them that are `shown`."""
        # To put many megabytes together only to see that they are too many would take its time.
        if shown is None and sum(len(text) for text in texts.values()) > 8 * self._size:
            return self._hopeless
        return self._hopeless or self._asked(texts, shown) <= self._size

    def fitted(self, texts: Mapping[str, str]) -> dict[str, str]:
        """The texts, cut where they are longer than their share of the room."""
        sizes, room, found = list(self.lengths(texts).values()), self.room, dict(texts)
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
        found = texts if shown is None else {id_: texts[id_] for id_ in shown}
        estimated = sum(tokens_in(text, self._reader.bytes) for text in found.values())
        request = self._reading({id_: replace(self._results[id_], text=text) for id_, text in found.items()})
        return self._reader.tokens(request) - estimated + sum(self.lengths(found).values())
