"""What a forked child does; it imports this each time, so there is nothing here that takes any."""

import gc
import os
import sys
import termios
import time
from fcntl import ioctl
from io import BufferedReader, BufferedWriter, FileIO, TextIOWrapper
from multiprocessing.connection import Connection
from typing import TextIO

from stretto.__main__ import main


def carry_out(arguments: list[str], folder: str, environ: dict[str, str], session: bool, *streams: Connection) -> None:
    """Be `stretto` with these arguments, in this folder and environment and with these three streams."""
    gc.freeze()  # whoever looked for garbage in what was imported would have a copy of it all
    for number, stream in enumerate(streams):
        os.dup2(stream.fileno(), number)
        stream.close()
    if session:
        os.setsid()
        ioctl(2, termios.TIOCSCTTY, 0)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environ)
    time.tzset()
    sys.stdin = _as(sys.__stdin__, 0, "r")
    sys.stdout = _as(sys.__stdout__, 1, "w")
    sys.stderr = _as(sys.__stderr__, 2, "w")
    sys.argv = ["stretto", *arguments]
    main()


def _as(old: TextIO | None, number: int, mode: str) -> TextIOWrapper:
    """A standard stream, read or written as Python does by itself."""
    assert old is not None
    raw = FileIO(number, mode, closefd=False)
    buffered = BufferedReader(raw) if mode == "r" else BufferedWriter(raw)
    return TextIOWrapper(buffered, old.encoding, old.errors, newline="\n", line_buffering=bool(old.line_buffering))
