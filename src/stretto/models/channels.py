"""Replies in channels (gpt-oss), whose server did not take them apart.

Source: https://cookbook.openai.com/articles/openai-harmony.
"""

import re

from stretto.calls import Chunk, Reasoning, Text
from stretto.ground.regex import regex

_MARK = regex(r"<\|(start|channel|message|end|return|call|constrain)\|>")
_CUT_MARK = regex(r"<(?:\|\w{0,9}\|?)?$")
_OVER = regex(r"<\|(?:end|return)\|>\s*(?=<\|(?:start|channel)\|>)")
_LAST_MARKS = regex(r"(?:<\|(?:end|return|call|start)\|>\s*)+(?:assistant\s*)?")
_MARKS_MAY_FOLLOW = regex(r"(?:<\|\w{1,9}\|>\s*){0,2}(?:<(?:\|\w{0,9}\|?)?|assistant\s*)?")
_LONGEST_MARKS = 64


class Channels:
    """Takes a reply apart that comes with the marks of its channels; what is said in the last one, `final`, is text."""

    def __init__(self) -> None:
        self._held = ""
        self._part = "channel"
        self._channel = ""

    def feed(self, piece: str) -> list[Chunk]:
        """What can be told apart so far."""
        self._held += piece
        chunks: list[Chunk] = []
        while not self._final and (mark := _MARK.search(self._held)):
            chunks += self._said(self._held[: mark.start()])
            self._held = self._held[mark.end() :]
            self._enter(mark[1])
        if self._final:
            return chunks + self._answer()
        cut = _CUT_MARK.search(self._held, max(0, len(self._held) - 16))
        at = cut.start() if cut else len(self._held)
        chunks += self._said(self._held[:at])
        self._held = self._held[at:]
        return chunks

    def end(self) -> list[Chunk]:
        """What was held back to the last."""
        held, self._held = self._held, ""
        if self._final:
            return [Text(held)] if held and not _LAST_MARKS.fullmatch(held) else []
        if self._part == "channel":  # its mark is missing, but what it says is not
            name, _, rest = (self._channel + held).strip().partition("\n" if "\n" in self._channel else " ")
            return [Text(rest.lstrip())] if name == "final" and rest.strip() else []
        return self._said(held)

    @property
    def _final(self) -> bool:
        """Whether the answer has begun: then its marks are text, as far as no further message follows them."""
        return self._part == "message" and (self._channel.split() or ["final"])[0] == "final"

    def _enter(self, mark: str) -> None:
        if mark in {"start", "channel"}:
            self._channel = ""
        if mark != "constrain":  # that stands within the name of a channel
            self._part = mark

    def _said(self, text: str) -> list[Chunk]:
        if not text:
            return []
        match self._part:
            case "channel":
                self._channel += text
                return []
            case "message":
                return [Reasoning(text)]
            case "start":  # whose message it is
                return []
        return [Text(text)] if text.strip() else []

    def _answer(self) -> list[Chunk]:
        if over := _OVER.search(self._held):
            text, self._held = self._held[: over.start()], self._held[over.end() :]
            self._part = "end"
            return [*([Text(text)] if text else []), *self.feed("")]
        at = len(self._held)
        if (begun := self._held.find("<", max(0, at - _LONGEST_MARKS))) >= 0:
            at = next(
                (
                    found.start()
                    for found in re.finditer("<", self._held[begun:])
                    if _MARKS_MAY_FOLLOW.fullmatch(self._held, begun + found.start())
                ),
                at - begun,
            )
            at += begun
        text, self._held = self._held[:at], self._held[at:]
        return [Text(text)] if text else []
