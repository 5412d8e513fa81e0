"""A model that says again what was said."""

import asyncio
import math
from collections.abc import AsyncGenerator, Iterator

from stretto.calls import Call, Chunk, Notice, Reasoning, Sent, Text
from stretto.models.replay.order import Order
from stretto.models.replay.records import RecordedCall, Records
from stretto.types.facts import error_of

_PIECE = 0.05  # seconds from one piece of a text to the next


class Replay:
    """Answers every call of a run as it was answered, in the order in which the calls ended.

    `began`: the loop time at which the replay began, if it takes the time that was recorded; None: everything at once.
    A text is spread over the time from its request to its end: when its first token came is not recorded.
    """

    def __init__(self, records: Records, order: Order, began: float | None = None) -> None:
        self._records = records
        self._order = order
        self._began = began

    async def stream(self, call: Call) -> AsyncGenerator[Chunk, None]:
        """The recorded end of a call; raises `MissingRecord` if there is none."""
        recorded = self._records.of(call)
        with self._order.under_way():
            try:
                await self._until(recorded.sent)
                if recorded.left:
                    yield Sent()
                if recorded.reasoning:
                    yield Reasoning(recorded.reasoning)
                for piece, due in self._pieces(recorded, streamed=call.stream):
                    await self._until(due)
                    yield Text(piece)
                await self._until(recorded.ended)
                await self._order.turn(recorded)
                for event in self._order.given_up(_moment(recorded)):
                    yield Notice(event)
                if recorded.done is None:
                    raise error_of(recorded.error, recorded.why, recorded.facts)
                yield recorded.done
            finally:
                self._order.over(recorded.place)

    def _pieces(self, recorded: RecordedCall, *, streamed: bool) -> Iterator[tuple[str, float | None]]:
        """The text in pieces, each with the time at which it is due."""
        text, sent, ended = recorded.text, recorded.sent, recorded.ended
        number = 1
        if self._began is not None and streamed and sent is not None and ended is not None:
            number = max(1, min(len(text), math.ceil((ended - sent) / _PIECE)))
        for piece in range(number if text else 0):
            start, end = (len(text) * each // number for each in (piece, piece + 1))
            due = sent + (ended - sent) * (piece + 1) / number if sent is not None and ended is not None else None
            yield text[start:end], due

    async def _until(self, due: float | None) -> None:
        if self._began is not None and due is not None:
            await asyncio.sleep(self._began + due - asyncio.get_running_loop().time())


def _moment(recorded: RecordedCall) -> float:
    """The place in the log up to which everything was told when a call ended; where none is known, an error is last."""
    return (0 if recorded.done else math.inf) if recorded.place is None else recorded.place
