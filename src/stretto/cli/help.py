"""Help pages: options under headings, and examples that are not wrapped."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


class Option(click.Option):
    """An option that stands under a heading of its own."""

    def __init__(self, *args: Any, section: str = "Options", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.section = section

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
        if self.examples:
            with formatter.section("Examples"):
                for example in self.examples:
                    formatter.write(f"  {example}\n")


def option(*names: str, section: str = "Options", **settings: Any) -> Callable[[F], F]:
    """A `click.option` under a heading."""
    return click.option(*names, cls=Option, section=section, **settings)
