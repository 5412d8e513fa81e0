"""Asking as data: what is to be asked next, and what came of it, without asking.

Whoever has something to find out by calls writes it as a generator (`Asking`): it yields what can be asked at the same
time, is sent what came of it, and returns what it found. The engine answers such a generator by calls.
"""

from collections.abc import Generator
from typing import TypeVar

from msgspec import Struct

from stretto.errors import StrettoError
from stretto.types import Request, Role

T = TypeVar("T")


class Ask(Struct, frozen=True):
    """A request to the model of a role; `part`: what of its subtask it is, if not the work itself.

    `subtask`: which one, if not that for which the whole is asked.
    """

    role: Role
    request: Request
    part: str = ""
    subtask: str | None = None


class Said(Struct, frozen=True):
    """What came of it: the finish reason and the text of a reply, or the error that it ended with.

    At the deadline the error is a `DeadlineError`, and `text` what was said until then; `asked` says whether the
    request left at all. `tokens`: those of the text, as its model counted them.
    """

    finish: str = ""
    text: str = ""
    error: StrettoError | None = None
    asked: bool = True
    tokens: int | None = None


Asking = Generator[list[Ask], list[Said], T]
