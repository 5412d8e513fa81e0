"""What can go wrong on purpose, by script or by rate."""

import shlex
from typing import get_args

from msgspec import Struct

from stretto.errors import ConfigError
from stretto.models.simulator.dice import dice
from stretto.models.simulator.refusals import Refusal, out_of_quota, refusal
from stretto.types import RoleName

SPOILED_PLANS = ("malformed", "fenced", "prose")
"""Faults that only a plan can have."""

KINDS = (
    "429", "quota", "401", "400", "500", "503",
    "reset", "disconnect", "silence", "empty", "html", "truncated", *SPOILED_PLANS,
)  # fmt: skip
"""What a fault can be; every other HTTP status from 400 to 599 is one too."""

_TIMES = {"once": 1, "twice": 2, "always": None}
_SETTINGS = ("times", "rate", "role", "match", "retry_after", "seconds")


class Fault(Struct, frozen=True):
    """One thing that goes wrong.

    `times`: how many first askings of each matching request fail, None for all. `rate`: the share of them that does.
    `role`, `match`: only requests of this role, only requests that contain this text. `retry_after`: seconds, for a
    429. `seconds`: how long a `silence` lasts before the connection ends.
    """

    kind: str
    times: int | None = None
    rate: float = 1.0
    role: RoleName | None = None
    match: str | None = None
    retry_after: float | None = None
    seconds: float = 3600.0

    def __post_init__(self) -> None:
        if self.kind not in KINDS and self.status is None:
            raise ConfigError(f"fault {self.kind!r}: no such kind; there are {', '.join(KINDS)}, and any 4xx or 5xx")
        if self.times is not None and self.times < 1:
            raise ConfigError(f"fault {self.kind!r}: times must be 1 or more, not {self.times}")
        if not 0 <= self.rate <= 1:
            raise ConfigError(f"fault {self.kind!r}: rate must be from 0 to 1, not {self.rate}")
        if self.role is not None and self.role not in get_args(RoleName):
            raise ConfigError(f"fault {self.kind!r}: no role {self.role!r}; there are {', '.join(get_args(RoleName))}")

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


def pick_fault(
    faults: tuple[Fault, ...], role: RoleName, text: str, *, seed: int, fingerprint: str, nth: int
) -> Fault | None:
    """What goes wrong when a request is asked for the nth time (from 0), if anything does.

    Faults that are limited by `times` take their turns: after `429 once`, `500 once` hits the second asking.
    """
    for index, fault in enumerate(faults):
        if not fault.concerns(role, text):
            continue
        if fault.times is not None and nth >= fault.times:
            nth -= fault.times
            continue
        if fault.rate >= 1 or dice(seed, fingerprint, nth, index, "fault").random() < fault.rate:
            return fault
    return None


def parse_fault(text: str) -> Fault:
    """A fault as it is written: `429 once`, `500 always role=worker`, `disconnect rate=0.1 match="two words"`."""
    try:
        kind, *words = shlex.split(text)
    except ValueError as error:
        raise ConfigError(f"fault {text!r}: it needs a kind and closed quotes; kinds: {', '.join(KINDS)}") from error
    settings: dict[str, object] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if word in _TIMES:
            settings["times"] = _TIMES[word]
        elif equals and name in _SETTINGS:
            settings[name] = _read(text, name, value)
        else:
            valid = ", ".join((*_TIMES, *(f"{setting}=…" for setting in _SETTINGS)))
            raise ConfigError(f"fault {text!r}: unknown word {word!r}; valid: {valid}")
    return Fault(kind, **settings)  # type: ignore[arg-type]  # _read gave each its type


def _read(text: str, name: str, value: str) -> object:
    try:
        if name == "times":
            return int(value)
        return value if name in ("role", "match") else float(value)
    except ValueError:
        raise ConfigError(f"fault {text!r}: {name}={value} is no number") from None
