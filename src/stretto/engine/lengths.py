"""How long texts are made to fit a window: one cap for all of them, pieces, and what is cut out of the middle.

Lengths are in tokens as `stretto.policies.estimate` reckons them, that is, rather more than fewer.
"""

from collections.abc import Mapping, Sequence

from stretto.policies.estimate import BYTES

_GAP = "\n[{left:,} characters left out]\n"
_NOTHING_LEFT = "[…]"
_SHORTEST = 24  # bytes of the text itself, without which there is no sense in showing its ends
_BREAKS = (b"\n\n", b"\n", b" ")
_WORD = (6, 16)  # bytes, with the space behind it: in English about 6, in Russian 14
_NO_WORDS = 12  # bytes taken for a word where scripts (or code) have no spaces


def cap(sizes: Sequence[int], room: int) -> int:
    """The most that each of several may take so that all find room: short ones stay whole, long ones get the same.

    At least the largest of them if there is room for all.
    """
    left, most = max(room, 0), max(sizes, default=0)
    for place, size in enumerate(ordered := sorted(sizes)):
        share = left // (len(ordered) - place)
        if size > share:
            return share
        left -= size
    return most


def targets(sizes: Mapping[str, int], room: int, least: int) -> dict[str, int]:
    """How long which texts are to become so that all find room, in as few calls as that takes.

    The longest are halved, as many as it takes; if that is not enough, or would leave one with less than `least`, all
    that are longer than the cap go down to that.
    """
    over, halves = sum(sizes.values()) - room, dict[str, int]()
    for name in sorted(sizes, key=lambda name: -sizes[name]):
        if over <= 0 or sizes[name] // 2 < least:
            break
        halves[name] = sizes[name] // 2
        over -= sizes[name] - halves[name]
    if over <= 0:
        return halves
    share = cap(list(sizes.values()), room)
    return {name: share for name, size in sizes.items() if size > share >= least}


def shortened(text: str, tokens: int) -> str:
    """A text that takes so many tokens at most: its first two thirds and its last third of them.

    A line between says how many characters are left out; if there is no room for more, that line alone.
    """
    most = max(tokens, 0) * BYTES
    if len(text) <= most and len(text.encode()) <= most:
        return text
    room = most - len(_GAP.format(left=len(text)).encode())
    if room < _SHORTEST:
        told = _GAP.format(left=len(text)).strip()
        return told if len(told) <= most else _NOTHING_LEFT
    last = room // 3
    beginning = text[: room - last].encode()[: room - last].decode(errors="ignore")
    end = text[-last:].encode()[-last:].decode(errors="ignore")
    return beginning + _GAP.format(left=len(text) - len(beginning) - len(end)) + end


def pieces(text: str, count: int) -> list[str]:
    """A text in about so many pieces, each cut where a paragraph, a line or a word ends if one does."""
    data = text.encode()
    most = max(-(-len(data) // count), 4)  # a character takes as much
    found, start = list[bytes](), 0
    while len(data) - start > most:
        end = _end(data, start, start + most)
        found.append(data[start:end])
        start = end
    return [piece.decode() for piece in (*found, data[start:])]


def words(text: str, tokens: int) -> int:
    """Words of a text like this one that surely take no more than so many tokens."""
    each = len(text.encode()) / max(len(text.split()), 1)
    least, most = _WORD
    return int(tokens * BYTES * 0.8 / (_NO_WORDS if each > most else max(each, least)))


def _end(data: bytes, start: int, most: int) -> int:
    """Where a piece ends that has most of what it may have, and no part of a character."""
    for mark in _BREAKS:
        at = data.rfind(mark, most - (most - start) // 5, most)
        if at >= 0:
            return at + len(mark)
    while data[most] & 0xC0 == 0x80:
        most -= 1
    return most
