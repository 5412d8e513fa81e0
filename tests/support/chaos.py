"""Random workflows, killed at random moments.

`python tests/support/chaos.py KILLS SEED [FOLDER]` prints what came of it as JSON.
"""

import asyncio
import random
import sys
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from threading import Lock

import msgspec
from msgspec import Struct

from chaos_endpoint import Endpoint, Endpoints, endpoints
from chaos_story import Line, Moment, Story
from stretto import Run, Simulator, Workflow
from stretto.config import Configuration, read_file
from stretto.models.simulator import parse_fault

_TYPES = ("draft", "proof", "code/solve", "facts")
_FAULTS = (
    (), (), (), ("500 once rate=0.2",), ("disconnect once rate=0.2 role=worker",), ("reset once rate=0.1",),
    ("empty once rate=0.2 role=worker", "503 once role=synthesizer"), ("disconnect once role=synthesizer",),
    ("429 once rate=0.1 retry_after=0.05", "500 once role=orchestrator"),
)  # fmt: skip
_KILLS = (4, 10)  # of one run
_AT_ONCE = 3  # they mostly wait: for the simulator, and for the disk


class Scenario(Struct, frozen=True):
    """A task, the simulator that does it, and the workflow as TOML with a place for the URL."""

    task: str
    simulator: Simulator
    toml: str


class Tally(Struct):
    """What became of all runs: `reissued` requests had been under way at a kill, `settled` ones were complete."""

    runs: int = 0
    kills: int = 0
    phases: dict[str, int] = {}
    subtasks: int = 0
    settled: int = 0
    reissued: int = 0
    complaints: list[str] = []

    def __add__(self, other: "Tally") -> "Tally":
        phases = Counter(self.phases) + Counter(other.phases)
        mine, theirs = msgspec.structs.astuple(self), msgspec.structs.astuple(other)
        sums = {n: a + b for n, a, b in zip(Tally.__struct_fields__, mine, theirs, strict=True) if n != "phases"}
        return Tally(phases=dict(phases), **sums)


def scenario(seed: str) -> Scenario:
    """A workflow and a task: up to 40 subtasks, with needs or without, everything else at random too."""
    lot = random.Random(seed)
    subtasks, needs = lot.randint(1, 40), lot.choice(("", " with needs", " with needs"))
    roles = ["orchestrator", *(f'workers."{name}"' for name in lot.sample(_TYPES, lot.randint(1, 4)))]
    roles += ["synthesizer"] if lot.random() < 0.75 else []
    sections = []
    for role in roles:
        stream = f"stream = {str(lot.random() < 0.4).lower()}" if role.startswith("workers") else ""
        most = 8000 if role == "orchestrator" else 4000
        model = f"chaos:{lot.choice(('one', 'two', 'three'))}"
        options = f"options = {{ max_tokens = {most}, temperature = {lot.choice((0, 0.7, 1.0))} }}"
        sections.append(f'[{role}]\nmodel = "{model}"\n{stream}\n{options}')
    sections.append(f"[limits]\nparallel = {lot.randint(2, 12)}\nattempts = 6")
    sections[-1] += lot.choice(("", '\nbudget = "$100"', "\ntokens = 100_000_000", '\ndeadline = "90s"'))
    sections += [f'[prices."chaos:{name}"]\ninput = 0.1\noutput = 0.2' for name in ("one", "two", "three")]
    simulator = Simulator(
        seed=lot.randint(0, 999),
        faults=tuple(map(parse_fault, lot.choice(_FAULTS))),
        ttft=lot.choice((0.0, 0.01, 0.02)),
        tokens_per_second=lot.choice((5000.0, 10000.0, 20000.0)),
        length=lot.choice((5.0, 20.0)),
    )
    toml = "\n".join([*sections, '[providers.chaos]\nbase_url = "{url}"\n'])
    return Scenario(f"Compare teas, part {seed}, in exactly {subtasks} subtasks{needs}", simulator, toml)


def moment(lot: random.Random) -> Moment:
    """A moment to kill at: any; or one after something of which every phase has enough."""
    match lot.choice(("time", "beginning", "beginning", "line", "plan", "completed", "synthesis", "answer")):
        case "time":
            return Moment(delay=lot.uniform(0, 0.5))
        case "beginning":  # a fork begins within a tenth of a second
            return Moment(delay=lot.uniform(0, 0.07))
        case "line":
            return Moment(lambda _: True, lot.randint(1, 120), lot.uniform(0, 0.03))
        case "plan":
            return Moment(_is_of_the_plan, lot.choice((1, 1, 1, 2, 4, 8, 16)), lot.uniform(0, 0.01))
        case "completed":  # with nothing in between: the very next thing it does is not done
            return Moment(lambda line: line["kind"] == "call_finished", lot.randint(1, 15))
        case "synthesis":
            return Moment(lambda line: _begins(line, "synthesizer"), 1, lot.uniform(0, 0.05))
        case _:
            return Moment(lambda line: line["kind"] == "answer_delta", lot.randint(1, 5))


def _is_of_the_plan(line: Line) -> bool:
    return line["kind"] == "subtask_planned" or _begins(line, "orchestrator")


def _begins(line: Line, role: str) -> bool:
    return bool(line["kind"] == "call_started" and line["role"] == role)


def story(folder: Path, hosts: Endpoints, seed: str, kills: int) -> Tally:
    """One run, killed up to so many times, beside one that is not."""
    folder.mkdir()
    drawn, lot = scenario(seed), random.Random(f"{seed} kills")
    told = Story(folder, _host(folder / "chaos.toml", drawn, hosts), drawn.task)
    while not told.done and told.kills < kills:
        if told.live(moment(lot)).code not in (0, -9):
            break
    if not told.lives or told.lives[-1].code == -9:
        told.live()
    _host(folder / "undisturbed.toml", drawn, hosts)
    undisturbed = _undisturbed(folder / "undisturbed.toml", drawn.task)
    assert undisturbed.coverage.complete, f"seed {seed}: {undisturbed.coverage}"
    found = [f"{complaint} (seed {seed})" for complaint in told.complaints(undisturbed)]
    phases, planned = Counter(told.phases), len(undisturbed.plan.subtasks)
    return Tally(1, told.kills, dict(phases), planned, told.settled, told.reissued, found)


def _host(file: Path, drawn: Scenario, hosts: Endpoints) -> Endpoint:
    """An endpoint of its own, because faults remember what was asked; and the file that leads there."""
    at = hosts.open(drawn.simulator)
    file.write_text(drawn.toml.replace("{url}", at.url), encoding="utf-8")
    return at


def _undisturbed(file: Path, task: str) -> Run:
    return asyncio.run(Configuration([read_file(file)]).workflow(Workflow, models={}).run(task))


def chaos(kills: int, seed: int, folder: Path) -> Tally:
    """Three runs at a time, until just so many kills have been dealt."""
    tally, left, numbers, lock = Tally(), kills, count(), Lock()

    def deal(hosts: Endpoints) -> None:
        nonlocal tally, left
        while left > 0:
            with lock:
                name = f"{seed}-{next(numbers)}"
                share = min(left, random.Random(name).randint(*_KILLS))
                left -= share
            one = story(folder / name, hosts, name, share)
            with lock:  # a run that ended before all its kills leaves them to others
                tally, left = tally + one, left + share - one.kills

    with endpoints() as hosts, ThreadPoolExecutor(_AT_ONCE) as several:
        for dealing in [several.submit(deal, hosts) for _ in range(_AT_ONCE)]:
            dealing.result()
    return tally


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="stretto-chaos-", dir=sys.argv[3] if sys.argv[3:] else None) as place:
        print(msgspec.json.encode(chaos(int(sys.argv[1]), int(sys.argv[2]), Path(place))).decode())  # noqa: T201
