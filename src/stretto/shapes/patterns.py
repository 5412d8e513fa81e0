"""The patterns of a schema, held against what a model wrote: they are Python's, and some never come to an end.

`re` cannot be stopped; `regex` reads the same patterns and can.
"""

import re
import time
from functools import lru_cache
from typing import Any

from stretto.ground.regex import regex

_SECONDS = 0.05  # of the processor, for all patterns and texts of one reply; usual ones take microseconds
_LEAST = 1e-3  # seconds for one of them
_MOST = 100_000  # characters of a pattern whose counts are written out, as its engine does
_TOKEN = regex(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\{(\d*)(?:,\d*)?\}|.", re.DOTALL)
_LITERAL = regex(r"(\\[pPN]\{|\\.)|\{(?![\d,])", re.DOTALL)


class Slow(ValueError):
    """A text could not be held against a pattern in time."""


class Patterns:
    """Holds texts against patterns; all of them together may take 50 ms."""

    def __init__(self) -> None:
        self._left = _SECONDS

    def fits(self, pattern: str, text: str) -> bool:
        """Whether something in the text matches; raises `Slow` if that takes too long to find out."""
        began = time.thread_time()
        try:
            found = _compiled(pattern).search(text, timeout=max(self._left, _LEAST))
        except TimeoutError:
            raise Slow(f"it takes too long to find out whether a text of {len(text):,} characters matches") from None
        self._left -= time.thread_time() - began
        return found is not None


def check_pattern(pattern: str) -> None:
    """Raise `ValueError` for what is no pattern, or would take more memory than anyone has."""
    try:
        re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(f"{pattern[:200]!r} is no regular expression: {error}") from error
    if (size := _size(pattern)) > _MOST:
        raise ValueError(
            f"{pattern[:200]!r} is {size:,} characters long with its counts written out; at most {_MOST:,}"
        )
    _compiled(pattern)


@lru_cache(256)
def _compiled(pattern: str) -> Any:
    import regex

    # A brace that counts nothing is a brace; `regex` would take some for its own fuzzy matching.
    try:
        return regex.compile(_LITERAL.sub(lambda found: found[1] or r"\{", pattern))
    except regex.error as error:
        raise ValueError(f"{pattern[:200]!r} is no regular expression: {error}") from error


def _size(pattern: str) -> int:
    """How long a pattern is if `a{3}` is written as `aaa`."""
    sizes, last = [0], 0
    for token in _TOKEN.finditer(pattern):
        if token[0] == "(":
            sizes.append(0)
            continue
        if token[0] == ")" and len(sizes) > 1:
            last = sizes.pop()
            sizes[-1] += last
        elif token[1]:
            more = last * (max(int(token[1][:9]), 1) - 1)
            sizes[-1] += more
            last += more
        else:
            last = 1
            sizes[-1] += 1
    return sum(sizes)
