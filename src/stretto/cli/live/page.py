"""The answer as rendered Markdown, while it is written: finished blocks for good, the last one as far as it is."""

import re
from collections.abc import Iterator, Sequence
from io import StringIO

from markdown_it import MarkdownIt
from markdown_it.token import Token
from rich.console import Console
from rich.theme import Theme

from stretto.cli.live.markdown import Blocks

_THEME = Theme({"markdown.code": "cyan", "markdown.block_quote": "none", "markdown.link_url": "underline"})
_END = re.compile(r"(?:\x1b\[[\d;]*m|[ \t])+$")
"""Blanks at the end of a line, which nobody wants to copy, and styles."""


class Page:
    """Takes the answer piece by piece.

    `settled` gives what will not change any more: a block is finished as soon as another one begins below it, in a line
    that is complete. `open` is the rest, as it would stand if the answer ended here.
    """

    def __init__(self, *, colours: bool = True) -> None:
        self._parser = MarkdownIt("commonmark", {"html": False}).enable(["strikethrough", "table"])
        self._colours = colours
        self._rest = ""
        self._begun = False

    def take(self, text: str) -> None:
        """The answer goes on."""
        self._rest += text

    @property
    def size(self) -> int:
        """Characters that are not settled."""
        return len(self._rest)

    def settled(self, width: int) -> str:
        """The blocks that are finished since this was last asked, as a terminal takes them."""
        whole = self._rest.rfind("\n") + 1
        tokens = self._parser.parse(self._rest[:whole])
        starts = [token.map[0] for token in tokens if token.level == 0 and token.nesting >= 0 and token.map]
        if len(starts) < 2:
            return ""
        lines = self._rest.splitlines(keepends=True)
        self._rest = "".join(lines[starts[-1] :])
        return self._shown(list(_before(tokens, starts[-1])), width)

    def end(self, width: int) -> str:
        """All the rest: the answer is over, or goes no further."""
        tokens, self._rest = self._parser.parse(self._rest), ""
        return self._shown(tokens, width)

    def restart(self) -> None:
        """What is not settled is forgotten: the answer begins anew."""
        self._rest, self._begun = "", False

    def open(self, width: int) -> list[str]:
        """What is not settled, as lines that a terminal takes."""
        lines = self._lines(self._parser.parse(self._rest), width)
        return ["", *lines] if lines and self._begun else lines

    def _shown(self, tokens: Sequence[Token], width: int) -> str:
        lines = self._lines(tokens, width)
        if not lines:
            return ""
        gap = "\n" if self._begun else ""
        self._begun = True
        return gap + "\n".join(lines) + "\n"

    def _lines(self, tokens: Sequence[Token], width: int) -> list[str]:
        """Each block's lines, one blank line between two blocks."""
        lines: list[str] = []
        console = Console(
            file=StringIO(), width=max(1, width), force_terminal=True, theme=_THEME, highlight=False, emoji=False,
            color_system="standard" if self._colours else None, markup=False, legacy_windows=False, _environ={},
        )  # fmt: skip
        for block in _blocks(tokens):
            with console.capture() as capture:
                console.print(Blocks(block))
            told = [_trimmed(line) for line in capture.get().split("\n")]
            while told and not told[0]:
                told.pop(0)
            while told and not told[-1]:
                told.pop()
            lines += ["", *told] if lines and told else told
        return lines


def _trimmed(line: str) -> str:
    found = _END.search(line)
    if found is None:
        return line
    return line[: found.start()] + ("\x1b[0m" if found.start() and "\x1b" in found[0] else "")


def _before(tokens: Sequence[Token], line: int) -> Iterator[Token]:
    """The tokens of the blocks that begin before a line."""
    for token in tokens:
        if token.level == 0 and token.nesting >= 0 and token.map and token.map[0] >= line:
            return
        yield token


def _blocks(tokens: Sequence[Token]) -> Iterator[list[Token]]:
    """The tokens of each block of the top level."""
    block: list[Token] = []
    for token in tokens:
        block.append(token)
        if token.level == 0 and token.nesting <= 0:
            yield block
            block = []
