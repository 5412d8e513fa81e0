"""Help pages: options under headings, and examples that are not wrapped."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol, TypeVar

import click

from stretto.errors import ConfigError
from stretto.ground.regex import regex

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")


class Option(click.Option):
    """An option that stands under a heading of its own."""

    def __init__(self, *args: Any, section: str = "Options", alone: str = "", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.section = section
        self.alone = alone
        """What it means alone, where its value may be left out; a value stands behind an = then."""

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        """With the values that may stand behind the =, where none need stand there."""
        record = super().get_help_record(ctx)
        if record is None or not self.alone or not isinstance(self.type, click.Choice):
            return record
        values = "|".join(value for value in self.type.choices if value != self.alone)
        return f"{', '.join(self.opts)}[={values}]", record[1]

    def get_help_extra(self, ctx: click.Context) -> Any:
        """Without the range: the error message says it to whom it concerns."""
        extra = super().get_help_extra(ctx)
        extra.pop("range", None)
        return extra


_WIDEST = 28  # characters for an option; a longer one stands on a line of its own


class Command(click.Command):
    """A command with examples."""

    def __init__(self, *args: Any, examples: Sequence[str] = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.examples = examples

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """An option whose value may be left out does not take the word behind it: that may be the task."""
        alone = {
            name: each.alone for each in self.params if isinstance(each, Option) for name in each.opts if each.alone
        }
        end = args.index("--") if "--" in args else len(args)
        if ctx.resilient_parsing:  # a TAB: what it says does not matter, and the next word is not its value
            before = [arg for arg in args[:end] if arg.partition("=")[0] not in alone]
        else:
            before = [f"{arg}={alone[arg]}" if arg in alone else arg for arg in args[:end]]
        return super().parse_args(ctx, before + args[end:])

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Each heading once, in the order of the options."""
        rows: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx) if isinstance(parameter, click.Option) else None
            if record:
                rows.setdefault(getattr(parameter, "section", "Options"), []).append(record)
        width = min(_WIDEST, max(len(name) for section in rows.values() for name, _ in section))
        for section, records in rows.items():
            with formatter.section(section):
                # As wide as the widest of the page, so that all headings share one column.
                formatter.write_dl([(name.ljust(width), text) for name, text in records], col_max=width + 2)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """The examples, as they are typed."""
        write_examples(formatter, self.examples)


def write_examples(formatter: click.HelpFormatter, examples: Sequence[str]) -> None:
    """Commands under a heading; one that is too long goes on in the next line, as a shell takes it."""
    if examples:
        with formatter.section("Examples"):
            for example in examples:
                formatter.write(f"  {' '.join(_broken(_WORDS.findall(example), formatter.width - 4))}\n")


_WORDS = regex(r"""(?:-\S+ (?!-))?(?:"[^"]*"|'[^']*'|[^\s"'])+""")
"""The words of a command, quoted ones whole and a flag with its value."""


def _broken(words: Sequence[str], columns: int) -> Iterator[str]:
    """The words, with a backslash and the end of a line before each that would not fit into so many columns."""
    used = 0
    for word in words:
        if used and used + 1 + len(word) > columns:
            yield "\\\n   "
            used = 2
        yield word
        used += 1 + len(word)


def command(*examples: str, name: str | None = None) -> Callable[[Callable[..., Any]], Command]:
    """A `click.command` with examples; it is called as the function is, unless it has a `name`."""
    return click.command(name, cls=Command, examples=examples)


class Decorator(Protocol):
    """What gives a command options or arguments."""

    def __call__(self, command: F, /) -> F:
        """The command with these."""


def option(*names: str, section: str = "Options", **settings: Any) -> Decorator:
    """A `click.option` under a heading."""
    return click.option(*names, cls=Option, section=section, **settings)


def every(read: Callable[[str], T]) -> Callable[[click.Context, click.Parameter, Sequence[str]], tuple[T, ...]]:
    """Reads each value of an option that is repeatable; a `ConfigError` is one of usage here."""

    def callback(ctx: click.Context, param: click.Parameter, written: Sequence[str]) -> tuple[T, ...]:
        try:
            return tuple(map(read, written))
        except ConfigError as error:
            raise click.BadParameter(str(error), ctx, param) from error

    return callback


def together(*options: Decorator) -> Decorator:
    """Several options as one, which a command's help lists in this order."""

    def decorate(command: F) -> F:
        for each in reversed(options):
            command = each(command)
        return command

    return decorate
