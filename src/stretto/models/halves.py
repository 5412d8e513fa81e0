"""Letters that were cut in two between the pieces of a text: in UTF-16, as scripts cut, or between bytes of UTF-8."""

import re

from stretto.ground.regex import regex
from stretto.ground.text import clean

_PAIR = regex(r"[\ud800-\udbff][\udc00-\udfff]")
_BYTES = regex(r"[\udc80-\udcff]+")
_OPEN = regex(r"(?:[\ud800-\udbff]|[\udcc2-\udcf4][\udc80-\udcbf]{0,2})\Z")


class Halves:
    """Puts the letters of a text together that comes in pieces, in which bytes stand as Python escapes them."""

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
