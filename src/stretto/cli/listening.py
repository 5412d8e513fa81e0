"""`--port` and `--host`: where a server listens."""

import click

from stretto.cli.help import Decorator, option, together


def address_options(port: int, others: str = "") -> Decorator:
    """--port, which is this one if nobody says otherwise, and --host; `others`: what addresses of others need."""
    return together(
        option(
            "--port",
            type=click.IntRange(0, 65535),
            metavar="N",
            default=port,
            show_default=True,
            help="Port; 0 takes any free one.",
        ),
        option(
            "--host",
            metavar="ADDRESS",
            default="127.0.0.1",
            show_default=True,
            help=f"Address to listen on{others}.",
        ),
    )
