"""Keeping secrets out of replies: a model may repeat the key that it was asked with, in as many pieces as it likes."""

import re
from collections.abc import Callable, Mapping, Sequence

from stretto.calls import Chunk, Done, Reasoning, Restarted, Text
from stretto.ground.regex import regex

_FREE = 3
"""Letters of a secret that may be shown: many keys begin alike, and an `s` must not wait for what follows it."""
_ESCAPED = regex(r"%[0-9a-fA-F]{2}")


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
