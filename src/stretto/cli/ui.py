"""`stretto ui`."""

import asyncio
import os
import sys
import webbrowser
from threading import Thread
from typing import Any

import click

from stretto.cli.help import command, option
from stretto.cli.options import offer_options
from stretto.cli.screen import say
from stretto.cli.stored import find_run, store_path
from stretto.store.sqlite import Store


@command("stretto ui", "stretto ui 01K9ZQ4T", "stretto ui --port 8000 -w ./stretto.toml")
@click.argument("run", required=False)
@option("--last", is_flag=True, help="The newest run.")
@option("--port", type=click.IntRange(0, 65535), metavar="N", default=0, help="Port.  [default: any free one]")
@option("--no-open", is_flag=True, help="Say the address, and open nothing.")
@offer_options
def ui(run: str | None, last: bool, port: int, no_open: bool, **flags: Any) -> None:
    """Open a page in the browser on which runs are watched, started and steered, or on RUN, until Ctrl-C.

    It is served to this machine alone, at an address that goes to stdout; `stretto serve` has the same page. Where
    there is no display, open that address yourself.

    RUN is a run's id, or the beginning or end of it; without one the page is the list of all.
    """
    shown = find_run(Store(store_path(flags["store"]), tell=say), run, last=last) if run or last else ""
    from stretto.cli.served import looked_at, page_of, until_told  # the HTTP server is loaded when one is wanted

    offer = looked_at(flags)

    def ready(url: str) -> None:
        page = page_of(url, shown)
        say(f"{page}; Ctrl-C stops it")
        click.echo(page)
        if not no_open and _has_display():
            Thread(target=webbrowser.open, args=(page,), daemon=True).start()  # some browsers come back at their end

    asyncio.run(until_told(offer, "127.0.0.1", port, ready, tell=say))


def _has_display() -> bool:
    """Whether a browser has somewhere to open a window; one that is named (`BROWSER`) is asked in any case."""
    windows = sys.platform in {"darwin", "win32"}
    return windows or any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"))
