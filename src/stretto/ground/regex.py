"""Regular expressions that are compiled when they are first used.

A program imports what reads plans of ten forms and errors of twenty providers, and meets two of them. Compiled on
import, all that it never meets took a seventh of the time in which a short run starts.
"""

import re
from collections.abc import Iterator
from typing import Any, AnyStr, Generic, cast


class _Late(Generic[AnyStr]):
    def __init__(self, pattern: AnyStr, flags: int) -> None:
        self.pattern: AnyStr = pattern
        self._flags = flags

    def __getattr__(self, name: str) -> Any:  # only for what is not there yet
        value = getattr(re.compile(self.pattern, self._flags), name)
        setattr(self, name, value)
        return value


def regex(pattern: AnyStr, flags: int = 0) -> re.Pattern[AnyStr]:
    """The expression `pattern`, for the names of modules: its mistakes, too, are seen when it is first used."""
    return cast(re.Pattern[AnyStr], _Late(pattern, flags))


def parted(pattern: re.Pattern[str], text: str) -> Iterator[tuple[re.Match[str], str]]:
    """Each place that fits, with the text behind it up to the next one."""
    found = list(pattern.finditer(text))
    for each, end in zip(found, [*(after.start() for after in found[1:]), len(text)], strict=False):
        yield each, text[each.end() : end]
