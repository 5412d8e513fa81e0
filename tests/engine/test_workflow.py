"""The public face: one door in, and nothing left behind however one leaves."""

import asyncio
import gc
import sqlite3
import threading
import weakref
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest

from forked import python
from loops import on_loop
from simulated import pool_of, record_of, simulator_of
from stretto import Fault, Limits, Provider, Role, Run, RunStream, Simulator, Workflow
from stretto.errors import ConfigError, MissingKey, PlanError, StrettoError, TaskError, WorkError
from stretto.events import AnyEvent
from stretto.fold import fold
from stretto.server.sim import listening, simulator_app
from stretto.store.sqlite import Store
from virtual import clock, virtually

TEA = "Write an overview of how tea came to Europe, in 8 subtasks."
QUICK = Simulator(ttft=0.02, tokens_per_second=2000)
INSTANT = Simulator(ttft=0, ttft_spread=0, tokens_per_second=1e9)


def flow(simulator: Simulator = INSTANT, **options: Any) -> Workflow:
    return Workflow("sim:x", {"part": "sim:x"}, "sim:x", providers={"sim": simulator}, **options)


async def until(events: RunStream, kind: str) -> AnyEvent:
    """Read up to the first event of this kind."""
    async for event in events:
        if event.kind == kind:
            return event
    raise AssertionError(f"the run ended without {kind}")


THREADS = set[threading.Thread]()


@pytest.fixture(autouse=True)
def threads_before() -> None:
    THREADS.clear()
    THREADS.update(threading.enumerate())


def alone() -> bool:
    """No task but this one, and no thread but those there were before the test: one may be pytest's."""
    return asyncio.all_tasks() == {asyncio.current_task()} and set(threading.enumerate()) <= THREADS


# Running


def test_a_run_gives_the_answer_and_what_it_took() -> None:
    run = virtually(flow(Simulator()).run(TEA))
    assert run.status == "finished"
    assert run.answer
    assert run.coverage.complete
    assert len(run.results) == 8
    assert run.usage.output_tokens > 0
    assert run.simulated


def test_run_sync_works_from_plain_code_again_and_again_and_keeps_no_loop_alive() -> None:
    workflow = flow()
    for _ in range(3):
        assert workflow.run_sync(TEA).answer
    gc.collect()
    assert not list(workflow._pools._of_loops)


@on_loop
async def test_a_recorded_run_that_is_over_is_gone_without_a_collection(tmp_path: Path) -> None:
    workflow = flow(store=tmp_path / "runs.db")
    gc.collect()
    gc.disable()
    try:
        stream = workflow.stream(TEA)
        async with stream as events:
            assert (await events.finished()).answer
        kept = weakref.ref(stream), weakref.ref(stream._journal), weakref.ref(stream._execution)
        del stream, events
        assert [each() for each in kept] == [None, None, None]
    finally:
        gc.enable()


def test_run_sync_works_inside_a_running_loop() -> None:
    async def notebook() -> None:
        workflow = flow()
        assert workflow.run_sync(TEA).answer
        with pytest.raises(TaskError, match="empty"):
            workflow.run_sync(" ")
        assert alone()

    asyncio.run(notebook())


def test_two_runs_share_the_limits_of_their_workflow() -> None:
    async def main() -> None:
        workflow = flow(Simulator(), limits=Limits(parallel=3))
        await asyncio.gather(workflow.run(TEA), workflow.run("Describe the tides in 8 subtasks."))
        assert simulator_of(workflow).max_in_flight == 3

    virtually(main())


def test_an_error_of_the_run_is_told_as_an_event_and_then_raised_as_itself() -> None:
    async def main() -> None:
        async with flow(Simulator(faults=(Fault("400", role="worker"),))).stream(TEA) as events:
            failed: Any = await until(events, "run_failed")
            with pytest.raises(WorkError) as raised:
                await anext(events)
            assert (failed.error, failed.error_type) == (str(raised.value), "WorkError")
            assert not isinstance(raised.value.__cause__, BaseExceptionGroup)
            with pytest.raises(WorkError):
                await anext(events)

    virtually(main())


def test_each_run_has_exactly_one_end_and_it_is_its_last_event() -> None:
    ends = {"run_finished", "run_failed", "run_interrupted"}

    async def kinds(simulator: Simulator) -> list[str]:
        seen = []
        async with flow(simulator).stream(TEA) as events:
            with suppress(StrettoError, StopAsyncIteration):
                while True:
                    seen.append((await events.__anext__()).kind)
        return seen

    for faults in [(), (Fault("401"),), (Fault("400", role="worker"),), (Fault("400", role="synthesizer"),)]:
        seen = virtually(kinds(Simulator(faults=faults)))
        assert [kind for kind in seen if kind in ends] == seen[-1:]


# Leaving


async def leave(events: RunStream) -> None:
    await until(events, "subtask_started")


async def raise_in_the_body(events: RunStream) -> None:
    await until(events, "subtask_started")
    raise ZeroDivisionError


async def leave_while_planning(events: RunStream) -> None:
    await until(events, "call_started")


async def leave_while_answering(events: RunStream) -> None:
    await until(events, "answer_delta")


@pytest.mark.parametrize("body", [leave, raise_in_the_body, leave_while_planning, leave_while_answering])
def test_leaving_a_stream_early_cancels_every_call_and_leaves_nothing_behind(
    body: Callable[[RunStream], Any], tmp_path: Path
) -> None:
    async def main() -> None:
        workflow = flow(QUICK, store=tmp_path / "runs.db")
        stream, in_flight = workflow.stream(TEA), 0
        try:
            async with stream as events:
                try:
                    await body(events)
                finally:
                    in_flight = simulator_of(workflow).in_flight
        except ZeroDivisionError:
            assert body is raise_in_the_body
        assert in_flight > 0
        assert simulator_of(workflow).in_flight == 0
        assert simulator_of(workflow).cancelled >= in_flight
        assert alone()
        log = Store(tmp_path / "runs.db").events(stream.run_id)
        assert log[-1].kind == "run_interrupted"
        assert stream.run.status == "interrupted"

    asyncio.run(main())


def test_cancelling_the_caller_cancels_every_call_and_the_cancellation_arrives() -> None:
    async def main() -> None:
        workflow = flow(Simulator())
        running = asyncio.create_task(workflow.run(TEA))
        while simulator_of(workflow).in_flight < 5 if pool_of(workflow).simulated else True:
            await asyncio.sleep(0.5)
        running.cancel()
        await asyncio.wait([running])
        assert running.cancelled()
        assert simulator_of(workflow).in_flight == 0
        assert simulator_of(workflow).cancelled >= 5
        assert asyncio.all_tasks() == {asyncio.current_task()}

    virtually(main())


def test_a_time_out_around_a_run_is_a_time_out() -> None:
    async def main() -> None:
        workflow = flow(Simulator())
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(3):
                await workflow.run(TEA)
        assert clock() == 3
        assert simulator_of(workflow).in_flight == 0

    virtually(main())


def test_a_second_cancellation_while_leaving_leaves_nothing_behind_either(tmp_path: Path) -> None:
    async def main() -> None:
        workflow = flow(Simulator(), store=tmp_path / "runs.db")
        running = asyncio.create_task(workflow.run(TEA))
        while not pool_of(workflow)._users:
            await asyncio.sleep(0)
        await asyncio.sleep(0.1)
        running.cancel()
        await asyncio.sleep(0)
        running.cancel()
        await asyncio.wait([running])
        assert running.cancelled()
        assert alone()

    asyncio.run(main())


@pytest.mark.slow
@pytest.mark.parametrize("stored", [True, False])
def test_leaving_at_the_last_event_does_not_interrupt_what_is_finished(stored: bool, tmp_path: Path) -> None:
    async def main() -> None:
        for n in range(20):  # the moment between the last event and the end is short
            path = tmp_path / f"{n}.db" if stored else None
            async with flow(store=path).stream(TEA) as events:
                await until(events, "run_finished")
            assert events.run.status == "finished"
            if path:
                assert Store(path).events(events.run_id)[-1].kind == "run_finished"

    asyncio.run(main())


def test_a_slow_reader_holds_nothing_up_and_misses_nothing() -> None:
    async def main() -> None:
        workflow = flow(Simulator())
        async with workflow.stream(TEA) as quick:
            eager = [event.kind async for event in quick]
        took, begin = clock(), clock()
        slow: list[AnyEvent] = []
        async with flow(Simulator()).stream(TEA) as events:
            await asyncio.sleep(took + 1e-6)  # timers and floats do not meet exactly
            assert events.run.status == "finished"
            async for event in events:
                slow.append(event)
                await asyncio.sleep(1)
        assert sorted(event.kind for event in slow) == sorted(eager)
        assert clock() == pytest.approx(begin + took + len(slow))
        assert fold(event for event in slow if event.stored).answer

    virtually(main())


def test_a_reader_that_reads_nothing_lets_the_run_go_on_until_it_leaves() -> None:
    async def main() -> None:
        async with flow(Simulator()).stream(TEA) as events:
            await asyncio.sleep(600)
            assert events.run.status == "finished"

    virtually(main())


# Misuse


def test_a_stream_that_was_not_entered_says_so_instead_of_waiting_for_ever() -> None:
    async def main() -> None:
        stream = flow().stream(TEA)
        with pytest.raises(StrettoError, match="async with"):
            async for _ in stream:
                pass
        with pytest.raises(StrettoError, match="async with"):
            print(stream.run)  # noqa: T201 - it raises

    virtually(main())


def test_a_stream_is_for_one_run() -> None:
    async def main() -> None:
        stream = flow().stream(TEA)
        async with stream as events:
            answer = (await events.finished()).answer
            with pytest.raises(StrettoError, match="new one for every run"):
                await stream.__aenter__()
        with pytest.raises(StrettoError, match="new one for every run"):
            async with stream:
                pass
        assert stream.run.answer == answer

    virtually(main())


def test_reading_on_after_leaving_gives_the_rest_and_then_ends() -> None:
    async def main() -> None:
        async with flow(Simulator()).stream(TEA) as events:
            await until(events, "subtask_started")
        rest = [event.kind async for event in events]
        assert rest[-1] == "run_interrupted"

    virtually(main())


@pytest.mark.parametrize("task", ["", "  \n"])
def test_an_empty_task_is_refused_before_anything_happens(task: str) -> None:
    with pytest.raises(TaskError, match="say what is to be done"):
        flow().stream(task)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Workflow("sim:x", {}, None), "workers: "),
        (lambda: Workflow("x", {"a": "sim:x"}, None), "orchestrator.model: 'x'"),
        (lambda: Workflow("sim:x", {"a": "smi:x"}, None), "workers.\"a\".model: unknown provider 'smi'"),
        (lambda: Workflow("sim:x", {"a": Role("sim:x", "{oops}")}, None), 'workers."a".prompt: unknown placeholder'),
        (lambda: Workflow("sim:x", {"a": "sim:x"}, Role("sim:x", "{needs}")), "synthesizer.prompt: unknown"),
        (lambda: Workflow(Role("sim:x", options={"x": object()}), {"a": "sim:x"}, None), "orchestrator.options: "),
        (lambda: flow(limits=Limits(parallel=0)), "limits.parallel: must be 1 or more"),
        (lambda: flow(limits=Limits(rpm=0)), "limits.rpm: must be more than 0"),
        (lambda: flow().resume("01J"), "store="),
    ],
)
def test_what_cannot_work_is_said_at_once_with_its_place(make: Callable[[], object], said: str) -> None:
    with pytest.raises(ConfigError) as raised:
        make()
    assert said in str(raised.value)


def test_a_missing_key_is_an_error_before_anything_is_asked_or_written(tmp_path: Path) -> None:
    keyed = Provider("http://localhost:1/v1", key_env="NO_SUCH_KEY_HERE")
    workflow = Workflow(
        "sim:x", {"a": "keyed:x"}, None, providers={"keyed": keyed, "sim": INSTANT}, store=tmp_path / "runs.db"
    )
    with pytest.raises(MissingKey, match="NO_SUCH_KEY_HERE"):
        workflow.run_sync(TEA)
    assert not (tmp_path / "runs.db").exists()


def test_the_record_of_a_workflow_holds_no_value_of_a_header_and_no_query() -> None:
    secret = Provider("http://localhost:1/v1?key=s3cret", headers={"X-Team": "s3cret"})
    workflow = Workflow("mine:x", {"a": "mine:x"}, None, providers={"mine": secret})
    assert "s3cret" not in str(record_of(workflow))
    assert "X-Team" in str(record_of(workflow))


# Stopped from outside


INTERRUPTED = """
import asyncio, os, signal, sys, threading
from pathlib import Path
import stretto

path = Path(sys.argv[1])
flow = stretto.Workflow("sim:x", {"part": "sim:x"}, "sim:x", store=path,
    providers={"sim": stretto.Simulator(ttft=30, ttft_spread=0)})
timer = threading.Timer(0.7, os.kill, (os.getpid(), signal.SIGINT))
timer.start()

async def notebook():
    return flow.run_sync("Explain tides.")

try:
    if sys.argv[2] == "plain":
        flow.run_sync("Explain tides.")
    else:  # as Jupyter does it: unlike `asyncio.run`, this leaves Ctrl-C to Python
        asyncio.new_event_loop().run_until_complete(notebook())
except KeyboardInterrupt:
    timer.join()
    print("interrupted,", *(t.name for t in threading.enumerate() if t is not threading.main_thread()), "alone")
"""


@pytest.mark.parametrize("where", ["plain", "notebook"])
def test_ctrl_c_stops_run_sync_cleanly_and_the_log_says_so(where: str, tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    done = python("-c", INTERRUPTED, path, where)
    assert (done.stdout, done.stderr, done.returncode) == ("interrupted, alone\n", "", 0)
    (run,) = Store(path).recent()
    assert run.status == "interrupted"


def test_resuming_a_run_whose_plan_could_not_be_read_asks_for_a_new_plan(tmp_path: Path) -> None:
    # To read the recorded replies once more would fail in the same way, for ever.
    faults = (Fault("prose", role="orchestrator"), Fault("400", role="worker"))  # nor is a direct call answered
    babbling = flow(Simulator(ttft=0, faults=faults), store=tmp_path / "s.db")
    sober = flow(INSTANT, store=tmp_path / "s.db")

    async def main() -> None:
        async with babbling.stream("Describe tea in 3 subtasks") as events:
            with pytest.raises(PlanError):
                await events.finished()
        async with sober.resume(events.run_id) as again:
            run = await again.finished()
        assert len(run.results) == 3
        assert run.coverage.complete
        assert simulator_of(sober).asked.total() == 5  # a new plan, three workers, the answer

    asyncio.run(main())


def test_a_store_that_another_program_holds_does_not_hold_up_the_loop(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    flow(store=path).run_sync(TEA)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("PRAGMA locking_mode = EXCLUSIVE")
    other.execute("BEGIN EXCLUSIVE")

    async def main() -> Run:
        async with flow(store=path).stream(TEA) as events:
            loop = asyncio.get_running_loop()
            late = []
            for _ in range(10):
                due = loop.time() + 0.05
                await asyncio.sleep(0.05)
                late.append(loop.time() - due)
            assert max(late) < 1
            other.close()  # and now it is free
            return await events.finished()

    assert asyncio.run(main()).coverage.complete


@pytest.mark.parametrize(
    ("key", "value"), [("parallel", 0), ("rpm", -5), ("rpm", float("nan")), ("silence", -1), ("connect", 0)]
)
def test_a_provider_with_a_limit_that_lets_nothing_through_is_refused(key: str, value: float) -> None:
    broken = msgspec.convert({"base_url": "http://localhost:1/v1", key: value}, Provider)
    with pytest.raises(ConfigError, match=rf"providers\.mine\.{key}: must be"):
        Workflow("mine:x", {"a": "mine:x"}, None, providers={"mine": broken})


@pytest.mark.slow
def test_runs_that_begin_while_others_end_share_one_session_and_none_is_lost() -> None:
    async def main() -> None:
        app = simulator_app(Simulator(ttft=0.002, tokens_per_second=1e6))
        async with listening(app) as url:
            workflow = Workflow("mine:x", {"a": "mine:x"}, None, providers={"mine": Provider(url)})

            async def later(number: int) -> Run:
                await asyncio.sleep(0.003 * number)
                return await workflow.run(f"Describe tea in 2 subtasks, {number}")

            runs = await asyncio.gather(*(later(number) for number in range(60)))
        assert all(run.coverage.complete for run in runs)
        assert all(run.simulated for run in runs)  # the endpoint says so

    asyncio.run(main())
