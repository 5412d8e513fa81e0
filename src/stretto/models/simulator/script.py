"""A simulated reply before it is given: what is said, how fast, and where it breaks off."""

import math

from msgspec import Struct

from stretto.models.simulator.faults import Fault
from stretto.types import Usage

_PIECES_AT_ONCE = 64
"""How much an instant model says in one chunk."""
_HAIR = 1e-6


class Script(Struct, frozen=True):
    """A reply before it is given; piece i is due `ttft + i / rate` seconds after the request.

    A fault that is a refusal takes the place of all pieces; one that `breaks` the reply, of the second half. A trickle
    is the reply at a pace of its own, with blanks after it, until it breaks off.
    """

    pieces: tuple[str, ...]
    finish: str
    usage: Usage
    ttft: float
    rate: float
    fault: Fault | None
    request_id: str

    @property
    def breaks(self) -> bool:
        """Whether the reply ends in the middle, without a finish reason."""
        return self.fault is not None and self.fault.kind in ("disconnect", "silence", "trickle")

    @property
    def trickles(self) -> bool:
        """Whether it drips, one piece and long after it the next."""
        return self.fault is not None and self.fault.kind == "trickle"

    @property
    def stops_at(self) -> int:
        """How many pieces are said."""
        return (len(self.pieces) + 1) // 2 if self.breaks and not self.trickles else len(self.pieces)

    def due(self, said: int) -> float:
        """Seconds after the request at which the piece comes that follows so many."""
        return self.ttft + said / self.rate

    def line(self, said: int) -> int:
        """How many pieces were said before the last one of a line; the very first piece is a line of its own."""
        following = (at for at in range(said + 1, self.stops_at) if self.pieces[at].startswith("\n"))
        return next(following, self.stops_at) - 1 if said else 0

    def upto(self, said: int, elapsed: float) -> int:
        """How many pieces may have been said by now, at least one more than were; never more than `stops_at`."""
        if math.isinf(self.rate):
            return min(said + _PIECES_AT_ONCE, self.stops_at)
        due = math.floor((elapsed - self.ttft) * self.rate + _HAIR) + 1
        return min(max(due, said + 1), self.stops_at)
