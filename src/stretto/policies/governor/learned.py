"""What refusals teach where nothing is told: how many requests may be in flight, and how many a second may go out.

Slow start, additive increase, multiplicative decrease, as in TCP: Jacobson, "Congestion avoidance and control", 1988.
"""

import math
from typing import Literal

from stretto.policies.governor.pace import Pace
from stretto.policies.governor.window import Window

_FIRST = 1.0  # seconds; the shortest pause a pace is guessed from
_SAVED = 0.5  # of what was let through at first may have been saved up before
_FEW = 3.0  # requests say nothing
_STRAYS = 8  # requests at the most that go out together after a refusal, to see whether it was a stray one
_MANY = 16  # requests that got through: after so many a limit is likelier than a stray refusal
_DECREASE = 0.9
_AS_SAID = 0.5  # of the configured rate


class Learned:
    """Window and pace of one model.

    A refusal may mean too many in flight or too many a second. It means the former if requests are refused whenever
    about as many are in flight, and the latter if they are refused at fewer, or let through at more. One that nobody
    else was refused with may mean nothing at all: as many as got through before go out together after its pause, and if
    they get through it is forgotten.
    """

    def __init__(self, *, slow_start: bool) -> None:
        self.window = Window() if slow_start else Window(math.inf)
        self._pace = Pace()
        self._means: Literal["unrefused", "unknown", "crowd", "pace"] = "unrefused"
        self._crowd = 0.0  # in flight when requests were refused, besides these
        self.sent = 0
        self._round_at = -math.inf  # when the first refusal of the last round came
        self._refused_at, self._refused_number = -math.inf, 0  # when that one went out, and its number
        self._refused = 0  # refused since, of those that went out after it
        self._probed = False  # whether it is tried with a few more after hardly any got through
        self._together, self._through = 0, 0.0  # refused in this round; let through before it, a second
        self._stray = 0  # the number of a request; if it gets through, the refusal of one before it was a stray one

    @property
    def crowded(self) -> bool:
        """Whether refusals surely mean that too many are in flight: then the others need not pause."""
        return self._means == "crowd" and not self._pace.known

    def opens_at(self, now: float) -> float:
        """From when one more may go out."""
        paced = self._pace.opens_at(now)
        if self._means == "pace" and self._pace.known:
            return paced
        opens = self.window.opens_at(now)
        return opens if opens > paced else paced

    def enter(self, now: float) -> tuple[int, bool]:
        """One request goes out: its number, and whether it had to wait for the pace."""
        if not self.window.in_flight and self._means == "unrefused":
            self._refused_at, self._refused_number, self._refused = now, self.sent, 0
        self.sent += 1
        self.window.enter(now)
        if self._means in ("unknown", "crowd") and self.window.size > 1.25 * self._crowd + 3:
            self._means, self.window.careful = "pace", False  # more than were refused before are none too many
        return self.sent, self._pace.enter(now)

    def accept(self, number: int) -> None:
        """A request was let through: this was its number."""
        if self._stray and number >= self._stray:
            self._stray = 0
            self.open()

    def leave(self) -> None:
        """One request has come back."""
        self.window.in_flight -= 1

    def refuse(
        self,
        number: int,
        sent_at: float,
        now: float,
        begin: float,
        configured: float = math.inf,
        least: float = 0.0,
        *,
        paced: bool,
    ) -> bool:
        """A request was refused; nobody goes out before `begin`. Whether any got through since the last refusal.

        `configured`: how many a second are said to be allowed. If about as many were, there is nothing to learn.
        `least`: so many a second will do in any case, if the provider is to be believed.
        """
        others = self.window.in_flight - 1.0
        if sent_at <= self._round_at:
            self._refuse_another(number, others, begin)
            return False
        through, seconds = number - self._refused_number - 1 - self._refused, sent_at - self._refused_at
        self._round_at, self._refused_at, self._refused_number, self._refused = now, sent_at, number, 0
        self._stray = 0
        if others < 1 and through < 1:  # nothing gets through at all
            self._means = "unrefused"
            self.window.close()
            return False
        self._together, self._through = 1, max(1, through) / max(seconds, 0.01)
        if self._through > _AS_SAID * configured:
            return through > 0
        self._probed = self._means == "unrefused" and through < _FEW and not self._probed
        if self._probed:  # too little got through to know anything of a pace
            self.window.probe(others)
            return through > 0
        self._interpret(others, now, paced=paced)
        if self._means == "unknown":
            pause = max(_FIRST, begin - now)
            rate = max(_SAVED * through / (seconds + pause), 4.0 / pause)
            together = min(through + 1, _STRAYS) if through < _MANY else 0
            self._pace.guess(rate, begin, together)
            self._stray = self.sent + together if together else 0
        elif self._means == "pace":
            self._pace.learn(self._through, sent_at, begin, least)
        if self._means in ("unknown", "crowd"):
            self.window.shrink(_DECREASE * others, begin)
        return through > 0

    def _refuse_another(self, number: int, others: float, begin: float) -> None:
        """A request was refused that went out together with one that was refused before it."""
        self._refused += number > self._refused_number
        self._together += 1
        self._pace.spread()  # the first refusal was no stray one
        self._stray = 0
        if self._means in ("unknown", "crowd"):
            self._crowd = min(self._crowd, others)
            self.window.size = max(1.0, min(self.window.size, _DECREASE * others))
        elif self._means == "unrefused" and self._probed:
            self.window.probe(others)
        if self._means == "crowd" and self._together > _FEW:
            # A window that grows by one is refused one at a time.
            self._means = "pace"
            self._pace.guess(self._through, begin)

    def _interpret(self, others: float, now: float, *, paced: bool) -> None:
        """What the first refusal of a round means."""
        if self._means == "unrefused" or (self._means == "pace" and not paced):
            self._means, self._crowd, self.window.careful = "unknown", others, False
        elif self._means == "unknown" and others >= max(2.0, (1.0 if paced else 0.9) * self._crowd):
            self._means, self._crowd, self.window.careful = "crowd", others, True
            if (
                paced and self._pace.known
            ):  # it may have been the pace after all, and all at once would be refused together
                self._pace.keep(now)
            else:
                self._pace.lift()
        elif self._means != "crowd" or others < 0.75 * self._crowd:
            if self._means == "crowd":
                self._pace.lift()  # it was not what held requests back, so it says nothing
            self._means = "pace"
            self.window.open()

    def overloaded(self, sent_at: float, now: float) -> None:
        """A request met an overloaded provider (503)."""
        others = self.window.in_flight - 1.0
        if sent_at <= self._round_at:
            self.window.size = max(1.0, min(self.window.size, _DECREASE * others))
            return
        self._round_at = now
        self._means, self._crowd, self.window.careful = "crowd", others, True
        self.window.shrink(_DECREASE * others, now)

    def open(self) -> None:
        """Forget window and pace, as if nothing had been refused."""
        self._pace.lift()
        self.window.open()
        self._means = "unrefused"

    def lift(self) -> None:
        """The provider tells its limits itself."""
        self._pace.lift()
        self.window.open(math.inf)
        self._means = "unrefused"
