"""All workers of a workflow go out with batches, or none, without a word in its roles: in Python and at a terminal."""

import asyncio
import json
from decimal import Decimal
from pathlib import Path
from urllib.request import urlopen

import pytest

from stretto import Function, Price, Role, Simulator, Workflow
from stretto.errors import ConfigError
from stretto.models.simulator import parse_fault
from stretto.rehearsal import Conditions, perform, prepare
from stretto.store.sqlite import Store
from stretto.virtual import virtually
from terminal import Terminal, served

TASK = "Compare tea and coffee in exactly 4 subtasks"
PRICES = {"openai:x": Price(Decimal(0), Decimal(0)), "groq:x": Price(Decimal(1), Decimal(1))}
FILE = """
[orchestrator]
model = "mine:x"
[workers.part]
model = "mine:x"
[workers.other]
model = "mine:y"
[synthesizer]
model = "mine:x"
[providers.mine]
base_url = "{url}"
batches = "openai"
batch_price = 0.5
"""


def quick(*faults: str, batch: float = 0.0) -> Simulator:
    return Simulator(ttft=0.0, tokens_per_second=1e6, faults=tuple(map(parse_fault, faults)), batch=batch)


def asked_in_batches(url: str) -> int:
    """How many calls all batches of a provider had."""
    with urlopen(f"{url}/batches", timeout=60) as response:  # noqa: S310 - the simulator's own address
        return sum(batch["request_counts"]["total"] for batch in json.load(response)["data"])


def upper(text: str) -> str:
    return text.upper()


def test_batch_is_said_of_all_workers_that_ask_a_model_and_of_those_within() -> None:
    within = Workflow("sim:x", {"deep": Role("sim:x"), "call": Function(upper)}, "sim:x")
    flow = Workflow("sim:x", {"model": "sim:x", "function": Function(upper), "flow": within}, "sim:x", batch=True)
    workers = flow.definition.workers
    assert workers["model"].batch
    assert not workers["function"].batch
    assert not workers["flow"].batch  # its own workers do
    assert workers["flow"].workflow is not None
    assert {name: role.batch for name, role in workers["flow"].workflow.workers.items()} == {
        "deep": True,
        "call": False,
    }


def test_batch_false_goes_before_what_roles_say_and_none_leaves_it() -> None:
    workers = {"part": Role("sim:x", batch=True)}
    assert not Workflow("sim:x", workers, "sim:x", batch=False).definition.workers["part"].batch
    assert Workflow("sim:x", workers, "sim:x").definition.workers["part"].batch


def test_from_toml_takes_it_and_names_who_has_no_batches_and_who_has() -> None:
    models = {"orchestrator": "sim:x", "workers": "ollama:x", "synthesizer": "sim:x"}
    flow = Workflow.from_toml("general", model={**models, "workers": "groq:x"}, batch=True)
    assert all(role.batch for role in flow.definition.workers.values())
    with pytest.raises(ConfigError) as caught:
        Workflow.from_toml("general", model=models, batch=True)
    told = str(caught.value)
    assert told.startswith(
        "batch: workers.\"general\".batch: no Batch API is known of provider 'ollama'; name a model of"
    )
    assert "groq, openai, together (or 'ollama', if it has OpenAI's" in told


def test_the_flag_sends_workers_with_a_batch_in_runs_maps_and_reruns(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path)
    with served(quick()) as (url, _):
        terminal.write("flow.toml", FILE.format(url=url))
        done = terminal("run", "-w", "./flow.toml", "--batch", TASK)
        assert done.code == 0, done.err
        assert asked_in_batches(url) == 4
        terminal.write("list.txt", "tea\ncoffee\n")
        each = ("run", "-w", "./flow.toml", "--batch", "--each", "list.txt", "--worker", "part", "Say what {item} is.")
        done = terminal(*each)
        assert done.code == 0, done.err
        assert asked_in_batches(url) == 6
        # What it was recorded with counts again, and a flag goes before that.
        done = terminal("rerun", "--last", "--fresh", "t1")
        assert done.code == 0, done.err
        assert asked_in_batches(url) == 7
        done = terminal("rerun", "--last", "--no-batch", "--fresh", "t1")
        assert done.code == 0, done.err
        assert asked_in_batches(url) == 7
    # How a call goes is no part of what it asks, so the one that was fresh was asked and the other reused.
    newest, *_ = Store(terminal.store).recent(1)
    reused = {call.subtask: call.finished.reused for call in newest.calls if call.finished}
    assert reused == {"t1": False, "t2": True}


def test_a_plan_that_is_only_written_is_carried_out_as_it_was_asked_for(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path)
    with served(quick()) as (url, _):
        terminal.write("flow.toml", FILE.format(url=url))
        done = terminal("plan", "-w", "./flow.toml", "--batch", TASK)
        assert done.code == 0, done.err
        done = terminal("resume", "--last")
        assert done.code == 0, done.err
        assert asked_in_batches(url) == 4
        done = terminal("plan", "-w", "./flow.toml", TASK.replace("tea", "milk"))
        assert done.code == 0, done.err
        done = terminal("resume", "--last", "--batch")
        assert done.code == 0, done.err
        assert asked_in_batches(url) == 8


def test_the_flag_says_beforehand_who_has_no_batches(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path)
    done = terminal("run", "--batch", "-m", "sim:x", "-m", "workers=ollama:x", TASK)
    assert done.code == 3
    assert "no Batch API is known of provider 'ollama'" in done.err
    assert "groq, openai, together" in done.err
    assert not terminal.store.exists()


def test_doctor_says_where_it_comes_from(tmp_path: Path) -> None:
    done = Terminal(tmp_path)("doctor", "--offline", "--batch", "-m", "sim:x")
    (line,) = [line for line in done.out.splitlines() if ".batch" in line]
    assert line.split() == ['workers."general".batch', "true", "--batch"]


def test_the_simulator_in_the_process_plays_batches_too_with_what_goes_wrong_in_them() -> None:
    async def took(flow: Workflow[None]) -> tuple[float, int]:
        run = await flow.run(TASK)
        assert run.coverage.complete
        return asyncio.get_running_loop().time(), sum(len(call.retries) for call in run.calls)

    def flow(*faults: str) -> Workflow[None]:
        provider = {"sim": quick(*faults, batch=600.0)}
        return Workflow("sim:x", {"part": "sim:x"}, "sim:x", providers=provider, batch=True)

    seconds, retries = virtually(took(flow()))
    assert 600 < seconds < 700
    assert retries == 0
    for fault in ("expired once role=worker", "500 once role=worker", "disconnect once role=worker"):
        assert virtually(took(flow(fault)))[1] == 4


@pytest.mark.parametrize(("batch", "share", "least"), [(False, 1, 0), (True, 2, 1200)])
def test_a_rehearsal_takes_the_time_and_the_price_of_batches(batch: bool, share: int, least: float) -> None:
    flow = Workflow("openai:x", {"part": "groq:x"}, "openai:x", prices=PRICES, batch=batch)
    rehearsal = prepare(flow, TASK, Conditions(batch=1200.0))
    trial = perform(rehearsal, flow.definition.limits, 0)
    live = perform(
        prepare(Workflow("openai:x", {"part": "groq:x"}, "openai:x", prices=PRICES), TASK, Conditions()),
        flow.definition.limits,
        0,
    )
    assert trial.cost is not None
    assert live.cost is not None
    assert trial.cost == live.cost / share
    assert least <= trial.seconds < least + 120
