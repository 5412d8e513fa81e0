"""Driving what asks by hand: each request is answered by the test, and remembered."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import msgspec

from stretto import Definition, Result, Role, Subtask
from stretto.calls import fingerprint
from stretto.engine.asking import Ask, Asking, Said
from stretto.engine.work import work
from stretto.errors import StrettoError
from stretto.head import messages_of
from stretto.types import Request

T = TypeVar("T")

Says = Callable[[Ask], Said | str | StrettoError]


def driven(asking: Asking[T], says: Says) -> tuple[T, list[list[Ask]]]:
    """What it returns, and what it asked, round by round."""
    rounds: list[list[Ask]] = []
    said: list[Said] | None = None
    while True:
        try:
            asked = next(asking) if said is None else asking.send(said)
        except StopIteration as end:
            return end.value, rounds
        rounds.append(asked)
        said = [_said(says(ask)) for ask in asked]


def _said(said: Said | str | StrettoError) -> Said:
    if isinstance(said, str):
        return Said("stop", said)
    return Said(error=said) if isinstance(said, StrettoError) else said


def by_part(**answers: Said | str | StrettoError | Sequence[Said | str | StrettoError]) -> Says:
    """An answer for each part; `work` is the work itself, `reply` are those of an ensemble in their order."""
    left = {part: list(each) if isinstance(each, list) else each for part, each in answers.items()}

    def says(ask: Ask) -> Said | str | StrettoError:
        said = left["reply" if ask.part.startswith("reply ") else (ask.part or "work").replace(" ", "_")]
        return said.pop(0) if isinstance(said, list) else said  # type: ignore[return-value]

    return says


def verdict(found: str, remark: str = "") -> str:
    """What a checker replies."""
    return json.dumps({"remark": remark, "verdict": found})


SUBTASK = Subtask("t1", "part", "Count the tides of a day.")


def defined(role: Role, **facts: Any) -> Definition:
    """A workflow in which `role` does the parts."""
    return Definition(Role("sim:o"), {"part": role}, Role("sim:s"), **facts)


def done(
    role: Role,
    says: Says,
    *,
    subtask: Subtask = SUBTASK,
    needed: Mapping[Subtask, str] | None = None,
    sample: int = 0,
) -> tuple[Result, list[list[Ask]]]:
    """The result of a subtask by this role, and what was asked for it."""
    results = [(need, Result(need.id, "done", text)) for need, text in (needed or {}).items()]
    return driven(work(defined(role), "Explain tides.", subtask, results, sample), says)


def parts(rounds: list[list[Ask]]) -> list[list[str]]:
    """Which parts were asked at the same time."""
    return [[ask.part for ask in asked] for asked in rounds]


def prompt(ask: Ask) -> str:
    """What the last message of a request says."""
    return ask.request.messages[-1].content


def identities(rounds: list[list[Ask]]) -> list[str]:
    """The fingerprint of each request."""
    return [fingerprint(ask.request) for asked in rounds for ask in asked]


def sent(request: Request) -> str:
    """A request as a reviewer reads it."""
    blocks = [f"--- {message.role} ---\n{message.content}" for message in messages_of(request)]
    if request.schema is not None:
        blocks.append(f"--- schema ---\n{msgspec.json.format(msgspec.json.encode(request.schema)).decode()}")
    return "\n".join(block.removesuffix("\n") + "\n" for block in blocks)
