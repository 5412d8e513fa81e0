"""Runs on a real model in a file: what a workflow needs of it. How well it answers is no matter here."""

import asyncio
import contextlib
import json
import os
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

import stretto
from patience import patient
from simulated import pool_of
from stretto import events as e
from stretto.models.local import LocalServer
from stretto.models.local.model import server_for
from stretto.models.providers import Local
from stretto.run.knowing import knowledge
from stretto.run.stream import RunStream
from stretto.store.travel import entries
from stretto.types import Known

SMALL = Local(parallel=4, context=1024, threads=1)
SHORT: dict[str, Any] = {"temperature": 0, "max_tokens": 12}
LONG: dict[str, Any] = {"temperature": 0, "max_tokens": 900, "ignore_eos": True}
PLAN = {"tasks": [{"type": "a", "description": f"Name a thing in room {n} of a house."} for n in range(1, 5)]}
COLOUR = {
    "type": "object",
    "properties": {"colour": {"enum": ["teal", "mauve"]}},
    "required": ["colour"],
    "additionalProperties": False,
}


def workflow(smollm: Path, options: dict[str, Any], store: Path | None = None, **worker: Any) -> stretto.Workflow:
    model = f"local:{smollm}"
    return stretto.Workflow(
        stretto.Role(model, prompt="Plan: {task}\n{workers}", options={"temperature": 0, "max_tokens": 80}),
        {"a": stretto.Role(model, prompt="{task_description}", options=options, **worker)},
        stretto.Role(model, prompt="Merge: {worker_responses}", options=SHORT),
        providers={"local": SMALL},
        store=store,
    )


@pytest.fixture(scope="module")
def server(smollm: Path) -> Iterator[LocalServer]:
    """The one that all workflows here share, because it is one process."""
    found = server_for("smollm", str(smollm), SMALL, 64)
    yield found
    found.end()


async def slots(server: LocalServer) -> list[dict[str, Any]]:
    """What each is doing."""
    async with aiohttp.ClientSession() as session, session.get(f"{server.base_url.removesuffix('/v1')}/slots") as reply:
        found: list[dict[str, Any]] = await reply.json()
        return found


async def until_busy(server: LocalServer, count: int) -> None:
    await server.start()
    while sum(slot["is_processing"] for slot in await slots(server)) != count:
        await asyncio.sleep(0.02)


async def written(server: LocalServer) -> int:
    """Tokens that the slot which has the fewest has written."""
    told = await slots(server)
    return min(int(each["n_decoded"]) for slot in told for each in slot.get("next_token") or [{"n_decoded": 0}])


async def heard(stream: RunStream) -> list[e.AnyEvent]:
    async with stream as events:
        return [event async for event in events]


@patient
async def test_four_workers_are_answered_at_once_and_their_results_merged(smollm: Path, server: LocalServer) -> None:
    flow = workflow(smollm, {**SHORT, "max_tokens": 16, "ignore_eos": True})
    running = asyncio.create_task(heard(flow.stream("Furnish a house", plan=PLAN)))
    await until_busy(server, 4)
    *_, finished = await running
    assert isinstance(finished, e.RunFinished)
    assert finished.answer.strip()
    assert finished.cost == 0
    assert finished.coverage.counts["truncated"] == 4  # each had sixteen tokens


@patient
async def test_the_model_can_write_nothing_but_the_form_of_a_plan(
    smollm: Path, server: LocalServer, tmp_path: Path
) -> None:
    await server.start()
    store = tmp_path / "runs.db"
    stream = workflow(smollm, SHORT, store=store).plan("Compare tea and coffee")
    with contextlib.suppress(stretto.PlanError):  # whether it comes to an end in so few tokens is the model's affair
        await heard(stream)
    first, *_ = [entry.reply.text for entry in entries(store, stream.run_id) if entry.reply]
    assert re.match(r'\{\s*"analysis":\s*"', first)


@patient
async def test_a_schema_is_kept_to_while_the_model_writes(smollm: Path, server: LocalServer) -> None:
    await server.start()
    one = {"tasks": [{"type": "a", "description": "Which colour has the door?"}]}
    events = await heard(workflow(smollm, SHORT, schema=COLOUR).stream("Paint a house", plan=one))
    (result,) = [event for event in events if isinstance(event, e.SubtaskFinished)]
    assert json.loads(result.text)["colour"] in {"teal", "mauve"}
    asked = [event for event in events if isinstance(event, e.CallStarted) and event.role == "worker"]
    assert len(asked) == 1  # nothing was to be repaired


@patient
async def test_the_context_is_known_before_the_model_is_asked(smollm: Path) -> None:
    flow = workflow(smollm, SHORT)
    known = await knowledge(pool_of(flow), flow.all_models, None)
    assert known == {f"local:{smollm}": Known(context=1024)}


@patient
async def test_a_run_that_is_left_in_mid_generation_leaves_its_slots_idle_at_once(
    smollm: Path, server: LocalServer
) -> None:
    running = asyncio.create_task(heard(workflow(smollm, LONG).stream("Furnish a house", plan=PLAN)))
    await until_busy(server, 4)
    while (before := await written(server)) < 2:
        await asyncio.sleep(0.02)
    began = time.monotonic()
    while (after := await written(server)) < before + 5:
        await asyncio.sleep(0.02)
    left = time.monotonic()
    running.cancel()
    await until_busy(server, 0)
    token = (left - began) / (after - before)  # it looks at its connections after each
    assert time.monotonic() - left < max(0.2, 8 * token)


@patient
async def test_a_crash_in_mid_generation_is_told_with_its_log_and_the_calls_are_asked_again(
    smollm: Path, server: LocalServer
) -> None:
    flow = workflow(smollm, {**LONG, "max_tokens": 60})
    running = asyncio.create_task(heard(flow.stream("Furnish a house", plan=PLAN)))
    await until_busy(server, 4)
    assert server.child
    os.kill(server.child, signal.SIGSEGV)
    events = await running
    told = [event for event in events if isinstance(event, e.CallRetried)]
    assert len(told) == 4
    assert all("llama.cpp has crashed (signal 11); the end of its log:" in event.reason for event in told)
    assert not any(str(smollm.parent) in event.reason.replace(f"local:{smollm}", "") for event in told)
    assert isinstance(events[-1], e.RunFinished)
    assert len([event for event in events if isinstance(event, e.SubtaskFinished) and event.text]) == 4


def test_the_next_run_of_a_process_does_not_load_the_file_again(smollm: Path, server: LocalServer) -> None:
    flow = workflow(smollm, SHORT)
    loaded = set()
    for _ in range(2):
        stream = flow.stream("Furnish a house", plan={"tasks": PLAN["tasks"][:1]})
        assert asyncio.run(heard(stream))
        loaded.add(server.child)
    assert len(loaded) == 1
    assert None not in loaded
