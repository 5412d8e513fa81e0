"""Lines of styled text, measured in the cells of a terminal."""

from collections.abc import Sequence

from rich.cells import get_character_cell_size

STYLES = {"": "", "ok": "32", "bad": "31", "warn": "33", "run": "36", "dim": "2", "bold": "1"}
"""SGR codes of the sixteen colours every terminal has, by what they mean."""

Span = tuple[str, str]
"""A text and its style."""

Line = Sequence[Span]
"""One line of the screen; nothing in it is obeyed by a terminal."""

_ELLIPSIS = "…"


def cells(text: str) -> int:
    """How many cells a text takes: two for a wide character, none for an accent on its own.

    Characters that some terminals join (emoji with a joiner, flags) are counted apart: rather too many than too few,
    for a line that is wider than was thought wraps.
    """
    return len(text) if text.isascii() else sum(map(get_character_cell_size, text))


def cut(text: str, room: int) -> str:
    """The beginning of a text, in so many cells at the most."""
    if cells(text) <= room:
        return text
    if text.isascii() and room > 0:
        return text[: room - 1].rstrip() + _ELLIPSIS
    taken, used = [], len(_ELLIPSIS)
    for letter in text:
        used += get_character_cell_size(letter)
        if used > room:
            break
        taken.append(letter)
    return ("".join(taken).rstrip() + _ELLIPSIS) if room > 0 else ""


def left(text: str, room: int) -> str:
    """A text in exactly so many cells, blanks behind it."""
    text = cut(text, room)
    return text + " " * (room - cells(text))


def right(text: str, room: int) -> str:
    """A text in exactly so many cells, blanks before it."""
    text = cut(text, room)
    return " " * (room - cells(text)) + text


def clipped(line: Line, room: int) -> Line:
    """The line in so many cells at the most."""
    kept: list[Span] = []
    for text, style in line:
        if room <= 0:
            break
        short = cut(text, room)
        kept.append((short, style))
        room -= cells(short) if short == text else room
    return kept


def painted(line: Line) -> str:
    """The line as a terminal takes it."""
    told = []
    for text, style in line:
        code = STYLES[style]
        told.append(f"\x1b[{code}m{text}\x1b[0m" if code and text.strip() else text)
    return "".join(told).rstrip()
