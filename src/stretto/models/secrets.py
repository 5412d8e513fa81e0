"""Keeping secrets out of messages, however an endpoint spells them when it repeats what it was sent."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from urllib.parse import parse_qsl, urlsplit

from stretto.calls import Chunk, Done, Reasoning, Restarted, Text
from stretto.ground.regex import regex

_FREE = 3
"""Letters of a secret that may be shown: many keys begin alike, and an `s` must not wait for what follows it."""
_ESCAPED = regex(r"%[0-9a-fA-F]{2}")
_LONG = 8  # characters; anything shorter is hidden only where it stands alone, or "x" would garble every message
_LONGEST_ESCAPE = 16  # characters that one may be written with
_TELLING = regex(r"key|token|secret|sig|auth|code|pass", re.IGNORECASE)
_UNSEEN = (
    r"\s\x00-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202f"
    r"\u205f-\u206f\u2800\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb\U000e0000-\U000e0fff"
)
"""What nobody sees between two letters: blanks, controls, joiners, fillers, marks of direction and variation."""
_BETWEEN = rf"(?:[{_UNSEEN}]|\\{{1,8}}(?:[nrtbf0]|u[0-9a-fA-F]{{4}})|&#[xX]?0*[0-9a-fA-F]{{1,6}};|%[0-9a-fA-F]{{2}})*"
"""The same, and any escape of JSON, URL or HTML, as a pattern of what may stand between two letters of a secret."""
_NAMED = {"&": "&amp;", '"': "&quot;", "<": "&lt;", ">": "&gt;", "'": "&apos;"}
_unseen = regex(f"[{_UNSEEN}]")


class Veil:
    """Reads the chunks of one reply and hides secrets in them.

    `words` are the secrets as they are, each with its letters, rare ones first; `unseen` finds what nobody sees between
    letters, `hidden` hides secrets in any spelling. What may be the beginning of one is held back until what follows
    tells.
    """

    def __init__(
        self, words: Mapping[str, Sequence[str]], unseen: re.Pattern[str], hidden: Callable[[str], str]
    ) -> None:
        self._words = words
        self._firsts = {word[0] for word in words}
        self._longest = 4 * max(map(len, words), default=0)  # a secret may have blanks in it
        self._unseen = unseen
        self._hidden = hidden
        self._shown: dict[type[Text | Reasoning], str] = {}
        self._held: dict[type[Text | Reasoning], str] = {}

    def take(self, chunk: Chunk) -> Sequence[Chunk]:
        """What can be told by now."""
        if not self._words:
            return (chunk,)
        if isinstance(chunk, Text | Reasoning):
            return self._read(chunk)
        if isinstance(chunk, Restarted):
            self._held.clear()
            self._shown.clear()
        return (*self.rest(), chunk) if isinstance(chunk, Done) else (chunk,)

    def rest(self) -> list[Chunk]:
        """What was held back: the reply ended before it became a secret."""
        held, self._held = self._held, {}
        return [kind(text) for kind, text in held.items() if text]

    def _read(self, chunk: Text | Reasoning) -> Sequence[Chunk]:
        kind, new = type(chunk), chunk.text
        shown, held = self._shown.get(kind, ""), self._held.get(kind, "")
        # Most pieces are a few letters that can be no part of a secret: these must cost next to nothing.
        if not (shown or held or "%" in new or "&" in new or "\\" in new) and new.isascii() and new.isprintable():
            for first in self._firsts:
                if first in new:
                    break
            else:
                return (chunk,)
        text = shown + held + new
        if self._may_hold(text):
            text = self._hidden(text)
        kept = self._begun(self._unseen.sub("", text[-self._longest :]))
        at = self._from_the_end(text, kept) if kept else len(text)
        start = len(shown) if text.startswith(shown) else 0
        end = len(text) if kept <= _FREE else max(at, start)
        self._shown[kind], self._held[kind] = text[at:end], text[end:]
        return (kind(text[start:end]),) if end > start else ()

    def _may_hold(self, text: str) -> bool:
        """Whether a text may hold a secret in some spelling; a letter that it lacks mostly tells that none does."""
        if "\\u" in text or "&#" in text or ("%" in text and _ESCAPED.search(text)):
            return True
        for word, letters in self._words.items():
            for letter in letters:
                if letter not in text:
                    break
            else:
                said = "".join(text.split())
                if word in said or not (said.isascii() and said.isprintable()):
                    return True
        return False

    def _begun(self, said: str) -> int:
        """How many letters at the end may be the beginning of a secret."""
        longest = 0
        for word in self._words:
            tail = said[-len(word) + 1 :]
            at = tail.find(word[0])
            while at >= 0:
                if word.startswith(tail[at:]):
                    longest = max(longest, len(tail) - at)
                    break
                at = tail.find(word[0], at + 1)
        return longest

    def _from_the_end(self, text: str, letters: int) -> int:
        """Where the last so many letters that are seen begin."""
        at = len(text)
        while letters:
            at -= 1
            letters -= not self._unseen.match(text[at])
        return at


class Secrets:
    """The words no message may contain: a key, what custom headers carry, and what a URL's query calls a secret."""

    def __init__(self, key: str | None, headers: Mapping[str, str], url: str) -> None:
        self._words = {key} if key else set[str]()
        self._words |= {value for name, value in parse_qsl(urlsplit(url).query) if _TELLING.search(name)}
        # What is no secret by its name may well be a word of an answer.
        sure = {value.split()[-1] for name, value in headers.items() if _TELLING.search(name) and value.split()}
        self._sure = [word for word in self._words | sure if len(word) >= _LONG]
        self._words |= {word for value in headers.values() for word in value.split() if len(word) >= _LONG}

    def hidden(self, text: str) -> str:
        """The text with every secret replaced, also where it is escaped for JSON, a URL or HTML."""
        return self._pattern.sub("[key]", text) if self._words else text

    def beginning(self, text: str, most: int) -> str:
        """The first `most` letters of a text, with every secret replaced, and without reading much more of it.

        What is cut in two where the reading ends could be a secret: it is left out.
        """
        longest = _LONGEST_ESCAPE * max(map(len, self._words), default=0)
        read = 4 * most + longest
        shown = self.hidden(text[:read])
        return (shown if len(text) <= read else shown[: len(shown) - longest])[:most]

    def veil(self) -> Veil:
        """What hides them in one reply: those that are surely secrets, and long enough to be no word of an answer."""
        return Veil(self._letters, _unseen, lambda text: self._veiled.sub("[key]", text))

    @cached_property
    def _letters(self) -> dict[str, list[str]]:
        return {word: sorted(set(word), key=lambda letter: (letter.islower(), letter)) for word in self._sure}

    @cached_property
    def _veiled(self) -> re.Pattern[str]:
        return re.compile("|".join(_spellings(sorted(self._sure, key=len, reverse=True))))

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        return re.compile("|".join(_spellings(sorted(self._words, key=len, reverse=True))))


def _spellings(words: Iterable[str]) -> Iterable[str]:
    for word in words:
        any_way = (_BETWEEN if len(word) >= _LONG else "").join(map(_spelling, word))
        yield any_way if len(word) >= _LONG else rf"(?<!\w){any_way}(?!\w)"


def _spelling(char: str) -> str:
    """A pattern for every way to write one character; JSON may be escaped more than once."""
    code = ord(char)
    greedy = "" if char == "\\" else "+"  # a row of backslashes is looked at once
    ways = [rf"\\{{0,8}}{greedy}(?:{re.escape(char)}|u(?i:{code:04x}))", rf"&#0*{code};", rf"&#[xX]0*(?i:{code:x});"]
    ways += ["".join(rf"%(?i:{byte:02x})" for byte in char.encode("utf-8", "replace")), _NAMED.get(char, "")]
    return f"(?:{'|'.join(filter(None, ways))})"
