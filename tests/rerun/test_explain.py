"""What is foretold of a rerun is what happens, whatever was edited."""

import asyncio
import random
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from drawn import whole
from stretto import Limits, Role, Run, Simulator, Workflow
from stretto.errors import StrettoError
from stretto.models.simulator import parse_fault
from stretto.store.sqlite import Store

TASK = "Compare teas in exactly 6 subtasks with needs"
FAULTS = ((), ("400 role=worker rate=0.3",), ("truncated role=orchestrator",), ("empty rate=0.2",), ("500 rate=0.3",))


class Desk:
    """A workflow that is edited at random between one rerun and the next."""

    def __init__(self, seed: int, store: Path) -> None:
        self.dice = random.Random(seed)
        self.store = store
        self.workers = {"draft": Role("sim:w"), "proof": Role("sim:w")}
        self.synthesizer: Role | None = Role("sim:s")
        self.limits = Limits(attempts=2)

    def flow(self, *faults: str) -> Workflow:
        simulator = Simulator(
            ttft=0.001, ttft_spread=0, tokens_per_second=90_000, length=20, faults=tuple(map(parse_fault, faults))
        )
        roles = ("sim:o", self.workers, self.synthesizer)
        return Workflow(*roles, limits=self.limits, providers={"sim": simulator}, store=self.store)

    def edit(self) -> None:
        """One thing becomes different, or nothing."""
        name = self.dice.choice(list(self.workers))
        worker = self.workers[name]
        match self.dice.randrange(8):
            case 0:
                self.workers[name] = replace(worker, prompt=f"{self.dice.randrange(3)} {{task_description}}")
            case 1:
                self.workers[name] = replace(worker, model="sim:other")
            case 2:
                self.workers[name] = replace(worker, options={"temperature": self.dice.choice([0, 1])})
            case 3 if len(self.workers) > 1:
                del self.workers[name]
            case 4:
                self.workers["more"] = Role("sim:w")
            case 5:
                self.synthesizer = self.dice.choice([None, Role("sim:s"), Role("sim:s", "Merge {worker_responses}")])
            case 6:
                self.limits = replace(self.limits, tokens=10_000_000)
            case _:
                pass

    def wishes(self, run: Run) -> dict[str, Any]:
        """What is wanted of a rerun: subtasks only, some anew, an edited plan."""
        ids, wishes = [subtask.id for subtask in run.plan.subtasks], dict[str, Any]()
        if ids and self.dice.random() < 0.3:
            lines = [{"id": s.id, "type": s.type, "description": s.description} for s in run.plan.subtasks]
            self.dice.shuffle(lines)
            wishes["plan"] = {"tasks": [*lines[1:], {**lines[0], "description": "Something else"}]}
        if ids and self.dice.random() < 0.3:
            wishes["only"] = self.dice.sample(ids, 1)
        if self.dice.random() < 0.3:
            wishes["fresh"] = [self.dice.choice([*wishes.get("only", ids), "orchestrator", "synthesizer"])]
        return wishes


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(whole(12, 6)))
def test_what_is_foretold_of_a_rerun_is_what_happens(tmp_path: Path, seed: int) -> None:
    async def main() -> None:
        desk = Desk(seed, tmp_path / "s.db")
        stop = desk.dice.choice([8, 15, 1000])
        run = await ended(desk.flow(*desk.dice.choice(FAULTS)).stream(TASK), stop, desk.store)
        for _ in range(3):
            desk.edit()
            wishes, flow = desk.wishes(run), desk.flow()
            try:
                told = await flow.explain(run.id, **wishes)
            except StrettoError as error:
                with pytest.raises(type(error)):
                    async with flow.rerun(run.id, **wishes) as events:
                        await events.finished()
                continue
            again = await ended(flow.rerun(run.id, **wishes), 1000, desk.store)
            compare(told, again)
            run = again

    asyncio.run(main())


async def ended(stream: Any, stop: int, store: Path) -> Run:
    """The run, stopped after so many events; one that failed is one, too."""
    try:
        async with stream as events:
            async for _ in events:
                stop -= 1
                if not stop:
                    break
    except StrettoError as error:
        assert error.run_id == stream.run_id  # noqa: PT017 - a run may fail; it is there all the same
    return Store(store).run(stream.run_id)


def compare(told: Any, run: Run) -> None:
    calls: dict[str, list[bool]] = {}
    for call in run.calls:
        calls.setdefault(call.subtask or call.role, []).append(bool(call.finished and call.finished.reused))
    for line in told:
        made = calls.get(line.name, [])
        if line.fate == "reused":
            assert made, line
            assert all(made), line
        elif line.fate in {"kept", "fails"}:
            assert not made, line
        elif line.fate == "new" and "asked again" not in line.why and run.status == "finished":
            assert False in made, line
    if all(line.fate != "unknown" for line in told):
        assert set(calls) <= {line.name for line in told}
