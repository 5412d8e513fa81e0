"""Reading the task of a command."""

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from stretto.errors import TaskError
from stretto.ground.files import failing_as, read_all, read_bytes
from stretto.inputs import MOST, Gathered, gather
from stretto.types import Input

_LONGEST_NAME = 255
_PIPE = "standard input"


def read_task(task: str | None, file: Path | None, example: str = "stretto run TASK") -> str:
    """The task's text; raises `TaskError`, with an `example`, if there is none, it cannot be read or is no text."""
    if file is not None and task is not None:
        raise TaskError("a task and -f FILE exclude each other; give one")
    if file is not None and str(file) != "-":
        with failing_as(TaskError, f"{file}: cannot be read", "; name a file that holds the task"):
            return _decoded(read_bytes(file), str(file))
    if task is not None and task != "-":
        return checked(task, "TASK")
    if task is None and file is None and sys.stdin.isatty():
        raise TaskError(f"no task; say it, name a file (-f FILE), or pipe it in, for example: {example}")
    with failing_as(TaskError, f"{_PIPE}: cannot be read"):
        return _decoded(read_all(sys.stdin.buffer, _PIPE), _PIPE)


def read_named(
    sources: Sequence[str], most: float | None, tell: Callable[[Gathered], None], *, stdin: bool = True
) -> tuple[Input, ...]:
    """The inputs that -i names; `tell` is told of each source. `stdin`: whether standard input is free for one."""
    if sources.count("-") > (1 if stdin else 0):
        why = "once only" if stdin else "only if the task is not read from it; say the task as TASK, or with -f FILE"
        raise TaskError(f"-i -: standard input can be read {why}")
    found = gather(sources, int(most or MOST), sys.stdin.buffer.read)
    for each in found:
        tell(each)
    return tuple(each for one in found for each in one.inputs)


def reads_stdin(task: str | None, file: Path | None) -> bool:
    """Whether the task is what standard input says."""
    return task == "-" or str(file) == "-" or (task is None and file is None)


def not_a_file(task: str | None, sources: Sequence[str]) -> None:
    """Raise `TaskError` if the shell has made several words of an input, and the second is taken for the task."""
    if sources and task and task != "-" and len(task) < _LONGEST_NAME and Path(task).exists():
        raise TaskError(
            f"the task is {task!r}, and that is a file; quote a glob so that the shell leaves it alone "
            f'(-i "docs/*.md"), or read the task from the file with -f {task}'
        )


def _decoded(data: bytes, place: str) -> str:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise TaskError(f"{place}: not UTF-8 text (byte {error.start}); a task is text") from error
    return checked(text, place)


def checked(text: str, place: str) -> str:
    """The text, if it can be a task; raises `TaskError` naming the place it came from."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        # What the locale cannot decode arrives with lone surrogates; in a locale without UTF-8 that may well be UTF-8.
        try:
            text = os.fsencode(text).decode()
        except UnicodeError:
            raise TaskError(f"{place}: not UTF-8 text (character {error.start}); a task is text") from None
    if "\0" in text:
        raise TaskError(f"{place}: binary data; a task is text")
    if not text.strip():
        why = "nothing came through the pipe" if place == _PIPE else "say what is to be done"
        raise TaskError(f"{place}: the task is empty; {why}")
    return text
