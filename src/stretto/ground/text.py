"""Text as it may go over the wire, into the log, and to people: without lone surrogates, and with nothing that acts."""

from collections.abc import Collection, Iterable

_CONTROLS = frozenset({*range(0x20), *range(0x7F, 0xA0)})
_TURNS = frozenset({*range(0x202A, 0x202F), *range(0x2066, 0x206A)})  # make what follows be read from the other side
_ENDS = frozenset({*range(0x09, 0x0E), 0x1C, 0x1D, 0x1E, 0x85, 0x2028, 0x2029})  # of a line, for whatever reads lines
_SEEMLY = dict.fromkeys((_CONTROLS | _TURNS) - {ord("\n"), ord("\t")})
_ONE_LINE = dict.fromkeys(_CONTROLS | _TURNS) | dict.fromkeys(_ENDS, " ")


def clean(text: str) -> str:
    """The text with every lone surrogate replaced by U+FFFD; JSON and UTF-8 cannot carry one."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def seemly(text: str) -> str:
    """The text without anything that a terminal obeys: controls (C0, C1) but newline and tab, and turns of direction.

    An escape sequence (ECMA-48) is nothing without the control that begins it.
    """
    return text if text.isascii() and text.isprintable() else text.translate(_SEEMLY)


def one_line(text: str) -> str:
    """The text as a part of one line, whoever reads it: every end of a line is a blank, and nothing acts."""
    return text if text.isascii() and text.isprintable() else text.translate(_ONE_LINE)


def many(number: int, what: str, several: str = "") -> str:
    """`1 call`, `2,000 calls`, `2 batches`."""
    return f"{number:,} {what if number == 1 else several or f'{what}s'}"


def nearest(word: str, known: Iterable[str], cutoff: float = 0.5) -> str | None:
    """Which of the words may be meant by one that is none of them; `cutoff`: how alike it is at least, 0 to 1."""
    from difflib import get_close_matches  # a mistake can wait for it, and a start need not

    return next(iter(get_close_matches(word, list(known), n=1, cutoff=cutoff)), None)


def meant(word: str, known: Collection[str]) -> str:
    """What to add where a word is none of those that are known: which may be meant, or which there are."""
    near = nearest(word, known)
    return f"; did you mean {near!r}?" if near else f"; there are {', '.join(known) or 'none'}"


def other_encoding(data: bytes) -> str | None:
    """What encoding bytes begin in that is not UTF-8, and how they become that; None if they do not say."""
    kinds = {b"\xff\xfe\0\0": "UTF-32", b"\0\0\xfe\xff": "UTF-32", b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16"}
    found = next((kind for start, kind in kinds.items() if data.startswith(start)), None)
    return found and f"{found} text; make UTF-8 of it first (iconv -f {found} -t UTF-8)"
