"""Loops: a reply that only repeats itself is stopped, and kept up to where it began to."""

from collections.abc import AsyncGenerator

from msgspec.structs import replace

from stretto.calls import LOOPED, Call, Chunk, Done, Model, Reasoning, Restarted, Text

REPEATED = 200
"""Characters that stand three times in a row, each time followed by the same."""
_LONGEST = 3000  # characters from one time to the next
_WINDOW = 2 * _LONGEST + 2 * REPEATED
_BLOCK = 4096  # characters that are compared at once
_CANDIDATES = 16  # distances that are tried, each time we look


class Loops:
    """Stops `model` when it loops, by closing its stream, which closes the connection.

    What was passed on of the repetition is taken back: the reply is its text up to the loop, with what is repeated in
    it once, and ends with the finish reason `looped`. Of a plan nothing is taken back, because its subtasks may be
    under way; thoughts that loop end the reply without a text. A reply that comes in one piece is cut in the same way
    if it ends in a loop; `streams`: each is asked for as a stream, so that it can be stopped.
    """

    def __init__(self, model: Model, *, streams: bool = False) -> None:
        self._model = model
        self._streams = streams

    async def stream(self, call: Call) -> AsyncGenerator[Chunk, None]:
        """The reply, up to where it loops."""
        call = replace(call, stream=True) if self._streams and not call.stream else call
        said: Watch | None = None
        thought: Watch | None = None
        looped, done = False, Done(LOOPED)
        chunks = self._model.stream(call)
        try:
            async for chunk in chunks:
                if looped:  # in a reply that came in one piece: what it took follows
                    done = replace(chunk, finish=LOOPED) if isinstance(chunk, Done) else done
                    break
                yield chunk
                if isinstance(chunk, Text):
                    said = said or Watch()
                    looped = said.take(chunk.text)
                elif isinstance(chunk, Reasoning):
                    thought = thought or Watch()
                    looped = thought.take(chunk.text)
                elif isinstance(chunk, Restarted):
                    said = thought = None
                if looped and call.stream:
                    break
        finally:
            await chunks.aclose()
        if not looped:
            return
        if said is not None and said.kept is not None and not call.plans:
            yield Restarted()
            yield Text(said.kept)
        yield done


class Watch:
    """Looks at a text while it is written; `kept` is what is left of it once it has been found to loop.

    It loops if its last characters (`REPEATED` of them, or more where they are repeated sooner) stand there three times
    at one distance, and what is between them is the same. The work is linear: it looks at the end of what there is,
    once every so many characters, and no further back than the longest distance takes.
    """

    __slots__ = ("_length", "_looked", "_new", "_pieces", "kept")

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._new: list[str] = []  # what came since we looked
        self._length = self._looked = 0
        self.kept: str | None = None

    def take(self, text: str) -> bool:
        """The text goes on; whether it loops by now."""
        self._new.append(text)
        self._length += len(text)
        return self._length - self._looked >= REPEATED and self._look()

    def _look(self) -> bool:
        self._pieces.append("".join(self._new))
        self._new.clear()
        self._looked = self._length
        if self._length < 3 * REPEATED or not (period := _period(self._tail(_WINDOW))):
            return False
        whole = "".join(self._pieces)
        self.kept = whole[: _start(whole, period) + period]
        return True

    def _tail(self, characters: int) -> str:
        """The end of the text, so many characters of it if there are as many."""
        taken, at = 0, len(self._pieces)
        while at and taken < characters:
            at -= 1
            taken += len(self._pieces[at])
        return "".join(self._pieces[at:])[-characters:]


def _period(text: str) -> int:
    """At which distance the end of a text is repeated; 0 if it is not."""
    end, last = len(text), text[-REPEATED:]
    at = end - REPEATED
    for _ in range(_CANDIDATES):
        at = text.rfind(last, 0, at + REPEATED - 1)
        if at < 0:
            return 0
        period = end - REPEATED - at
        # Three times over: so much of it is the same as what stands one distance before.
        same = max(3 * REPEATED - period, period + REPEATED)
        if same + period <= end and text[end - same :] == text[end - same - period : end - period]:
            return period
    return 0


def _start(text: str, period: int) -> int:
    """Where a text began to repeat what stands a distance before."""
    at = len(text)
    while at - _BLOCK >= period and text[at - _BLOCK : at] == text[at - _BLOCK - period : at - period]:
        at -= _BLOCK
    while at > period and text[at - 1] == text[at - 1 - period]:
        at -= 1
    return at - period
