"""Who goes first among subtasks that wait: the plan's order, but for what is known."""

import random
from collections.abc import Iterable, Mapping, Sequence

import pytest

from models import Beat, carry, plan_of
from stretto import Definition, Limits, Role, Subtask
from stretto.calls import Call
from stretto.engine.urgencies import Urgencies

PARALLEL, WORKERS = 6, 30


def planned(*types: str) -> tuple[Urgencies, list[Subtask]]:
    urgencies = Urgencies()
    subtasks = [Subtask(f"t{number}", type_, "x") for number, type_ in enumerate(types, 1)]
    for subtask in subtasks:
        urgencies.plan(subtask)
    return urgencies, subtasks


def finish(urgencies: Urgencies, subtasks: Sequence[Subtask], **seconds: Sequence[float]) -> None:
    for type_, times in seconds.items():
        for subtask, time in zip([each for each in subtasks if each.type == type_], times, strict=False):
            urgencies.finish(subtask, time)


def waiting(urgencies: Urgencies, *types: str) -> list[str]:
    """Types in the order in which their last subtasks are served; alike: as they are planned."""
    return sorted(types, key=lambda type_: urgencies.of(_LAST[type_]).key)


_LAST = {"a": "t13", "b": "t14", "c": "t15"}


@pytest.mark.parametrize(
    ("seconds", "order"),
    [
        ({"a": [1, 1, 1], "b": [9, 9, 9]}, "abc"),  # a few tell nothing
        ({"a": [1, 1, 1, 1], "b": [9, 9, 9, 9]}, "bca"),  # held back is what was shorter every time
        ({"a": [1, 1, 1, 1], "b": [9, 9, 9, 0.5]}, "abc"),  # and not what was shorter most of the time
        ({"a": [1, 1, 1, 1], "b": [9, 9, 9, 9], "c": [3, 4, 5, 3]}, "bca"),
        ({"a": [0, 0, 0, 0], "b": [9, 9, 9, 9]}, "abc"),  # who made no call took no time
    ],
)
def test_only_what_was_shorter_every_time_is_held_back(seconds: Mapping[str, Sequence[float]], order: str) -> None:
    urgencies, subtasks = planned(*"abc" * 5)
    finish(urgencies, subtasks, **seconds)
    assert waiting(urgencies, "a", "b", "c") == list(order)


def test_who_was_held_back_comes_forward_again_when_a_longer_type_has_a_short_one() -> None:
    urgencies, subtasks = planned(*"abc" * 5)
    told: list[float] = []
    urgencies.of("t13").moved.append(lambda: told.append(urgencies.of("t13").key[-1]))
    finish(urgencies, subtasks, a=[1, 1, 1, 1], b=[9, 9, 9, 9])
    urgencies.finish(subtasks[13], 0.5)
    assert told == [1, 0]


def test_what_others_need_goes_first_whatever_its_type_took() -> None:
    urgencies, subtasks = planned(*"abc" * 5)
    urgencies.plan(Subtask("t16", "b", "x", ("t13",)))
    finish(urgencies, subtasks, a=[1, 1, 1, 1], b=[9, 9, 9, 9])
    assert waiting(urgencies, "a", "b", "c") == ["a", "b", "c"]


def lengths(order: str, types: Sequence[str], dice: random.Random) -> list[float]:
    shares = [dice.uniform(0.2, 1.8) for _ in types]
    if order == "typed":
        return [share / 3 + {"a": 0.0, "b": 0.6, "c": 1.2}[type_] for share, type_ in zip(shares, types, strict=True)]
    return shares if order == "any" else sorted(shares, reverse=order == "falling")


def in_order(seconds: Sequence[float], places: int) -> float:
    """When all are over, if each begins in the plan's order as soon as a place is free."""
    free = [0.0] * places
    for each in seconds:
        free[0] += each
        free.sort()
    return free[-1]


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("order", ["any", "typed", "falling", "rising"])
def test_no_order_of_lengths_takes_longer_than_the_plans(order: str, seed: int) -> None:
    dice = random.Random(seed)
    types = [dice.choice("abc") for _ in range(WORKERS)]
    seconds = lengths(order, types, dice)
    plan = plan_of(*({"type": each, "description": f"Number {at}"} for at, each in enumerate(types)))

    def script(call: Call, _: int) -> Iterable[Beat]:
        if call.role == "orchestrator":
            return [plan]
        if call.role == "synthesizer":
            return ["All."]
        return [seconds[int((call.subtask or "t0")[1:]) - 1], "Found."]

    workers = {name: Role(f"sim:{name}") for name in "abc"}
    told = carry(script, Definition(Role("sim:o"), workers, Role("sim:s"), Limits(parallel=PARALLEL)))
    assert told.at("run_finished")[0] <= 1.03 * in_order(seconds, PARALLEL)
