"""Reading the task of a command."""

import sys
from pathlib import Path

from stretto.errors import TaskError


def read_task(task: str | None, file: Path | None) -> str:
    """The task's text; raises `TaskError` if it cannot be read or is no text."""
    if file is not None and task is not None:
        raise TaskError("a task and -f FILE exclude each other; give one")
    if file is not None and str(file) != "-":
        try:
            return _decoded(file.read_bytes(), str(file))
        except OSError as error:
            raise TaskError(f"{file}: cannot be read: {error.strerror or error}") from error
    if task is not None and task != "-":
        return checked(task, "TASK")
    if task is None and file is None and sys.stdin.isatty():
        raise TaskError('no task; say it ("stretto run TASK"), name a file (-f FILE), or pipe it in')
    return _decoded(sys.stdin.buffer.read(), "standard input")


def _decoded(data: bytes, place: str) -> str:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise TaskError(f"{place}: not UTF-8 text (byte {error.start}); a task is text") from error
    return checked(text, place)


def checked(text: str, place: str) -> str:
    """The text, if it can be a task; raises `TaskError` naming the place it came from."""
    try:
        text.encode()  # an argument that is not UTF-8 arrives with lone surrogates
    except UnicodeEncodeError as error:
        raise TaskError(f"{place}: not UTF-8 text (character {error.start}); a task is text") from None
    if "\0" in text:
        raise TaskError(f"{place}: binary data; a task is text")
    if not text.strip():
        raise TaskError(f"{place}: the task is empty; say what is to be done")
    return text
