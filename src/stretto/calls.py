"""The one seam to the world: a `Model` takes a `Call` and streams `Chunk`s.

Real endpoints, the simulator and the policies around them all have this shape.
"""

import hashlib
from collections.abc import AsyncGenerator, Callable
from decimal import Decimal
from typing import Any, Protocol

import msgspec
from msgspec import Struct

from stretto.events import CallRetried, RunDegraded
from stretto.types import Allowance, Reply, Request, RoleName, Usage

FINGERPRINT_VERSION = 1

_NEUTRAL_OPTIONS = frozenset({"stream", "stream_options", "user", "metadata", "store", "service_tier", "timeout"})
"""Options that steer transport or bookkeeping at the provider and never the answer."""

_canonical = msgspec.json.Encoder(order="deterministic")


def fingerprint(request: Request) -> str:
    """The identity of a request: a hash of its canonical form, stable across processes and key order.

    Canonical form: version, model as written, messages, the options that change the answer, schema, sample number.
    Never a URL, a key, or how the provider happens to take a schema.
    """
    options = {k: _plain(v) for k, v in request.options.items() if k not in _NEUTRAL_OPTIONS}
    form = (FINGERPRINT_VERSION, request.model, request.messages, options, request.schema, request.sample)
    return hashlib.sha256(_canonical.encode(form)).hexdigest()[:32]


def _plain(value: Any) -> Any:
    """1.0 and 1 ask for the same thing."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


class Urgency:
    """How much a call holds its run back: the lower its `key`, the sooner it is served.

    It may grow while the call waits: `hasten` tells whoever is in `hastened`. `critical` says whether nothing else
    would hold the run back for longer.
    """

    __slots__ = ("critical", "hastened", "key")

    def __init__(self, *key: float, critical: Callable[[], bool] = lambda: True) -> None:
        self.key = key
        self.critical = critical
        self.hastened: list[Callable[[], None]] = []

    def hasten(self, *key: float) -> None:
        """Serve the call as `key` says, if that is sooner."""
        if key < self.key:
            self.key = key
            for tell in self.hastened:
                tell()


class Call(Struct, frozen=True):
    """One request to a model, with what the policies need to know beside it.

    Only `request` is part of the fingerprint. `described`: the prompt itself says what form the reply must have, so it
    need not be told again where the provider takes no schema. `value`: what it is worth, if the plan says so.
    `shorten`: rather a shorter reply than none, if the budget does not allow for the whole. `duplicate`: the same call
    is under way already, and this one races it.
    """

    id: str
    run: str
    role: RoleName
    subtask: str | None
    request: Request
    fingerprint: str
    stream: bool
    urgency: Urgency
    described: bool = False
    value: float | None = None
    shorten: bool = False
    duplicate: bool = False


class Sent(Struct, frozen=True):
    """The request left. `reserved`, `reserved_cost`: what its call may come to with it, if anything was set aside."""

    reserved: Usage | None = None
    reserved_cost: Decimal | None = None


class Text(Struct, frozen=True):
    """A piece of the reply."""

    text: str


class Reasoning(Struct, frozen=True):
    """A piece of what the model thought before it replied; never part of the reply."""

    text: str


class Restarted(Struct, frozen=True):
    """Forget what this call said so far: it is asked again."""


class Notice(Struct, frozen=True):
    """Something a policy did that belongs into the log."""

    event: CallRetried | RunDegraded


class Done(Struct, frozen=True):
    """The reply is complete, as far as its `finish` reason goes (`stop`, `length`, `content_filter`, …).

    `asked`: the model that was asked, as written, if it was not the first choice.
    """

    finish: str
    usage: Usage | None = None
    model: str | None = None
    request_id: str | None = None
    reused: bool = False
    simulated: bool = False
    asked: str | None = None


SHORTENED = "shortened"
"""The finish reason of a reply that met a limit which only the budget set."""
KEPT = frozenset({"stop", "length", SHORTENED})
"""Finish reasons of replies worth remembering: the provider was done with them, whole or at the limit we set."""

Chunk = Sent | Allowance | Text | Reasoning | Restarted | Notice | Done

SPOKEN = (Text, Reasoning)
"""Chunks in which the model says something."""


class Transcript:
    """What a stream of chunks amounts to so far; `sent_at` is the loop time at which its request left, if it did."""

    def __init__(self) -> None:
        self.sent_at: float | None = None
        self._pieces: list[str] = []
        self._thoughts: list[str] = []

    def take(self, chunk: Chunk) -> None:
        """One chunk further."""
        if isinstance(chunk, Text):
            self._pieces.append(chunk.text)
        elif isinstance(chunk, Reasoning):
            self._thoughts.append(chunk.text)
        elif isinstance(chunk, Restarted):
            self._pieces.clear()
            self._thoughts.clear()

    @property
    def text(self) -> str:
        """The reply so far."""
        return "".join(self._pieces)

    def reply(self, done: Done) -> Reply:
        """The whole reply, as it is remembered."""
        return Reply(self.text, done.finish, done.usage, done.model, "".join(self._thoughts), done.simulated)


class Model(Protocol):
    """Whatever answers calls.

    The stream ends with exactly one `Done`, or raises a `CallError`. Closing the generator early, or cancelling the
    task that reads it, cancels the request at the provider.
    """

    def stream(self, call: Call) -> AsyncGenerator[Chunk, None]:
        """The reply to one call, as it arrives."""
        ...
