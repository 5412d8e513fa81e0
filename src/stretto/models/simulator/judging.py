"""What a simulated model says where it is to judge: whether a result holds, or which of several is best."""

import random
from collections.abc import Mapping
from typing import Any

from msgspec import Struct

_HOLDS, _FAILS = "holds", "fails"


class Judgement(Struct, frozen=True):
    """What is said under the keys that a judgement has, and the words for it."""

    said: dict[str, Any]
    remark: str


def judgement(schema: Mapping[str, Any], doubts: float, chance: random.Random) -> Judgement | None:
    """A judgement, if the schema is of one: a `verdict`, which fails at the rate `doubts`, or a number under `best`."""
    properties = schema.get("properties", {})
    verdict, best = properties.get("verdict"), properties.get("best")
    if isinstance(verdict, Mapping) and {_HOLDS, _FAILS} <= set(verdict.get("enum", ())):
        fails = chance.random() < doubts
        return Judgement({"verdict": _FAILS if fails else _HOLDS}, _FAULT if fails else _PRAISE)
    if isinstance(best, Mapping) and best.get("type") == "integer":
        low = best.get("minimum", 1)
        number = chance.randint(low, max(low, best.get("maximum", low)))
        return Judgement({"best": number}, f"Number {number} says the most in the fewest words.")
    return None


_PRAISE = "It does what was asked, and nothing that was left out is missing."
_FAULT = "It leaves out a part of what was asked: say which cases it does not cover, and cover them."
