"""What a simulated model will say to a request, how fast, and where it breaks off: decided before it begins."""

import math
import random
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from stretto.ground.regex import regex
from stretto.models.simulator import leap_years, plans
from stretto.models.simulator.faults import Fault, dice, pick_fault
from stretto.models.simulator.prose import answer_text, worker_text
from stretto.models.simulator.reading import (
    assignment_of,
    is_repair,
    missing_of,
    references_of,
    role_of,
    sections_of,
    task_of,
    text_of,
)
from stretto.models.simulator.script import Script
from stretto.models.simulator.settings import Simulator
from stretto.models.simulator.shaped import is_shape_repair, schema_in, shaped
from stretto.types import Request, RoleName, Usage

_HOLDS, _FAILS = "holds", "fails"
_PRAISE = "It does what was asked, and nothing that was left out is missing."
_FAULT = "It leaves out a part of what was asked: say which cases it does not cover, and cover them."
_BLOCK = "".join(f"And so it goes on, with nothing new in line {line}. " for line in range(1300))
"""What a huge reply goes on with, a piece at a time: in tokens it would take hours."""
_AGAIN = " And so it goes on, with nothing new in it." * 400
"""What a reply that loops goes on with."""
_CHARS_PER_TOKEN = 4
_PIECE = regex(r"\s?\S{1,5}|\s")


def judgement(schema: Mapping[str, Any], doubts: float, chance: random.Random) -> tuple[dict[str, Any], str] | None:
    """What is said under the keys of a judgement, and the words for it, if the schema is of one.

    That is a `verdict`, which fails at the rate `doubts`, or a number under `best`.
    """
    properties = schema.get("properties", {})
    verdict, best = properties.get("verdict"), properties.get("best")
    if isinstance(verdict, Mapping) and {_HOLDS, _FAILS} <= set(verdict.get("enum", ())):
        fails = chance.random() < doubts
        return {"verdict": _FAILS if fails else _HOLDS}, _FAULT if fails else _PRAISE
    if isinstance(best, Mapping) and best.get("type") == "integer":
        low = best.get("minimum", 1)
        number = chance.randint(low, max(low, best.get("maximum", low)))
        return {"best": number}, f"Number {number} says the most in the fewest words."
    return None


def write_script(
    simulator: Simulator,
    model: str,
    request: Request,
    fingerprint: str,
    nth: int,
    goes_on: Callable[[Fault], bool] = lambda _: True,
) -> Script:
    """Decide everything about the nth reply (from 0) to a request; `goes_on`: whether a fault that lasts still does."""
    role = role_of(request)
    # Asking for the rest of a plan, or for a reply that fits, is asking again: what is to fail once has failed already.
    again = is_repair(request) if role == "orchestrator" else is_shape_repair(request)
    asked = nth + 1 if again else nth
    prompt = text_of(request)
    fault = pick_fault(
        simulator.faults, role, prompt, seed=simulator.seed, fingerprint=fingerprint, nth=asked, goes_on=goes_on
    )
    loops = fault is not None and fault.kind == "loops"
    said = pieces(_text(simulator, role, request, fingerprint, fault) + (_AGAIN if loops else ""))
    allowed = _allowed(said, role, request, fault)
    profile = simulator.profile(model)
    chance = dice(simulator.seed, fingerprint, nth, "latency")
    trickles = fault is not None and fault.kind == "trickle"
    return Script(
        pieces=_sent(said[:allowed], fault),
        finish="length" if loops or allowed < len(said) else "stop",
        usage=Usage(
            estimate(len(prompt) + (request.head.size if request.head else 0)), _tokens(min(allowed, len(said)), fault)
        ),
        ttft=profile.ttft * chance.lognormvariate(0.0, simulator.ttft_spread),
        rate=1 / fault.every if fault is not None and trickles else profile.tokens_per_second,
        fault=fault,
        request_id=f"sim-{fingerprint[:12]}-{nth + 1}",
    )


def _sent(said: tuple[str, ...], fault: Fault | None) -> tuple[str, ...]:
    """The pieces as they are sent: a trickle until it breaks off, a huge reply with all that makes it huge."""
    if fault is None or fault.kind not in ("trickle", "huge"):
        return said
    if fault.kind == "trickle":
        count = max(1, math.ceil(fault.seconds / fault.every))
        return (*said[:count], *(" ",) * (count - len(said)))
    blocks, rest = divmod(max(0, fault.size - sum(len(piece.encode()) for piece in said)), len(_BLOCK))
    return (*said, *(_BLOCK,) * blocks, _BLOCK[:rest])


def _tokens(said: int, fault: Fault | None) -> int:
    return max(said, estimate(fault.size)) if fault is not None and fault.kind == "huge" else said


def _text(simulator: Simulator, role: RoleName, request: Request, fingerprint: str, fault: Fault | None) -> str:
    """The whole text, before any limit."""
    kind = fault.kind if fault else ""
    if kind == "empty":
        return ""
    if role == "orchestrator":
        return _plan_text(simulator, request, kind)
    schema, chance = schema_in(request), dice(simulator.seed, fingerprint, request.sample, "shape")
    judged = None if schema is None else judgement(schema, simulator.doubts, chance)
    text = judged[1] if judged else _prose(simulator, role, request, fingerprint)
    if kind == "schema":
        return msgspec.json.encode({"result": text}).decode()
    if schema is None:
        return text
    if judged:
        return msgspec.json.encode(shaped(schema, text, chance) | judged[0]).decode()
    return msgspec.json.format(msgspec.json.encode(shaped(schema, text, chance))).decode()


def _prose(simulator: Simulator, role: RoleName, request: Request, fingerprint: str) -> str:
    if role == "synthesizer":
        return answer_text(task_of(request), sections_of(request), missing_of(request), references_of(request))
    if scripted := leap_years.scripted(text_of(request)):
        return scripted
    chance = dice(simulator.seed, fingerprint, request.sample, "text")
    return worker_text(assignment_of(request), chance, simulator.length, simulator.length_spread)


def _plan_text(simulator: Simulator, request: Request, spoilt: str) -> str:
    if spoilt == "prose":
        return plans.prose(task_of(request))
    plan = plans.write_plan(simulator.seed, request, simulator.subtasks)
    if spoilt == "schema":
        return plan.no_plan()
    text = plan.text(spoilt=spoilt == "malformed")
    return plans.fenced(text) if spoilt == "fenced" else text


def _allowed(said: tuple[str, ...], role: RoleName, request: Request, fault: Fault | None) -> int:
    """How many tokens the request's limit and a truncating fault leave; a huge reply keeps to no limit."""
    options = request.options
    allowed = int(options.get("max_completion_tokens") or options.get("max_tokens") or len(said))
    if fault is not None and fault.kind == "huge":
        return len(said)
    if fault is None or fault.kind != "truncated":
        return allowed
    # Two thirds of a plan: some subtasks are closed. It ends in a word, so in the middle of an object.
    cut = len(said) * 2 // 3 if role == "orchestrator" else len(said) // 2
    while cut > 1 and not said[cut - 1].strip().isalnum():
        cut -= 1
    return min(allowed, cut)


def pieces(text: str) -> tuple[str, ...]:
    """The text cut into pieces of about a token each; joined they are the text again."""
    return tuple(_PIECE.findall(text))


def estimate(chars: int) -> int:
    """About how many tokens so many characters are."""
    return -(-chars // _CHARS_PER_TOKEN)
