"""A provider's own Batch API: calls that can wait go out as one file, and their answers are found again."""

import asyncio
import json
import signal
import time
from collections.abc import Awaitable, Callable
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from msgspec.structs import replace

from endpoint import call
from loops import on_loop
from simulated import pool_of
from stretto import Price, Provider, Role, Simulator, Workflow
from stretto.calls import Chunk, Done
from stretto.errors import ConfigError, ReplyError
from stretto.events import CallStarted
from stretto.ground.ids import new_ulid
from stretto.models.batches.remote import Remote
from stretto.models.http import Http
from stretto.models.simulator import parse_fault
from stretto.runs import Run
from stretto.store.sqlite import Store
from terminal import Terminal, served

TASK = "Compare tea and coffee in exactly 12 subtasks"


LATER = 1e6  # seconds; a batch that does not end by itself as long as a test takes


def simulator(*faults: str, batch: float = 0.0) -> Simulator:
    return Simulator(ttft=0.0, tokens_per_second=1e6, faults=tuple(map(parse_fault, faults)), batch=batch)


def workflow(url: str, store: Path | None = None, *, form: Any = "openai", **role: Any) -> Workflow[Any]:
    return Workflow(
        "mine:x",
        {"part": Role("mine:x", **{"batch": True, **role})},
        "mine:x",
        providers={"mine": Provider(url, batches=form, batch_price=0.5)},
        prices={"mine:x": Price(Decimal(10), Decimal(10))},
        store=store,
    )


def batches(url: str) -> list[dict[str, Any]]:
    with urlopen(f"{url}/batches", timeout=60) as response:  # noqa: S310 - the simulator's own address
        found: list[dict[str, Any]] = json.load(response)["data"]
    return found


def workers(run: Run[Any]) -> list[Any]:
    return sorted((call for call in run.calls if call.role == "worker"), key=lambda call: str(call.subtask))


@pytest.mark.parametrize("form", ["openai", "together"])
def test_workers_go_out_as_one_batch_while_plan_and_answer_are_asked_live(form: str) -> None:
    with served(simulator()) as (url, _):
        run = workflow(url, form=form).run_sync(TASK)
        (batch,) = batches(url)
        live = workflow(url, batch=False).run_sync(TASK)
    assert batch["request_counts"] == {"total": 12, "completed": 12, "failed": 0}
    assert run.coverage.complete
    assert len({call.batch for call in workers(run)} - {""}) == 1
    assert not any(call.batch for call in run.calls if call.role != "worker")
    # In whatever order they came back, each subtask has its own.
    assert {id_: result.text for id_, result in run.results.items()} == {
        id_: result.text for id_, result in live.results.items()
    }
    assert run.answer == live.answer
    assert all(call.finished.simulated for call in workers(run))


def test_what_goes_out_with_a_batch_has_no_marks_of_templates_either() -> None:
    with served(simulator()) as (url, _):
        workflow(url).run_sync(f"{TASK} <|im_start|>system")
        (batch,) = batches(url)
        with urlopen(f"{url}/files/{batch['input_file_id']}/content", timeout=60) as response:  # noqa: S310
            sent = response.read().decode()
    assert "< |im_start|>system" in sent
    assert "<|" not in sent


def test_what_a_batch_answers_costs_its_part_of_the_price() -> None:
    with served(simulator()) as (url, _):
        run, live = workflow(url).run_sync(TASK), workflow(url, batch=False).run_sync(TASK)
    for ours, theirs in zip(workers(run), workers(live), strict=True):
        assert ours.finished.usage == theirs.finished.usage
        assert ours.finished.cost == theirs.finished.cost / 2
    assert run.cost is not None
    assert live.cost is not None
    assert run.cost == live.cost - sum(call.finished.cost for call in workers(live)) / 2


@pytest.mark.parametrize("fault", ["expired once role=worker rate=0.5", "500 once role=worker rate=0.5"])
def test_what_a_batch_leaves_unanswered_is_asked_live(fault: str) -> None:
    with served(simulator(fault)) as (url, provider):
        run = workflow(url).run_sync(TASK)
        (batch,) = batches(url)
    assert 0 < batch["request_counts"]["failed"] < 12
    assert run.coverage.complete
    assert sum(call.finished.attempts > 1 for call in workers(run)) == batch["request_counts"]["failed"]
    assert sum(provider.completed.values()) == 14


@pytest.mark.parametrize(("fault", "why"), [("expired", "expired"), ("500", "500"), ("disconnect", "500")])
def test_or_it_fails_if_that_is_wanted(fault: str, why: str) -> None:
    with served(simulator(f"{fault} always role=worker rate=0.5")) as (url, provider):
        run = workflow(url, expired="fail").run_sync(TASK)
        (batch,) = batches(url)
        assert set(provider.asked.values()) == {1}  # not again, and not live
    assert len(run.coverage.missing) == batch["request_counts"]["failed"] > 0
    assert run.coverage.counts["done"] == batch["request_counts"]["completed"] > 0
    assert all(why in missing.reason for missing in run.coverage.missing)
    assert all(call.finished.cost == 0 for call in workers(run) if call.finished.error)


@pytest.mark.parametrize("expired", ["live", "fail"])
def test_a_batch_that_is_cancelled_as_a_whole_leaves_all_of_it_to_the_same_choice(expired: str) -> None:
    async def cancelled(url: str) -> Run[Any]:
        flow = workflow(url, expired=expired)
        running = asyncio.create_task(flow.run(TASK))
        while not (sent := await asyncio.to_thread(batches, url)):
            assert not running.done()
            await asyncio.sleep(0.02)
        request = Request(f"{url}/batches/{sent[0]['id']}/cancel", method="POST")  # noqa: S310 - the simulator's own
        await asyncio.to_thread(lambda: urlopen(request, timeout=60).close())  # noqa: S310
        return await running

    with served(simulator(batch=LATER)) as (url, _):
        run = asyncio.run(cancelled(url))
        assert len(batches(url)) == 1
    ended = [call.finished for call in workers(run)]
    if expired == "live":
        assert run.coverage.complete
        assert all(call.attempts == 2 for call in ended)
    else:
        assert run.coverage.direct  # nothing is left but one call for the whole task
        assert {call.error_type for call in ended} == {"BatchError"}
        assert all("cancelled" in call.error for call in ended)


def test_a_request_that_is_refused_in_a_batch_is_refused() -> None:
    with served(simulator("400 always role=worker rate=0.5")) as (url, _):
        run = workflow(url).run_sync(TASK)
    assert 0 < len(run.coverage.missing) < 12
    assert all("400" in missing.reason for missing in run.coverage.missing)


def test_a_run_that_was_stopped_finds_the_answers_in_its_batch_and_sends_none_again(tmp_path: Path) -> None:
    async def stopped(url: str) -> str:
        async with workflow(url, tmp_path / "s.db").stream(TASK) as events:
            async for event in events:
                if isinstance(event, CallStarted) and event.batch:
                    break
            while not await asyncio.to_thread(batches, url):
                await asyncio.sleep(0.05)
            return events.run_id

    async def goes_on(url: str, run: str) -> Run[Any]:
        async with workflow(url, tmp_path / "s.db").resume(run) as events:
            return await events.finished()

    with served(simulator(batch=LATER)) as (url, provider):
        id_ = asyncio.run(stopped(url))
        provider.simulator = replace(provider.simulator, batch=0.0)  # it ends now
        run = asyncio.run(goes_on(url, id_))
        assert len(batches(url)) == 1
        assert set(provider.asked.values()) == {1}
    assert run.coverage.complete
    assert run.executions == 2


def test_a_budget_holds_whatever_way_calls_go() -> None:
    with served(simulator("expired once role=worker rate=0.5")) as (url, _):
        flow = workflow(url)
        flow.definition = replace(flow.definition, limits=replace(flow.definition.limits, budget=Decimal("0.05")))
        run = flow.run_sync(TASK)
    assert run.cost is not None
    assert run.cost <= Decimal("0.05")


@pytest.mark.parametrize("fault", ["", "expired once role=worker rate=0.5"])
def test_a_budget_sets_aside_what_a_batch_costs_and_the_whole_price_for_what_is_asked_live_then(fault: str) -> None:
    with served(simulator(*([fault] if fault else []))) as (url, _):
        flow, other = workflow(url), workflow(url, batch=False)
        for each in (flow, other):
            each.definition = replace(each.definition, limits=replace(each.definition.limits, budget=Decimal(9)))
        ours, live = workers(flow.run_sync(TASK)), workers(other.run_sync(TASK))
    expired = [call.finished.attempts > 1 for call in ours]
    assert any(expired) == bool(fault)
    assert not all(expired)
    for half, whole, again in zip(ours, live, expired, strict=True):
        assert half.started.reserved_cost == whole.started.reserved_cost / (1 if again else 2)
        assert half.finished.cost == whole.finished.cost / (1 if again else 2)


def test_after_kill_9_the_batch_is_found_again_and_nothing_is_sent_twice(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path)
    with served(simulator(batch=LATER)) as (url, provider):
        terminal.write(
            "flow.toml",
            '[orchestrator]\nmodel = "mine:x"\n[workers.part]\nmodel = "mine:x"\nbatch = true\n[synthesizer]\n'
            f'model = "mine:x"\n[providers.mine]\nbase_url = "{url}"\nbatches = "openai"\n',
        )
        child = terminal.start("run", "-w", "./flow.toml", TASK)
        end = time.monotonic() + 120
        while not batches(url):
            assert child.poll() is None
            assert time.monotonic() < end
            time.sleep(0.02)
        child.send_signal(signal.SIGKILL)
        child.communicate()
        provider.simulator = replace(provider.simulator, batch=0.0)  # it ends now
        done = terminal("resume", "--last")
        assert done.code == 0, done.err
        assert len(batches(url)) == 1
        assert set(provider.asked.values()) == {1}
    (run,) = Store(terminal.store).recent(10)
    assert run.coverage.complete
    assert run.coverage.counts["done"] == 12


def test_a_batch_that_was_never_sent_is_no_reason_to_wait_for_it() -> None:
    async def asked(url: str) -> list[Chunk]:
        async with pool_of(workflow(url)) as pool:
            batch = pool.model("mine:x").batch
            assert batch
            return [chunk async for chunk in batch().stream(replace(call(), batch=new_ulid()))]

    with served(simulator()) as (url, _):
        chunks = asyncio.run(asked(url))
        assert len(batches(url)) == 1
    assert isinstance(chunks[-1], Done)


def test_a_batch_is_found_by_its_key_among_many() -> None:
    async def found(url: str) -> str:
        http = Http()
        remote = Remote(http, Provider(url, batches="openai"), {}, "mine", str)
        ids = [await remote.submit(f"key{number}", b"") for number in range(120)]
        keys = [await remote.find(f"key{number}") for number in (0, 60, 119)]
        unknown = await remote.find("key120")
        await http.close()
        assert keys == [ids[0], ids[60], ids[119]]
        return unknown

    with served(simulator()) as (url, _):
        assert asyncio.run(found(url)) == ""


def test_calls_of_several_runs_go_out_together(tmp_path: Path) -> None:
    async def both(url: str) -> tuple[Run[Any], Run[Any]]:
        flow = workflow(url, tmp_path / "s.db")
        return await asyncio.gather(flow.run(TASK), flow.run(TASK.replace("12", "5")))

    with served(simulator()) as (url, _):
        runs = asyncio.run(both(url))
        assert sum(batch["request_counts"]["total"] for batch in batches(url)) == 17
    assert all(run.coverage.complete for run in runs)


def test_a_provider_without_batches_says_so() -> None:
    with pytest.raises(ConfigError, match=r'workers."part".batch: no Batch API is known of provider .mine.; name .*'):
        workflow("http://127.0.0.1:9/v1", form="none")
    with pytest.raises(
        ConfigError, match=r"provider .local.; name a model of one that has it: groq, openai, together,"
    ):
        Workflow(None, {"part": Role("local:x.gguf", batch=True)})
    with pytest.raises(ConfigError, match=r"orchestrator.batch: only a worker has batch"):
        Workflow(Role("sim:x", batch=True), {"part": "sim:x"}, "sim:x")


async def fetched(
    handler: Callable[[web.Request], Awaitable[web.StreamResponse]], **headers: str
) -> tuple[dict[str, Any], list[dict[str, str]]]:
    """What comes of a file of results that lies at another server, and the headers with which that was asked."""
    asked: list[dict[str, str]] = []

    async def elsewhere(request: web.Request) -> web.StreamResponse:
        asked.append({name.lower(): value for name, value in request.headers.items()})
        return await handler(request)

    async def here(_: web.Request) -> web.Response:
        raise web.HTTPFound(f"http://127.0.0.1:{there.port}/file")

    application, other = web.Application(), web.Application()
    application.router.add_get("/v1/files/f/content", here)
    other.router.add_get("/file", elsewhere)
    async with TestServer(other) as there, TestServer(application) as server:
        http = Http()
        try:
            provider = Provider(f"http://127.0.0.1:{server.port}/v1", local=True, batches="openai", headers=headers)
            remote = Remote(http, provider, {"Authorization": "Bearer secret", **headers}, "mine:x", str)
            return await remote.answers("f"), asked
        finally:
            await http.close()


@on_loop
async def test_a_file_that_lies_elsewhere_is_fetched_without_any_key() -> None:
    line = json.dumps({"custom_id": "a", "response": {"status_code": 200, "body": {"choices": []}}})

    async def handler(_: web.Request) -> web.Response:
        return web.Response(text=f"{'[' * 100_000}\n{line}\nno JSON\n")

    answers, asked = await fetched(handler, **{"api-key": "another secret"})
    assert list(answers) == ["a"]
    assert "secret" not in str(asked)
    assert len(asked) == 1


@on_loop
async def test_addresses_that_lead_in_a_circle_come_to_an_end() -> None:
    async def handler(request: web.Request) -> web.Response:
        raise web.HTTPFound(str(request.url))

    with pytest.raises(ReplyError, match="again and again"):
        await fetched(handler)
