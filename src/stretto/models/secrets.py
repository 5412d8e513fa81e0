"""Keeping secrets out of messages, however an endpoint spells them when it repeats what it was sent."""

import re
from collections.abc import Iterable, Mapping
from functools import cached_property
from urllib.parse import parse_qsl, urlsplit

_LONG = 8  # characters; anything shorter is hidden only where it stands alone, or "x" would garble every message
_TELLING = re.compile(r"key|token|secret|sig|auth|code|pass", re.IGNORECASE)
_NAMED = {"&": "&amp;", '"': "&quot;", "<": "&lt;", ">": "&gt;", "'": "&apos;"}


class Secrets:
    """The words no message may contain: a key, what custom headers carry, and what a URL's query calls a secret."""

    def __init__(self, key: str | None, headers: Mapping[str, str], url: str) -> None:
        self._words = {key} if key else set[str]()
        self._words |= {word for value in headers.values() for word in value.split() if len(word) >= _LONG}
        self._words |= {value for name, value in parse_qsl(urlsplit(url).query) if _TELLING.search(name)}

    def hidden(self, text: str) -> str:
        """The text with every secret replaced, also where it is escaped for JSON, a URL or HTML."""
        return self._pattern.sub("[key]", text) if self._words else text

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        return re.compile("|".join(_spellings(sorted(self._words, key=len, reverse=True))))


def _spellings(words: Iterable[str]) -> Iterable[str]:
    for word in words:
        any_way = "".join(map(_spelling, word))
        yield any_way if len(word) >= _LONG else rf"(?<!\w){any_way}(?!\w)"


def _spelling(char: str) -> str:
    """A pattern for every way to write one character; JSON may be escaped more than once."""
    code = ord(char)
    ways = [rf"\\*(?:{re.escape(char)}|u(?i:{code:04x}))", rf"&#0*{code};", rf"&#[xX]0*(?i:{code:x});"]
    ways += ["".join(rf"%(?i:{byte:02x})" for byte in char.encode("utf-8", "replace")), _NAMED.get(char, "")]
    return f"(?:{'|'.join(filter(None, ways))})"
