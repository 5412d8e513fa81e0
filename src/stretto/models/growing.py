"""Streams of which each piece says all that was said before it once more, or the last one says all of it."""

_REPEATED, _LETTERS = 16, 4  # letters said again, so many of them different: that is no chance, as in rows of dashes
_FEW = 12  # the same where the reply is over
_WHOLE, _PIECES = 40, 3  # letters of a text, in so many pieces, that a last one may repeat


class Growing:
    """What of each piece is new.

    Some gateways pass on an interface whose events hold the whole reply so far. No text consists of its own
    beginnings: once a few pieces, from the first on, each begin with all of the one before, what was said until then is
    taken back.
    """

    def __init__(self) -> None:
        self._newest = ""
        self._repeated = 0  # letters, while each piece begins with the one before
        self._pieces: list[str] = []
        self._length = 0
        self._grows: bool | None = None

    def new(self, piece: str, *, last: bool = False) -> tuple[bool, str]:
        """Whether a piece takes back all that was said, and what is to be said; `last`: a finish reason is there."""
        if self._grows:
            return self._grown(piece)
        if self._grows is None and piece:
            self._grows = self._compared(piece)
            if self._grows:
                self._pieces.clear()
                return True, piece
        if last and self._repeats(piece):
            return False, ""
        self._pieces.append(piece)
        self._length += len(piece)
        return False, piece

    @property
    def settled(self) -> bool:
        """Whether it is known that pieces do not grow, so that each is new as it is."""
        return self._grows is False

    def go_on(self, pieces: list[str]) -> None:
        """Take pieces in, none of them the last one, once that is settled."""
        self._pieces += pieces
        self._length += sum(map(len, pieces))

    def whole(self) -> str:
        """The text, if only the end of a short reply shows that its pieces grew; what was said is taken back."""
        return self._newest if self._grows is None and self._is_known(_FEW) else ""

    def _compared(self, piece: str) -> bool | None:
        before, self._newest = self._newest, piece
        if not before:
            return None
        if len(piece) <= len(before) or not piece.startswith(before):
            return False
        self._repeated += len(before)
        return True if len(self._pieces) > 1 and self._is_known(_REPEATED) else None

    def _is_known(self, enough: int) -> bool:
        return self._repeated >= enough and len(set(self._newest)) >= _LETTERS

    def _grown(self, piece: str) -> tuple[bool, str]:
        before = self._newest
        if before.startswith(piece):
            return False, ""
        self._newest = piece
        return (False, piece[len(before) :]) if piece.startswith(before) else (True, piece)

    def _repeats(self, piece: str) -> bool:
        """Whether a last piece is the whole text once more."""
        known = self._length == len(piece) >= _WHOLE and len(self._pieces) >= _PIECES
        return known and "".join(self._pieces) == piece
