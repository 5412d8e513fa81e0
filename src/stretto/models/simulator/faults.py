"""What can go wrong on purpose, by script or by rate."""

import hashlib
import math
import random
import re
import shlex
from collections.abc import Callable
from typing import get_args

from msgspec import Struct, field

from stretto.errors import ConfigError
from stretto.ground.amounts import seconds
from stretto.ground.regex import regex
from stretto.models.error_bodies import Refusal, out_of_quota, refusal
from stretto.types import RoleName
from stretto.types.keywords import Keyworded

SPOILED_PLANS = ("malformed", "fenced", "prose")
"""Faults that only a plan can have."""

KINDS = (
    "429", "quota", "401", "400", "500", "503",
    "reset", "disconnect", "silence", "trickle", "empty", "html", "truncated", "schema", "huge", "loops",
    "expired",
    *SPOILED_PLANS,
)  # fmt: skip
"""What a fault can be; every other HTTP status from 400 to 599 is one too."""

_TIMES = {"once": 1, "twice": 2, "always": None}
_FIELDS = {
    "times": "times", "for": "lasts", "rate": "rate", "role": "role", "match": "match", "retry_after": "retry_after",
    "seconds": "seconds", "every": "every", "size": "size",
}  # fmt: skip
"""The field of a `Fault` that each word of a fault's text sets."""
_BYTES = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6}
_SIZE = regex(r"(\d+(?:\.\d+)?)(B|KB|MB|)", re.IGNORECASE)


class Fault(Struct, frozen=True, metaclass=Keyworded):
    """One thing that goes wrong.

    - `kind`: what goes wrong: an HTTP status, or a word (`docs/design.md`, The simulator).
    - `times`: how many first askings of each matching request fail; None: all.
    - `lasts` (written `for`): seconds from the first matching request, whichever it is, after which none fails; None:
      for ever.
    - `rate`: the share of the requests that fails, from 0 to 1; 1.
    - `role`: only requests of this role fail; None: of any.
    - `match`: only requests that contain this text fail; None: whatever they say.
    - `retry_after`: seconds that a 429 tells to wait; None: it tells none.
    - `seconds`: how long a `silence` or a `trickle` lasts before the connection ends; 3600.
    - `every`: seconds from one piece of a `trickle` to the next; 1.
    - `size`: bytes of a `huge` reply; 10,000,000.
    """

    kind: str
    times: int | None = None
    lasts: float | None = field(default=None, name="for")
    rate: float = 1.0
    role: RoleName | None = None
    match: str | None = None
    retry_after: float | None = None
    seconds: float = 3600.0
    every: float = 1.0
    size: int = 10_000_000

    def __post_init__(self) -> None:
        if self.kind not in KINDS and self.status is None:
            raise ConfigError(f"fault {self.kind!r}: no such kind; there are {', '.join(KINDS)}, and any 4xx or 5xx")
        if self.times is not None and self.times < 1:
            raise ConfigError(f"fault {self.kind!r}: times must be 1 or more, not {self.times}")
        if not 0 <= self.rate <= 1:
            raise ConfigError(f"fault {self.kind!r}: rate must be from 0 to 1, not {self.rate}")
        if self.role is not None and self.role not in get_args(RoleName):
            raise ConfigError(f"fault {self.kind!r}: no role {self.role!r}; there are {', '.join(get_args(RoleName))}")
        for word in ("for", "every", "size"):
            value = getattr(self, _FIELDS[word])
            if value is not None and not 0 < value < math.inf:
                raise ConfigError(f"fault {self.kind!r}: {word} must be more than 0 and finite, not {value}")
        for word in ("retry_after", "seconds"):
            value = getattr(self, word)
            if value is not None and not 0 <= value < math.inf:
                raise ConfigError(f"fault {self.kind!r}: {word} must be 0 or more and finite, not {value}")

    @property
    def status(self) -> int | None:
        """The HTTP status this fault is, if it is one."""
        is_status = self.kind.isascii() and self.kind.isdigit() and 400 <= int(self.kind) <= 599
        return int(self.kind) if is_status else None

    def refusal(self) -> Refusal | None:
        """What the provider answers instead, if this fault is an error status."""
        if self.kind == "quota":
            return out_of_quota()
        if self.status is None:
            return None
        usual = 1.0 if self.status == 429 else None
        return refusal(self.status, retry_after=usual if self.retry_after is None else self.retry_after)

    def concerns(self, role: RoleName, text: str) -> bool:
        """Whether a request of this role, with this text in its messages, can be hit."""
        if self.kind in SPOILED_PLANS and role != "orchestrator":
            return False
        return self.role in (None, role) and (self.match is None or self.match in text)


def dice(*facts: object) -> random.Random:
    """A source of chance that depends on nothing but these facts, in any process."""
    digest = hashlib.blake2b(repr(facts).encode(), digest_size=8).digest()
    return random.Random(int.from_bytes(digest, "big"))


def pick_fault(
    faults: tuple[Fault, ...],
    role: RoleName,
    text: str,
    *,
    seed: int,
    fingerprint: str,
    nth: int,
    goes_on: Callable[[Fault], bool],
) -> Fault | None:
    """What goes wrong when a request is asked for the nth time (from 0), if anything does.

    Faults that are limited by `times` take their turns: after `429 once`, `500 once` hits the second asking. `goes_on`
    says of one that lasts for a while whether it still does.
    """
    for index, fault in enumerate(faults):
        if not fault.concerns(role, text) or not goes_on(fault):
            continue
        if fault.times is not None and nth >= fault.times:
            nth -= fault.times
            continue
        if fault.rate >= 1 or dice(seed, fingerprint, nth, index, "fault").random() < fault.rate:
            return fault
    return None


def parse_fault(text: str) -> Fault:
    """A fault as it is written: `429 once`, `500 for=20s role=worker`, `disconnect rate=0.1 match="two words"`."""
    try:
        kind, *words = shlex.split(text)
    except ValueError as error:
        raise ConfigError(f"fault {text!r}: it needs a kind and closed quotes; kinds: {', '.join(KINDS)}") from error
    settings: dict[str, object] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if word in _TIMES:
            settings["times"] = _TIMES[word]
        elif equals and name in _FIELDS:
            settings[_FIELDS[name]] = _read(text, name, value)
        else:
            valid = ", ".join((*_TIMES, *(f"{setting}=…" for setting in _FIELDS)))
            raise ConfigError(f"fault {text!r}: unknown word {word!r}; valid: {valid}")
    return Fault(kind, **settings)  # type: ignore[arg-type]  # _read gave each its type


def _read(text: str, name: str, value: str) -> object:
    try:
        match name:
            case "role" | "match":
                return value
            case "times":
                return int(value)
            case "size":
                return _bytes(value)
            case "rate":
                return float(value)
            case _:
                return _seconds(value)
    except ValueError:
        what = {"size": "size; write bytes, or 300KB, 10MB", "times": "number", "rate": "number"}
        wanted = what.get(name, "time; write seconds, or 250ms, 20s, 1m30s")
        raise ConfigError(f"fault {text!r}: {name}={value} is no {wanted}") from None


def _seconds(text: str) -> float:
    """Seconds in `20s`, `250ms`, `1m30s`, `2.5`; raises `ValueError` for anything else."""
    found = seconds(text)
    return float(text) if found is None else found  # what a fault cannot have, below 0 say, is for it to refuse


def _bytes(text: str) -> int:
    """Bytes in `10MB`, `300KB`, `5000`; raises `ValueError` for anything else."""
    found = _SIZE.fullmatch(text)
    if found is None:
        raise ValueError(text)
    return int(float(found[1]) * _BYTES[found[2].upper()])
