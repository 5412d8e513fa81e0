"""The one seam to the world: a `Model` takes a `Call` and streams `Chunk`s.

Real endpoints, the simulator and the policies around them all have this shape.
"""

import hashlib
from collections.abc import AsyncGenerator, Callable
from decimal import Decimal
from typing import Any, Protocol

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from stretto.events import CallRetried, RunDegraded
from stretto.ground.text import clean
from stretto.types import Allowance, Reply, Request, RoleName, Usage

FINGERPRINT_VERSION = 1
"""Part of every fingerprint: raised when one of the old form could be that of another request in the new one.

Not otherwise: replies recorded before are found no more, and what was paid is paid again.
"""

_NEUTRAL_OPTIONS = frozenset(
    {"stream", "stream_options", "user", "metadata", "store", "service_tier", "timeout"}
    | {"safety_identifier", "prompt_cache_key", "prompt_cache_retention"}
)
"""Options that steer transport or bookkeeping at the provider and never the answer."""

_canonical = msgspec.json.Encoder(order="deterministic")


def fingerprint(request: Request) -> str:
    """The identity of a request: a hash of its canonical form, the same in every process and for the request read back.

    Canonical form: version, model as written, messages, the options that change the answer, schema, sample number, and
    the digest of the inputs if there are any. Never a URL, a key, or how the provider happens to take a schema. All of
    it stands in `docs/design.md`, Formats.
    """
    options = {k: v for k, v in request.options.items() if k not in _NEUTRAL_OPTIONS}
    settings: tuple[Any, ...] = (_as_json(options), _as_json(request.schema), request.sample)
    if request.head:
        settings = (*settings, request.head.digest)
    try:
        form = _canonical.encode((FINGERPRINT_VERSION, request.model, request.messages, *settings))
    except UnicodeEncodeError:  # looking for a lone surrogate in every prompt beforehand would cost more than the hash
        messages = tuple(replace(message, content=clean(message.content)) for message in request.messages)
        return fingerprint(replace(request, model=clean(request.model), messages=messages))
    return hashlib.sha256(form).hexdigest()[:32]


def _as_json(value: Any) -> Any:
    """As JSON has it: keys are texts, sets are sorted lists. So a request read back from its record is no other."""
    return _plain(msgspec.to_builtins(value, str_keys=True, order="deterministic")) if value else value


def _plain(value: Any) -> Any:
    """One way to say each thing: 1.0 and 1 ask for the same, and no text has a lone surrogate."""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, float):
        return int(value) if value.is_integer() else value
    if isinstance(value, dict):
        return {clean(key): _plain(one) for key, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, list | tuple) else value


class Urgency:
    """How much a call holds its run back: the lower its `key`, the sooner it is served.

    It may change while the call waits: `move` tells whoever is in `moved`. `critical` says whether nothing else would
    hold the run back for longer.
    """

    __slots__ = ("critical", "key", "moved")

    def __init__(self, *key: float, critical: Callable[[], bool] = lambda: True) -> None:
        self.key = key
        self.critical = critical
        self.moved: list[Callable[[], None]] = []

    def move(self, *key: float) -> None:
        """Serve the call as `key` says from now on."""
        if key != self.key:
            self.key = key
            for tell in self.moved:
                tell()


class Call(Struct, frozen=True):
    """One request to a model, with what the policies need to know beside it.

    Only `request` is part of the fingerprint. `described`: the prompt itself says what form the reply must have, so it
    need not be told again where the provider takes no schema. `value`: what it is worth, if the plan says so.
    `shorten`: rather a shorter reply than none, if the budget does not allow for the whole. `duplicate`: the same call
    is under way already, and this one races it. `part`: what of its subtask it is, if not the work itself. `plans`: it
    asks for a plan, of which subtasks may be under way before it is whole. `most`: the limit of its reply, if it
    is not the user's: then it can be left out where the provider refuses it. `batch`: with which batch of its provider
    an earlier execution of its run has sent it. `watched`: somebody reads the reply of this worker while it comes.
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
    part: str = ""
    plans: bool = False
    most: int | None = None
    batch: str = ""
    watched: bool = False


class Sent(Struct, frozen=True):
    """The request left. `reserved`, `reserved_cost`: what its call may come to with it, if anything was set aside.

    `batch`: with which batch of its provider, if it did not leave by itself.
    """

    reserved: Usage | None = None
    reserved_cost: Decimal | None = None
    batch: str = ""


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

    `asked`: the model that was asked, as written, if it was not the first choice. `reused`: nothing was asked, for the
    reply was recorded already, in the run `origin` if not in this one. `doubtful`: it tells a usage that cannot be.
    """

    finish: str
    usage: Usage | None = None
    model: str | None = None
    request_id: str | None = None
    reused: bool = False
    simulated: bool = False
    asked: str | None = None
    origin: str | None = None
    doubtful: bool = False


SHORTENED = "shortened"
"""The finish reason of a reply that met a limit which only the budget set."""
LOOPED = "looped"
"""The finish reason of a reply that only repeated itself, and was stopped."""
CAPPED = "capped"
"""The finish reason of a reply that met the limit which is set where its request sets none."""
OVERLONG = "overlong"
"""The finish reason of a reply that was longer than any may be, and was stopped."""
KEPT = frozenset({"stop", "length", SHORTENED, LOOPED, CAPPED, OVERLONG})
"""Finish reasons of replies worth remembering: nothing more would come of them, or nothing new."""


def lasting(reply: Reply) -> bool:
    """Whether a reply is what its request asks for, so that it answers that of another run, too.

    One that a budget kept short, or that a fallback gave, serves its own run only.
    """
    return reply.finish in KEPT and reply.finish != SHORTENED and reply.asked is None


Chunk = Sent | Allowance | Text | Reasoning | Restarted | Notice | Done

SPOKEN = (Text, Reasoning)
"""Chunks in which the model says something."""


def tokens_of(usage: Usage | None, *, thought: bool) -> int | None:
    """Tokens of a reply's text, as its model counted them; None if not, or (`thought`) not apart from its thoughts."""
    if usage is None or (thought and not usage.reasoning_tokens):
        return None
    return max(0, usage.output_tokens - usage.reasoning_tokens)


class Transcript:
    """What a stream of chunks amounts to so far.

    `sent_at` is the loop time at which its request left, if it did, `heard_at` that at which its reply began.

    `letters`: characters of text and thoughts, whatever became of them.
    """

    __slots__ = ("_pieces", "_thoughts", "heard_at", "letters", "sent_at", "usage")

    def __init__(self) -> None:
        self.sent_at: float | None = None
        self.heard_at: float | None = None
        self.usage: Usage | None = None
        self.letters = 0
        self._pieces: list[str] | None = None  # of hundreds that were asked at once most have said nothing yet
        self._thoughts: list[str] | None = None

    def take(self, chunk: Chunk) -> None:
        """Take in the next chunk: texts and thoughts are appended, `Restarted` drops what there is of both."""
        if isinstance(chunk, Text):
            if self._pieces is None:
                self._pieces = []
            self._pieces.append(chunk.text)
            self.letters += len(chunk.text)
        elif isinstance(chunk, Reasoning):
            if self._thoughts is None:
                self._thoughts = []
            self._thoughts.append(chunk.text)
            self.letters += len(chunk.text)
        elif isinstance(chunk, Restarted):
            self._pieces = self._thoughts = None
            self.usage = None
        elif isinstance(chunk, Done):
            self.usage = chunk.usage

    @property
    def tokens(self) -> int | None:
        """Those of the text, as far as they are known."""
        return tokens_of(self.usage, thought=bool(self._thoughts))

    @property
    def text(self) -> str:
        """The reply so far."""
        return "".join(self._pieces or ())

    def reply(self, done: Done) -> Reply:
        """The whole reply, as it is remembered."""
        thoughts = "".join(self._thoughts or ())
        return Reply(self.text, done.finish, done.usage, done.model, thoughts, done.simulated, done.asked)


class Model(Protocol):
    """Whatever answers calls.

    The stream ends with exactly one `Done`, or raises a `CallError`. Closing the generator early, or cancelling the
    task that reads it, cancels the request at the provider.
    """

    def stream(self, call: Call) -> AsyncGenerator[Chunk, None]:
        """The reply to one call, as it arrives."""
        ...
