"""What a forked child does."""

import os
import runpy
import sys
import termios
import time
from fcntl import ioctl
from io import BufferedReader, BufferedWriter, FileIO, TextIOWrapper
from multiprocessing.connection import Connection
from types import ModuleType
from typing import TextIO

from stretto.__main__ import main

_TESTS = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120 - see above


def carry_out(
    program: str, arguments: list[str], folder: str, environ: dict[str, str], session: bool, *streams: Connection
) -> None:
    """Be `stretto`, `python` or `pytest` with these arguments, in this folder and environment, with these streams."""
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
    sys.argv = [program, *arguments]
    if program == "stretto":
        main()
        return
    sys.path[:] = [*environ.get("PYTHONPATH", "").split(os.pathsep), *filter(_is_known_to_all, sys.path)]
    _run_python(arguments if program == "python" else ["-m", program, *arguments])


def _is_known_to_all(place: str) -> bool:
    """Whether it is no folder that only the tests look for modules in."""
    return place not in {"", _TESTS, os.path.dirname(os.path.dirname(_TESTS))}  # noqa: PTH120 - as the path has them


def _run_python(arguments: list[str]) -> None:
    """What `python` does with a text, a module or a file."""
    match arguments:
        case ["-c", code, *rest]:
            sys.argv = ["-c", *rest]
            sys.path.insert(0, "")
            sys.modules["__main__"] = module = ModuleType("__main__")
            exec(compile(code, "<string>", "exec"), module.__dict__)  # noqa: S102 - a test wrote it
        case ["-m", name, *rest]:
            sys.argv = ["-m", *rest]
            sys.path.insert(0, os.getcwd())  # noqa: PTH109 - `pathlib` is not asked for it
            runpy.run_module(name, run_name="__main__", alter_sys=True)
        case [path, *rest]:
            sys.argv = [path, *rest]
            sys.path.insert(0, os.path.dirname(os.path.abspath(path)))  # noqa: PTH100, PTH120
            runpy.run_path(path, run_name="__main__")


def _as(old: TextIO | None, number: int, mode: str) -> TextIOWrapper:
    """A standard stream, read or written as Python does by itself."""
    assert old is not None
    raw = FileIO(number, mode, closefd=False)
    buffered = BufferedReader(raw) if mode == "r" else BufferedWriter(raw)
    return TextIOWrapper(buffered, old.encoding, old.errors, newline="\n", line_buffering=bool(old.line_buffering))
