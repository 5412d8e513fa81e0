"""`--port` and `--host`: where a server listens."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

from stretto.cli.help import option

F = TypeVar("F", bound=Callable[..., Any])


def address_options(port: int, others: str = "") -> Callable[[F], F]:
    """--port, which is this one if nobody says otherwise, and --host; `others`: what addresses of others need."""

    def decorate(command: F) -> F:
        at_port = option(
            "--port",
            type=click.IntRange(0, 65535),
            metavar="N",
            default=port,
            show_default=True,
            help="Port; 0 takes any free one.",
        )
        at_host = option(
            "--host",
            metavar="ADDRESS",
            default="127.0.0.1",
            show_default=True,
            help=f"Address to listen on{others}.",
        )
        return at_port(at_host(command))

    return decorate
