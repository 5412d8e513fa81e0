"""Inputs taken apart into shares, so that each of many workers reads a part of them.

A piece of an input is written `i3` (all of it), `i3:1-400` (those lines), or `i3:5:1-60000` (characters of a line that
is too long for one share), all counted from 1, the last one included. A line ends with its newline.
"""

import re
from collections.abc import Iterator, Sequence

from msgspec import Struct

from stretto.errors import TaskError
from stretto.ground.regex import regex
from stretto.types import Input
from stretto.types.images import SIZE

BYTES = 3
"""Bytes of UTF-8 that are reckoned as a token."""

_FENCES = ("```", "~~~")
_NAMED = 3  # pieces that are called by their names
_FILE = "diff --git "
_FRAME = 48  # bytes of a block's tags in a prompt, beside the name
_PIECE = regex(r"i([1-9]\d{0,8})(?::([1-9]\d{0,8})(?:-([1-9]\d{0,8})|:([1-9]\d{0,8})-([1-9]\d{0,8}))?)?", re.ASCII)


class Piece(Struct, frozen=True, order=True):
    """A part of an input: its number from 1, the first and last of its lines, and of its characters within one line.

    0 stands for all of them.
    """

    number: int
    first: int = 0
    last: int = 0
    begin: int = 0
    end: int = 0

    def __str__(self) -> str:
        if not self.first:
            return f"i{self.number}"
        lines = f"{self.first}-{self.last}" if not self.begin else f"{self.first}:{self.begin}-{self.end}"
        return f"i{self.number}:{lines}"


def lines_of(text: str) -> list[str]:
    """The lines of a text, each with its newline."""
    lines = text.split("\n")
    last = lines.pop()
    return [f"{line}\n" for line in lines] + ([last] if last else [])


class Pieces:
    """Inputs of which parts are wanted."""

    def __init__(self, inputs: Sequence[Input]) -> None:
        self._inputs = inputs
        self._lines: dict[int, list[str]] = {}

    def find(self, written: str) -> Piece:
        """The piece that is meant; raises `TaskError` if it is none of these inputs."""
        found, told = _PIECE.fullmatch(written), repr(written[:60])
        if found is None:
            raise TaskError(f"{told} is no piece of an input; write i3, i3:1-400 (lines) or i3:5:1-9000 (characters)")
        number, first, last, begin, end = (int(part or 0) for part in found.groups())
        if number > len(self._inputs):
            raise TaskError(f"{told}: there are {len(self._inputs)} inputs")
        if not first:
            return Piece(number)
        last, lines = last or first, self._lines_of(number)
        if not first <= last <= len(lines):
            raise TaskError(f"{told}: {self._inputs[number - 1].name[:80]} has the lines 1 to {len(lines)}")
        if begin and not begin <= end <= len(lines[first - 1]):
            raise TaskError(f"{told}: line {first} has the characters 1 to {len(lines[first - 1])}")
        return Piece(number, first, last, begin, end)

    def text(self, piece: Piece) -> str:
        """What stands in it."""
        if not piece.first:
            return self._inputs[piece.number - 1].text
        lines = self._lines_of(piece.number)[piece.first - 1 : piece.last]
        return lines[0][piece.begin - 1 : piece.end] if piece.begin else "".join(lines)

    def _lines_of(self, number: int) -> list[str]:
        if number not in self._lines:
            self._lines[number] = lines_of(self._inputs[number - 1].text)
        return self._lines[number]


def shares(inputs: Sequence[Input], tokens: int) -> tuple[tuple[str, ...], ...]:
    """All of the inputs in groups of pieces, in order, each of so many tokens at most with what stands around them.

    Whole inputs where they fit, neighbours together; a longer one is cut between lines, and a line longer than a share
    between characters.
    """
    groups, group, size, most = list[tuple[str, ...]](), list[str](), 0, tokens * BYTES
    for number, each in enumerate(inputs, 1):
        around = _FRAME + len(each.name.encode())
        pieces = _pieces(number, each.text, max(most - around, 4)) if not each.data else [(Piece(number), SIZE)]
        for piece, length in pieces:
            if group and size + around + length > most:
                groups.append(tuple(group))
                group, size = [], 0
            group.append(str(piece))
            size += around + length
    return (*groups, tuple(group)) if group else tuple(groups)


def called(inputs: Sequence[Input], pieces: Sequence[str]) -> str:
    """What people call these pieces: names of inputs, with the lines of a part; of many the first and the last."""
    found = Pieces(inputs)
    names = [_called(inputs, found.find(piece)) for piece in pieces]
    return ", ".join(names) if len(names) <= _NAMED else f"{len(names)} inputs from {names[0]} to {names[-1]}"


def _called(inputs: Sequence[Input], piece: Piece) -> str:
    name = " ".join(inputs[piece.number - 1].name.split())[:100]
    if not piece.first:
        return name
    return f"{name} (lines {piece.first}-{piece.last})" if not piece.begin else f"{name} (a part of line {piece.first})"


def _pieces(number: int, text: str, most: int) -> Iterator[tuple[Piece, int]]:
    """An input in pieces of so many bytes at most, with the bytes of each.

    A diff is cut before a file, if one begins in the last three quarters of a piece; else any text after an empty line
    that stands in no code block, if there is one in the second half.
    """
    if (length := len(text.encode())) <= most:
        yield Piece(number), length
        return
    first, size, place, pause, file, fenced = 1, 0, 0, (0, 0), (0, 0), False
    for place, line in enumerate(lines_of(text), 1):
        length = len(line.encode())
        while size and size + length > most:
            found = (file if 4 * file[1] >= most else None) or (pause if 2 * pause[1] >= most else None)
            last, taken = found or (place - 1, size)
            yield Piece(number, first, last), taken
            first, size, pause, file = last + 1, size - taken, (0, 0), (0, 0)
        file = (place - 1, size) if line.startswith(_FILE) else file
        fenced ^= line.lstrip().startswith(_FENCES)
        if length <= most:
            size += length
            pause = pause if fenced or line.strip() else (place, size)
            continue
        for begin, end, part in _parts(line, most):
            yield Piece(number, place, place, begin, end), part
        first = place + 1
    if size:
        yield Piece(number, first, place), size


def _parts(line: str, most: int) -> Iterator[tuple[int, int, int]]:
    """Where a line longer than so many bytes is cut: the first and last character of each part, and its bytes."""
    data, start, begin = line.encode(), 0, 1
    while start < len(data):
        end = min(start + most, len(data))
        while end < len(data) and data[end] & 0xC0 == 0x80:
            end -= 1
        letters = len(data[start:end].decode())
        yield begin, begin + letters - 1, end - start
        start, begin = end, begin + letters
