"""Markdown as rich renders it, made fit for answers: every word is shown, and nothing in it is obeyed."""

from collections.abc import Iterable, Sequence
from typing import ClassVar

from markdown_it.token import Token
from rich import box
from rich.console import Console, ConsoleOptions, RenderResult
from rich.markdown import CodeBlock, Heading, Markdown, MarkdownElement, TableElement
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

_LEAST_COLUMN = 6  # cells; with less, a table is shown as a list of its rows
_LONGEST_LIT = 20_000  # characters of code that are coloured: it takes a millisecond for every few hundred


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


class Blocks(Markdown):
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
