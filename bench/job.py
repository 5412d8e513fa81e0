"""A job: what is asked of the endpoint, known beforehand to the last delay, so that its ideal time can be computed.

A job travels in the name of the model, so every request says by itself how it is to be answered.
"""

import random
from collections.abc import Iterator
from functools import lru_cache

import msgspec
from msgspec import Struct
from msgspec.structs import asdict

TASK = "Compare the ways a small team can run background jobs, and recommend one with its costs and its risks."
WORKER_TEXT = "".join(f"Finding {n} says what was found, how certain it is, and what was left out. " for n in range(17))
ANSWER_TEXT = "".join(f"Weighing point {n}, the answer recommends one of the ways. " for n in range(14))
TOKEN = 4  # characters


class Job(Struct, frozen=True):
    """One task with its plan, workers and answer.

    `span`: seconds in which the plan is written, evenly, in `pieces` events for each subtask. `delay`: seconds of a
    worker, give or take the share `spread` (uniform, seeded). `join`: seconds of the answer. `tokens`, if any: workers
    are streamed, so many tokens at `rate` a second. `types`: how many types of subtasks there are, by chance. `order`
    of the lengths: `any`; `typed`, where each type has its share of the spread to itself; `falling`; `rising`.
    """

    workers: int
    span: float = 0.0
    pieces: int = 8
    delay: float = 0.0
    spread: float = 0.0
    join: float = 0.0
    tokens: int = 0
    rate: float = 80.0
    seed: int = 1
    types: int = 1
    order: str = "any"

    def model(self, role: str) -> str:
        """The name of the model that plays `role` (`plan`, `work` or `join`) in this job."""
        return ",".join([role, *(f"{key}={value}" for key, value in asdict(self).items())])


@lru_cache
def parse(model: str) -> tuple[str, Job]:
    """The role and the job in a model's name."""
    role, *facts = model.split(",")
    return role, msgspec.convert(dict(fact.split("=") for fact in facts), Job, strict=False)


def types(job: Job) -> list[str]:
    """The type of each subtask, in the plan's order."""
    dice = random.Random(job.seed + 1)
    return [f"work{dice.randrange(job.types)}" if job.types > 1 else "work" for _ in range(job.workers)]


def delays(job: Job) -> list[float]:
    """How long each worker takes, in the plan's order."""
    dice = random.Random(job.seed)
    parts = [dice.uniform(-1, 1) for _ in range(job.workers)]
    if job.order == "typed":  # from the shortest type to the longest
        shares = [2 * int(type_.removeprefix("work")) - job.types + 1 for type_ in types(job)]
        parts = [(part + share) / job.types for part, share in zip(parts, shares, strict=True)]
    elif job.order != "any":
        parts.sort(reverse=job.order == "falling")
    return [round(job.delay * (1 + part * job.spread), 4) for part in parts]


def arrivals(job: Job) -> list[float]:
    """When each subtask's line of the plan is complete, in seconds from the moment the plan was asked for."""
    step = job.span / (job.workers * job.pieces + 1)
    return [step * job.pieces * (number + 1) for number in range(job.workers)]


def plan_events(job: Job) -> Iterator[tuple[float, str]]:
    """The plan as it is streamed: pieces of its text, each with its time."""
    step = job.span / (job.workers * job.pieces + 1)
    yield 0.0, '{"analysis": "The ways differ in upkeep and in what they survive.", "tasks": ['
    for number, (type_, delay) in enumerate(zip(types(job), delays(job), strict=True)):
        text = _subtask(number, type_, delay, last=number == job.workers - 1)
        size = -(-len(text) // job.pieces)
        for piece in range(job.pieces):
            yield step * (number * job.pieces + piece + 1), text[piece * size : (piece + 1) * size]
    yield job.span, "]}"


def _subtask(number: int, type_: str, delay: float, *, last: bool) -> str:
    """One line of the plan; the brace that closes it is in its last piece, with the comma before the next one."""
    about = f"Part {number}: describe one way, what it costs a month, and how it fails (it lasts {delay} s)."
    return f'{{"type": "{type_}", "description": "{about}"}}' + ("" if last else ", ")
