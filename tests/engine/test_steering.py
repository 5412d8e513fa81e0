"""Steering a run: one subtask stopped or asked anew, and whoever goes on with the run, or repeats it, does the same."""

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from models import TRIO, Script, Told, carry, plan_of
from stretto import Definition, Limits, Role, RunStream, Simulator, Workflow
from stretto.calls import Call
from stretto.engine import Execution
from stretto.errors import TaskError
from stretto.events import AnyEvent
from stretto.models.simulator import parse_fault
from stretto.store.sqlite import Store

TASK = "Compare teas in exactly 3 subtasks"
CHAIN = plan_of("first", "second", {"type": "part", "description": "third", "needs": ["t1"]})
INNER = Definition(Role("sim:inner-o"), {"detail": Role("sim:detail")}, Role("sim:inner-s"))
OUTER = replace(TRIO, workers={"part": Role("sim:w"), "deep": Role(workflow=INNER)})
Steer = Callable[[Execution], Coroutine[Any, Any, None]]


def script(plan: str = CHAIN) -> Script:
    """Workers say half of what they have to say, and the rest ten seconds later; `second` takes a hundred."""

    def say(call: Call, _: int) -> list[Any]:
        if call.role == "orchestrator":
            return [plan]
        if call.role == "synthesizer":
            return [1.0, "The answer."]
        prompt = call.request.messages[-1].content
        which = "A better" if "says of it" in prompt else "A"
        built = " on the better" if "A better first" in prompt else ""
        name = {"t1": "first", "t2": "second", "t3": "third"}.get(call.subtask or "", "other")
        return [f"{which} {name}{built}, half", 100.0 if name == "second" else 10.0, " and all."]

    return say


def at(*moments: tuple[float, Callable[[Execution], None]]) -> Steer:
    """Steer at these seconds."""

    async def steer(execution: Execution) -> None:
        began = asyncio.get_running_loop().time()
        for second, what in moments:
            await asyncio.sleep(began + second - asyncio.get_running_loop().time())
            what(execution)

    return steer


def stop(subtask: str) -> Callable[[Execution], None]:
    return lambda execution: execution.steering.stop(subtask)


def again(subtask: str, remark: str = "Make it better.") -> Callable[[Execution], None]:
    return lambda execution: execution.steering.again(subtask, remark)


def texts(told: Told) -> dict[str, str]:
    return {id_: result.text for id_, result in told.run.results.items()}


def kinds(told: Told) -> list[str]:
    return [event.kind for _, event in told.events]


def log(told: Told) -> list[AnyEvent]:
    return [event for _, event in told.events if event.stored]


def place(events: list[AnyEvent], kind: str) -> int:
    """How many events there are up to the first of this kind."""
    return [event.kind for event in events].index(kind) + 1


# -- one subtask is stopped


def test_what_a_subtask_has_said_is_kept_when_it_is_stopped_and_the_run_goes_on_with_that() -> None:
    told = carry(script(), meanwhile=at((5.0, stop("t1"))))
    result = told.run.results["t1"]
    assert (result.outcome, result.code, result.text) == ("cut", "stopped", "A first, half")
    assert result.error == "it was stopped after it had said this much"
    assert told.at("subtask_finished", subtask="t1") == [5.0]
    assert told.at("subtask_started", subtask="t3") == [5.0]
    assert told.run.results["t3"].outcome == "done"
    assert told.run.answer == "The answer."
    assert [each.subtask for each in told.run.coverage.missing] == ["t1"]
    assert not told.run.coverage.degraded
    (call,) = [call for call in told.run.calls if call.subtask == "t1"]
    assert call.finished
    assert call.finished.finish == "stopped"
    assert call.finished.lost.output_tokens > 0
    assert kinds(told).index("subtask_stopped") < kinds(told).index("subtask_finished")


def test_whenever_it_is_killed_a_stopped_subtask_stays_as_it_was() -> None:
    events = log(carry(script(), meanwhile=at((5.0, stop("t1")))))
    for cut in range(place(events, "subtask_stopped"), len(events)):
        asked: list[str | None] = []

        def listen(call: Call, nth: int, asked: list[str | None] = asked) -> list[Any]:
            asked.append(call.subtask)
            return list(script()(call, nth))

        told = carry(listen, history=events[:cut])
        assert told.error is None
        assert "t1" not in asked
        assert (told.run.results["t1"].outcome, told.run.results["t1"].text) == ("cut", "A first, half")
        assert told.run.results["t1"].code == "stopped"


def test_one_that_has_said_nothing_has_an_empty_result() -> None:
    def slowly(call: Call, nth: int) -> list[Any]:
        return [1.0 if call.role == "worker" else 0.0, *script()(call, nth)]

    told = carry(slowly, meanwhile=at((0.5, stop("t1"))))
    assert (told.run.results["t1"].outcome, told.run.results["t1"].text) == ("cut", "")
    assert told.run.results["t1"].error == "it was stopped before it had said anything"


def test_only_what_is_running_can_be_stopped() -> None:
    why: list[str] = []

    def tried(subtask: str) -> Callable[[Execution], None]:
        def trying(execution: Execution) -> None:
            try:
                execution.steering.stop(subtask)
            except TaskError as error:
                why.append(str(error))

        return trying

    strange = [(5.0, tried(subtask)) for subtask in ("t3", "t9", "t1/t1")]
    told = carry(script(), meanwhile=at(*strange, (15.0, tried("t1"))))
    assert told.run.coverage.complete
    assert [each.partition(":")[0] for each in why] == [
        "subtask t3 is not running",
        "there is no subtask 't9' in the plan of this run",
        "there is no subtask 't1/t1' in the plan of this run",
        "subtask t1 is not running",
    ]
    assert not told.only("subtask_stopped")


# -- one is asked anew


def test_a_subtask_that_is_under_way_is_asked_anew_with_the_remark_in_its_prompt() -> None:
    prompts: list[str] = []

    def listen(call: Call, nth: int) -> list[Any]:
        if call.subtask == "t1":
            prompts.append(call.request.messages[-1].content)
        return list(script()(call, nth))

    told = carry(listen, meanwhile=at((5.0, again("t1", "Name the sources."))))
    assert ["Name the sources." in prompt for prompt in prompts] == [False, True]
    assert told.run.results["t1"].text == "A better first, half and all."
    assert told.run.results["t3"].text == "A third on the better, half and all."
    assert told.at("subtask_finished", subtask="t1") == [15.0]
    assert told.run.coverage.complete
    finishes = [call.finished.finish for call in told.run.calls if call.subtask == "t1" and call.finished]
    assert finishes == ["stopped", "stop"]


def test_whoever_has_used_the_old_result_is_asked_anew_as_well_and_nobody_else() -> None:
    told = carry(script(), meanwhile=at((15.0, again("t1"))))
    assert told.at("subtask_started", subtask="t3") == [10.0, 25.0]
    assert texts(told) == {
        "t1": "A better first, half and all.",
        "t2": "A second, half and all.",
        "t3": "A third on the better, half and all.",
    }
    assert [call.subtask for call in told.run.calls if call.role == "worker"] == ["t1", "t2", "t3", "t1", "t3"]
    finished = carry(script(), meanwhile=at((25.0, again("t1"))))
    assert finished.at("subtask_finished", subtask="t3") == [20.0, 45.0]
    assert texts(finished) == texts(told)


def test_asked_anew_without_a_remark_it_is_another_sample_of_the_same_request() -> None:
    told = carry(script(), meanwhile=at((15.0, again("t2", ""))))
    first, second = [call for call in told.run.calls if call.subtask == "t2"]
    assert first.fingerprint != second.fingerprint
    assert told.run.basis.samples == {"t2": 1}
    assert told.run.basis.remarks == {}


def test_whenever_it_is_killed_a_subtask_that_was_asked_anew_is_what_it_became() -> None:
    whole = carry(script(), meanwhile=at((15.0, again("t1"))))
    events = log(whole)
    for cut in range(place(events, "subtask_reopened"), len(events)):
        told = carry(script(), history=events[:cut])
        assert told.error is None
        assert texts(told) == texts(whole), cut


def test_one_that_was_stopped_can_be_asked_anew_and_one_asked_anew_be_stopped() -> None:
    told = carry(script(), meanwhile=at((5.0, stop("t1")), (8.0, again("t1")), (30.0, again("t1")), (35.0, stop("t1"))))
    assert told.run.results["t1"].text == "A better first, half"
    assert told.run.results["t1"].outcome == "cut"
    assert told.run.stopped == {"t1": "A better first, half"}
    assert told.run.basis.samples == {"t1": 2}


def test_too_late_is_said_and_changes_nothing() -> None:
    why: list[str] = []

    def tried(subtask: str) -> Callable[[Execution], None]:
        def trying(execution: Execution) -> None:
            try:
                execution.steering.again(subtask)
            except TaskError as error:
                why.append(str(error).partition(": ")[2])

        return trying

    def more(call: Call, nth: int) -> list[Any]:
        if call.role == "orchestrator" and any("round 2" in message.content for message in call.request.messages):
            return [plan_of({"id": "t4", "type": "part", "description": "fourth"})]
        return list(script(plan_of("first"))(call, nth))

    told = carry(more, replace(TRIO, limits=Limits(rounds=2)), meanwhile=at((15.0, tried("t1")), (20.5, tried("t4"))))
    assert told.run.coverage.complete
    assert why == [
        "the orchestrator has read its result",
        "all results are there, and the answer is being written; a rerun asks it anew (fresh)",
    ]


# -- workflows within


def nested(call: Call, _: int) -> list[Any]:
    """The outer plan has one deep subtask; its own plan has two, the second of which takes a hundred seconds."""
    match call.request.model:
        case "sim:o":
            return [plan_of({"type": "deep", "description": "the depth of it"})]
        case "sim:inner-o":
            return [plan_of({"type": "detail", "description": "x"}, {"type": "detail", "description": "y"})]
        case "sim:detail":
            late = "y" in call.request.messages[-1].content.splitlines()
            return ["Half", 100.0 if call.subtask == "t1/t2" or late else 1.0, " done."]
    return [1.0, "The inner answer." if call.request.model == "sim:inner-s" else "The answer."]


def test_a_workflow_within_is_stopped_with_the_results_that_it_has() -> None:
    told = carry(nested, OUTER, meanwhile=at((5.0, stop("t1"))))
    assert told.run.results["t1"].outcome == "cut"
    assert told.run.results["t1"].text == "Half done."
    assert told.at("subtask_finished", subtask="t1") == [5.0]


def test_a_subtask_within_is_stopped_and_asked_anew_by_its_full_name() -> None:
    told = carry(nested, OUTER, meanwhile=at((5.0, stop("t1/t2"))))
    assert told.run.parts["t1"].results["t2"].text == "Half"
    assert told.run.results["t1"].text == "The inner answer."
    anew = carry(nested, OUTER, meanwhile=at((5.0, again("t1/t1")), (20.0, stop("t1/t2"))))
    assert anew.at("subtask_finished", subtask="t1/t1") == [1.0, 6.0]
    assert anew.run.results["t1"].text == "The inner answer."


def test_a_workflow_within_plans_anew_when_its_subtask_is_asked_anew() -> None:
    tasks: list[str] = []

    def listen(call: Call, nth: int) -> list[Any]:
        if call.request.model == "sim:inner-o":
            tasks.append(call.request.messages[-1].content)
        return nested(call, nth)

    told = carry(listen, OUTER, meanwhile=at((5.0, again("t1", "Only x.")), (30.0, stop("t1/t2"))))
    assert ["Only x." in task for task in tasks] == [False, True]
    assert told.run.results["t1"].text == "The inner answer."
    events = log(told)
    for cut in range(place(events, "subtask_reopened"), len(events), 3):
        later = carry(nested, OUTER, history=events[:cut], meanwhile=at())
        assert later.run.results["t1"].text == "The inner answer."


# -- from Python, over a store


PLAN = {
    "tasks": [
        {"type": "general", "description": "Alpha"},
        {"type": "general", "description": "Beta"},
        {"type": "general", "description": "Gamma", "needs": ["t2"]},
    ]
}


def silent(store: Path, **limits: Any) -> Workflow[Any]:
    """Whoever is asked for Alpha says half of it, and then nothing for an hour."""
    fault = parse_fault("silence role=worker match=Alpha")
    simulator = Simulator(ttft=0.0, tokens_per_second=1e6, faults=(fault,))
    return Workflow.from_toml("general", model="sim:x", providers={"sim": simulator}, store=store, limits=limits)


async def half_said(stream: RunStream[Any], done: int) -> None:
    """Read on until so many subtasks are over, and Alpha is half written."""
    async for event in stream:
        done -= event.kind == "subtask_finished"
        if done <= 0:
            break
    while not any(stream.heard(call.id) for call in stream.run.calls if call.subtask == "t1"):
        await asyncio.sleep(0.005)


def test_a_run_that_was_steered_is_replayed_and_run_again_as_it_was(tmp_path: Path) -> None:
    flow = silent(tmp_path / "runs.db", timeout="1h")

    async def main() -> tuple[Any, Any, Any]:
        stream = flow.stream("Greek letters", plan=PLAN)
        stream.streamed = True
        async with stream:
            await half_said(stream, done=2)
            stream.again("t2", "Say it in one word.")
            await half_said(stream, done=2)
            stream.stop_subtask("t1")
            run = await stream.finished()
        async with flow.replay(run.id) as again:
            replayed = await again.finished()
            assert again.differences == []
        async with flow.rerun(run.id, only=["t2", "t3"]) as repeated:
            return run, replayed, await repeated.finished()

    run, replayed, repeated = asyncio.run(main())
    assert run.results["t1"].outcome == "cut"
    assert run.results["t1"].text
    assert run.stopped == {"t1": run.results["t1"].text}
    assert run.coverage.counts["done"] == 2
    assert [call.subtask for call in run.calls if call.role == "worker"].count("t2") == 2
    assert (replayed.answer, replayed.results, replayed.coverage) == (run.answer, run.results, run.coverage)
    assert repeated.usage.output_tokens == 0
    assert repeated.results["t2"].text == run.results["t2"].text


def test_what_is_not_under_way_is_not_steered(tmp_path: Path) -> None:
    flow = silent(tmp_path / "runs.db")
    stream = flow.stream("Greek letters", plan=PLAN)
    for steer in (stream.stop_subtask, stream.again):
        with pytest.raises(TaskError, match="not under way"):
            steer("t1")


@pytest.mark.parametrize("tokens", [4_000, 8_000, 40_000])
def test_a_budget_holds_whatever_is_asked_anew(tokens: int) -> None:
    often = at(*((5.0 + 7 * number, again("t1")) for number in range(13)))
    told = carry(script(), replace(TRIO, limits=Limits(tokens=tokens)), meanwhile=often)
    assert told.error is None
    assert told.run.usage.input_tokens + told.run.usage.output_tokens <= tokens
    assert told.run.basis.samples == {"t1": 13}


def test_what_was_said_to_a_run_that_keeps_no_texts_is_not_kept(tmp_path: Path) -> None:
    fault = parse_fault("silence role=worker match=Alpha")
    flow = Workflow.from_toml(
        "general",
        model="sim:x",
        providers={"sim": Simulator(ttft=0.0, tokens_per_second=1e6, faults=(fault,))},
        store=tmp_path / "runs.db",
        limits={"timeout": "1h"},
        memory={"record": "usage"},
    )

    async def main() -> str:
        stream = flow.stream("Greek letters", plan=PLAN)
        stream.streamed = True
        async with stream:
            await half_said(stream, done=2)
            stream.again("t1", "A secret remark.")
            await half_said(stream, done=0)
            stream.stop_subtask("t1")
            await stream.finished()
            return stream.run_id

    run = asyncio.run(main())
    kept = {event.kind: event for event in Store(tmp_path / "runs.db").events(run)}
    assert (kept["subtask_stopped"].text, kept["subtask_reopened"].remark) == ("", "")  # type: ignore[union-attr]
