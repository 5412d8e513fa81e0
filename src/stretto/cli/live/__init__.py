"""The live view: what a run is doing, drawn on a terminal while it happens, and its answer as it is written."""

import os
import sys
from typing import TextIO

from stretto.cli.progress import Progress


def progress(*, quiet: bool, as_json: bool = False, plain: bool = False) -> Progress:
    """What shows a run to whoever waits: the live view on a terminal that can take it, else plain lines."""
    if quiet or as_json or not drawable(sys.stderr, plain=plain):
        return Progress(quiet=quiet)
    from stretto.cli.live.display import Live  # with rich, which nobody else needs

    return Live()


def drawable(stream: TextIO, *, plain: bool = False) -> bool:
    """Whether a stream is a terminal that can be drawn on, and nobody wants plain lines there."""
    environ = os.environ
    if plain or environ.get("STRETTO_PROGRESS") == "plain" or environ.get("NO_COLOR") or environ.get("CI"):
        return False
    if not stream.isatty() or "utf" not in (stream.encoding or "").lower():
        return False
    return environ.get("TERM", "dumb" if os.name == "posix" else "") not in {"dumb", "unknown"}
