"""Pieces of a text that say once more what was said before, and letters that were cut in two between pieces."""

import re

from stretto.ground.regex import regex
from stretto.ground.text import clean

_REPEATED, _LETTERS = 16, 4  # letters said again, so many of them different: that is no chance, as in rows of dashes
_FEW = 12  # the same where the reply is over
_WHOLE, _PIECES = 40, 3  # letters of a text, in so many pieces, that a last one may repeat
_PAIR = regex(r"[\ud800-\udbff][\udc00-\udfff]")
_BYTES = regex(r"[\udc80-\udcff]+")
_OPEN = regex(r"(?:[\ud800-\udbff]|[\udcc2-\udcf4][\udc80-\udcbf]{0,2})\Z")


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


class Halves:
    """Puts the letters of a text together that comes in pieces, in which bytes stand as Python escapes them.

    They were cut in UTF-16, as scripts cut, or between bytes of UTF-8.
    """

    def __init__(self) -> None:
        self._held = ""

    def is_whole(self, piece: str) -> bool:
        """Whether a piece that comes next has no halves, and completes none."""
        return not self._held and (piece.isascii() or not _may_be_cut(piece))

    def whole(self, piece: str) -> str:
        """The piece with its letters whole; half a one at its end waits for the next piece."""
        if self.is_whole(piece):  # nearly always
            return piece
        text = _BYTES.sub(_letters, _PAIR.sub(_letter, self._held + piece))
        found = _OPEN.search(text)
        self._held = found[0] if found else ""
        return clean(text[: found.start()] if found else text)

    def end(self) -> str:
        """What is left of a half whose other never came."""
        held, self._held = self._held, ""
        return clean(held)[:1]


def _may_be_cut(piece: str) -> bool:
    try:
        piece.encode()
    except UnicodeEncodeError:
        return True
    return False


def _letter(pair: re.Match[str]) -> str:
    return pair[0].encode("utf-16-le", "surrogatepass").decode("utf-16-le")


def _letters(found: re.Match[str]) -> str:
    """What these bytes are in UTF-8; those that may be the beginning of a letter stay as they are."""
    data = found[0].encode("utf-8", "surrogateescape")
    for cut in range(min(3, len(data)) + 1):
        try:
            return data[: len(data) - cut].decode() + found[0][len(data) - cut :]
        except UnicodeDecodeError:
            continue
    return data.decode("utf-8", "replace")
