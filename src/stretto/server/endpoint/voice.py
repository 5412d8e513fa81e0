"""The form in which an answer is given: what the addresses of the endpoint differ in."""

from typing import Any, Protocol

from msgspec import Struct

from stretto.models.error_bodies import Refusal
from stretto.types import Usage


class Ending(Struct, frozen=True):
    """How an answer ended: its `finish` reason (`stop`, `length`, …), what it used, and what else is told of it."""

    finish: str
    usage: Usage
    told: dict[str, Any] = {}


class Voice(Protocol):
    """Says one answer: streamed, as the bytes of server-sent events, or as one JSON object."""

    def opening(self) -> bytes:
        """What comes first."""
        ...

    def thought(self, text: str) -> bytes:
        """A piece of what leads to the answer: the progress of a run, or what a model thinks."""
        ...

    def text(self, text: str) -> bytes:
        """A piece of the answer."""
        ...

    def closing(self, ending: Ending) -> bytes:
        """What comes last."""
        ...

    def failed(self, refusal: Refusal) -> bytes:
        """What comes last if there is no answer."""
        ...

    def whole(self, text: str, thoughts: str, ending: Ending) -> bytes:
        """All of it as one JSON object."""
        ...
