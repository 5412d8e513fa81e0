"""Markdown as rich renders it, made fit for answers: every word is shown, and nothing in it is obeyed."""

from collections.abc import Iterable, Iterator, Sequence
from io import StringIO
from typing import ClassVar

from markdown_it import MarkdownIt
from markdown_it.token import Token
from rich import box
from rich.console import Console, ConsoleOptions, RenderResult
from rich.markdown import CodeBlock, Heading, Markdown, MarkdownElement, TableElement
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text
from rich.theme import Theme

from stretto.ground.regex import regex

_THEME = Theme({"markdown.code": "cyan", "markdown.block_quote": "none", "markdown.link_url": "underline"})
_LINE = regex(r"[^\n]*\n|[^\n]+")
_END = regex(r"(?:\x1b\[[\d;]*m|[ \t])+$")
"""Blanks at the end of a line, which nobody wants to copy, and styles."""
_LEAST_COLUMN = 6  # cells; with less, a table is shown as a list of its rows
_LONGEST_LIT = 20_000  # characters of code that are coloured: it takes a millisecond for every few hundred


def finished(text: str) -> int:
    """Where the last block of a text begins: what stands before it changes no more, whatever follows in new lines."""
    starts = [token.map[0] for token in _parsed(text) if token.level == 0 and token.nesting >= 0 and token.map]
    if len(starts) < 2:
        return 0
    return sum(map(len, _LINE.findall(text)[: starts[-1]]))


def rendered(text: str, width: int, *, colours: bool = True, most: int | None = None) -> list[str]:
    """A text of Markdown as lines that a terminal takes, one blank line between two blocks.

    If only the last lines are wanted, of a block of code at the end no more than `most` are coloured.
    """
    tokens = _parsed(text)
    if most is not None and tokens and tokens[-1].type == "fence":
        tokens[-1].content = "".join(tokens[-1].content.splitlines(keepends=True)[-max(1, most) :])
    console = Console(
        file=StringIO(), width=max(1, width), force_terminal=True, theme=_THEME, highlight=False, emoji=False,
        color_system="standard" if colours else None, markup=False, legacy_windows=False, _environ={},
    )  # fmt: skip
    lines: list[str] = []
    for block in _blocks(tokens):
        with console.capture() as capture:
            console.print(_Blocks(block))
        told = "\n".join(_trimmed(line) for line in capture.get().split("\n")).strip("\n")
        lines += [*([""] if lines else []), *told.split("\n")] if told else []
    return lines


def _parsed(text: str) -> list[Token]:
    return MarkdownIt("commonmark", {"html": False}).enable(["strikethrough", "table"]).parse(text)


def _blocks(tokens: Sequence[Token]) -> Iterator[list[Token]]:
    """The tokens of each block of the top level."""
    block: list[Token] = []
    for token in tokens:
        block.append(token)
        if token.level == 0 and token.nesting <= 0:
            yield block
            block = []


def _trimmed(line: str) -> str:
    found = _END.search(line)
    if found is None:
        return line
    return line[: found.start()] + ("\x1b[0m" if found.start() and "\x1b" in found[0] else "")


class _Heading(Heading):
    """A heading at the left, where the eye looks for the next line."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        text = self.text.copy()
        text.stylize("bold" if self.tag != "h1" else "bold underline")
        yield text


class _Code(CodeBlock):
    """Code without a frame or a background, so that it can be copied; in the terminal's own colours."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        code = str(self.text).rstrip("\n")
        lexer = self.lexer_name if len(code) <= _LONGEST_LIT else "text"
        yield Syntax(code, lexer, theme="ansi_dark", background_color="default", word_wrap=True)


class _Table(TableElement):
    """A table whose words are wrapped and never left out."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        head = [cell.content for cell in self.header.row.cells] if self.header and self.header.row else []
        rows = [[cell.content for cell in row.cells] for row in self.body.rows] if self.body else []
        if len(head) * (_LEAST_COLUMN + 2) > options.max_width:
            yield from _listed(head, rows)
            return
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, collapse_padding=True)
        for title in head:
            table.add_column(Text.assemble(title, style="bold"), justify=title.justify or "left", overflow="fold")
        for row in rows:
            table.add_row(*row)
        yield table


def _listed(head: Sequence[Text], rows: Iterable[Sequence[Text]]) -> RenderResult:
    """Each row as lines of its own, where there is no room for columns."""
    rows = list(rows)
    if not rows:
        yield Text(", ").join(head)
    for index, row in enumerate(rows):
        if index:
            yield Text("")
        for title, cell in zip(head, row, strict=False):
            yield Text.assemble((title.plain, "bold"), ": ", cell)


class _Blocks(Markdown):
    """Blocks of Markdown that were parsed already."""

    elements: ClassVar[dict[str, type[MarkdownElement]]] = Markdown.elements | {
        "heading_open": _Heading,
        "fence": _Code,
        "code_block": _Code,
        "table_open": _Table,
    }

    def __init__(self, tokens: Sequence[Token]) -> None:
        super().__init__("", hyperlinks=False)
        self.parsed = [_plainer(token) for token in tokens]


def _plainer(token: Token) -> Token:
    """Without what rich would leave out or a terminal would hide: images and bare addresses become text."""
    if token.type != "inline" or not token.children:
        return token
    children: list[Token] = []
    skip = False
    for index, child in enumerate(token.children):
        if child.type == "image":
            children.append(Token("text", "", 0, content=f"{child.content or 'image'} ({child.attrs.get('src', '')})"))
        elif child.type == "link_open" and _bare(child, token.children[index + 1 : index + 3]):
            skip = True
        elif child.type == "link_close" and skip:
            skip = False
        else:
            children.append(child)
    return token.copy(children=children)


def _bare(link: Token, behind: Sequence[Token]) -> bool:
    """Whether a link's text is its address."""
    href = str(link.attrs.get("href", ""))
    return (
        [token.type for token in behind] == ["text", "link_close"]
        and behind[0].content in {href, href.removeprefix("mailto:")}
    )  # fmt: skip
