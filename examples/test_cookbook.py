"""The cookbook's workflow, tested without a key, a network or waiting: `pytest examples/test_cookbook.py`."""

import asyncio
import json
from collections.abc import Callable
from typing import Any
from urllib.request import Request, urlopen

import cookbook

import stretto
from stretto.virtual import virtually

pytest_plugins = ["stretto.testing"]

TASK = "Write a program that prints the next 20 leap years."
Simulated = Callable[..., stretto.Workflow]


def test_three_specialists_work_on_it(simulated: Simulated) -> None:
    run = simulated(cookbook.workflow).run_sync(TASK)
    assert {subtask.type for subtask in run.plan.subtasks} == {"plan", "code/solve", "test"}
    assert run.coverage.complete
    assert "def next_leap_years" in str(run.answer)


def test_a_solver_that_fails_is_missing_and_said_to_be(simulated: Simulated) -> None:
    run = simulated(cookbook.workflow, '400 always role=worker match="code/solve"').run_sync(TASK)
    assert [missing.type for missing in run.coverage.missing] == ["code/solve"]
    assert run.answer


def test_a_provider_that_is_busy_for_a_minute_only_takes_longer(simulated: Simulated) -> None:
    async def timed() -> tuple[stretto.Run, float]:
        run = await simulated(cookbook.workflow, "429 for=60s", ttft=2.0, tokens_per_second=50).run(TASK)
        return run, asyncio.get_running_loop().time()

    run, seconds = virtually(timed())  # in virtual time: this test takes milliseconds
    assert run.coverage.complete
    assert seconds > 60


def test_any_program_can_talk_to_the_simulator(simulated_endpoint: Callable[..., Any]) -> None:
    endpoint = simulated_endpoint()
    body = {"model": "any", "messages": [{"role": "user", "content": "Name a tea."}]}
    request = Request(f"{endpoint.url}/chat/completions", json.dumps(body).encode())
    with urlopen(request) as reply:
        assert json.load(reply)["choices"][0]["message"]["content"]
    assert endpoint.asked == 1
