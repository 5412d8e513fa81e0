"""`stretto` as a child process that has its imports behind it: they take ten times as long as most commands.

A server of `multiprocessing` makes them once and forks for each command. A child has what the installed program has: a
process, a folder, an environment and pipes of its own.
"""

import multiprocessing
import os
import pkgutil
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from io import BufferedReader, BufferedWriter, FileIO, TextIOWrapper
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TextIO

import stretto
from stretto.__main__ import main

_PATIENCE = 120.0  # seconds that a command may take
_LEFT_OUT = ("stretto.__main__", "stretto.models.local", "stretto.testing")  # no command of a test's needs them
_NAMES = [found.name for found in pkgutil.walk_packages(stretto.__path__, "stretto.")]
IMPORTED = ["aiohttp.web", "rich.console", "rich.markdown", *(n for n in _NAMES if not n.startswith(_LEFT_OUT))]
"""What there is to import before a command begins."""

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["pytest", "stretto.__main__", *IMPORTED])


def forked(
    arguments: Sequence[str], folder: Path, environ: Mapping[str, str], stdin: bytes = b""
) -> tuple[int, bytes, bytes]:
    """The exit code, standard output and standard error of `stretto` with these arguments."""
    (theirs, feed), (out, said), (err, told) = (_FORKS.Pipe(duplex=False) for _ in range(3))
    child = _FORKS.Process(target=_command, args=(list(arguments), str(folder), dict(environ), theirs, said, told))
    child.start()
    for end in (theirs, said, told):
        end.close()
    with ThreadPoolExecutor(3) as threads:
        fed = threads.submit(_write, feed, stdin)
        heard = [threads.submit(_read, end) for end in (out, err)]
        child.join(_PATIENCE)
        late = child.is_alive()
        if late:
            child.kill()
    assert not late, f"{arguments}: not over after {_PATIENCE:g} s: {heard[1].result().decode()}"
    fed.result()
    assert child.exitcode is not None
    return child.exitcode, heard[0].result(), heard[1].result()


def _write(end: Connection, data: bytes) -> None:
    with end, suppress(BrokenPipeError), open(end.fileno(), "wb", closefd=False) as pipe:
        pipe.write(data)  # not every command reads it


def _read(end: Connection) -> bytes:
    with end, open(end.fileno(), "rb", closefd=False) as pipe:
        return pipe.read()


def _command(arguments: list[str], folder: str, environ: dict[str, str], *streams: Connection) -> None:
    for number, stream in enumerate(streams):
        os.dup2(stream.fileno(), number)
        stream.close()
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
