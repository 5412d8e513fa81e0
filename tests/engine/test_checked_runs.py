"""Whole runs whose workers are checked, or are ensembles: calls, events, coverage, reruns and replays."""

import asyncio
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from asked import verdict
from models import Beat, Script, Scripted, carry, plan_of
from stretto import Definition, Function, Limits, Role, Run, Simulator, Subtask, Workflow
from stretto.calls import Call
from stretto.errors import CallError

FAST = Simulator(ttft=0.01, ttft_spread=0, tokens_per_second=20_000)
PLAN = {"tasks": [{"type": "part", "description": "one"}, {"type": "part", "description": "two"}]}


def saying(**parts: Any) -> Script:
    """A script by the part of a call; `plan`, `work` and `answer` are those without one."""
    named = {"orchestrator": "plan", "worker": "work", "synthesizer": "answer"}

    def script(call: Call, nth: int) -> Iterable[Beat]:
        said = parts[(call.part or named[call.role]).replace(" ", "_")]
        return said(call, nth) if callable(said) else [said] if isinstance(said, str | Exception) else said

    return script


def workflow(role: Role, **limits: Any) -> Definition:
    return Definition(Role("sim:o"), {"part": role}, Role("sim:s"), Limits(**limits))


CHECKED = Role("sim:w", check="Is it right?")


def test_what_fails_and_is_put_right_is_whole_and_its_calls_say_what_they_are() -> None:
    script = saying(
        plan=plan_of("count"), work="three", check=verdict("fails", "It is two."), retry="two", answer="Two.",
        second_check=verdict("holds"),
    )  # fmt: skip
    told = carry(script, workflow(CHECKED))
    assert told.error is None
    assert [event.part for event in told.only("call_finished")] == ["", "", "check", "retry", "second check", ""]
    (finished,) = told.only("subtask_finished")
    assert (finished.text, finished.verdict) == ("two", "holds")
    assert told.run.coverage.complete


def test_what_fails_twice_is_in_the_answer_and_told_as_doubtful() -> None:
    fails = verdict("fails", "It is two.")
    script = saying(plan=plan_of("count"), work="3", check=fails, retry="4", second_check=fails, answer="?")
    told = carry(script, workflow(CHECKED))
    (doubtful,) = told.run.coverage.doubtful
    assert (doubtful.subtask, doubtful.verdict, doubtful.remark) == ("t1", "fails", "It is two.")
    assert not told.run.coverage.missing


def test_a_checker_that_is_down_fails_nothing() -> None:
    script = saying(plan=plan_of("count"), work="two", check=CallError("down"), answer="Two.")
    told = carry(script, workflow(CHECKED, attempts=1))
    assert told.run.results["t1"].verdict == "unchecked"
    assert told.run.results["t1"].remark.startswith("the checker could not be reached: ")
    assert told.run.status == "finished"


def test_a_checker_that_talks_nonsense_is_asked_twice_and_no_more() -> None:
    model = Scripted(saying(plan=plan_of("count"), work="two", check="Looks fine!", answer="Two."))
    told = carry(model, workflow(CHECKED))
    assert [call.part for call in model.calls] == ["", "", "check", "check", ""]  # one repair, as of any shape
    assert told.run.results["t1"].verdict == "unchecked"
    assert told.run.results["t1"].remark.startswith("the checker's reply could not be read: ")


def test_the_deadline_takes_a_check_and_not_the_result_that_was_there() -> None:
    script = saying(plan=plan_of("count"), work="two", check=[100.0, verdict("holds")], answer="Two.")
    told = carry(script, workflow(CHECKED, deadline=20))
    result = told.run.results["t1"]
    assert (result.outcome, result.text, result.verdict) == ("done", "two", "unchecked")
    assert result.remark == "the deadline came before it was checked"
    assert told.run.status == "finished"


def test_members_of_an_ensemble_are_asked_at_the_same_time_and_no_later_than_one_worker() -> None:
    role = Role("sim:w", samples=5, merge="vote")
    script = saying(plan=plan_of("count"), answer="2", **{f"reply_{n}": [10.0, str(n // 2)] for n in range(1, 6)})
    told = carry(script, workflow(role))
    assert len(told.at("call_started", role="worker")) == 5
    (finished,) = told.at("subtask_finished")
    assert finished - told.at("call_started", role="worker")[0] == 10.0
    assert (told.run.results["t1"].text, told.run.results["t1"].remark) == ("1", "2 of 5 agree")


def test_a_member_that_the_deadline_cuts_is_left_out() -> None:
    role = Role("sim:w", samples=3, merge="vote")
    replies: dict[str, Any] = {"reply_1": "two", "reply_2": "two", "reply_3": ["th", 100.0, "ree"]}
    told = carry(saying(plan=plan_of("count"), answer="2", **replies), workflow(role, deadline=20))
    result = told.run.results["t1"]
    assert (result.outcome, result.text) == ("done", "two")
    assert result.remark == "2 of 2 agree; 1 of 3 replies are missing"


def numbers(_: Subtask, text: str) -> bool:
    checked.append(text)
    return len(text) > 3


async def look(subtask: Subtask) -> str:
    return f"about {subtask.description}"


checked: list[str] = []


def flow(store: Path | None = None, **workers: Any) -> Workflow:
    return Workflow("sim:x", workers, "sim:x", providers={"sim": FAST}, store=store)


async def carried(flow: Workflow) -> Run:
    async with flow.stream("Tell of the sea", plan=PLAN) as events:
        return await events.finished()


def test_functions_check_functions_and_models() -> None:
    checked.clear()
    check: Any = numbers
    for part in (Function(look, check=numbers), Role("sim:x", check=check)):
        run = asyncio.run(carried(flow(part=part)))
        assert {result.verdict for result in run.results.values()} == {"holds"}
        assert set(checked[-2:]) == {result.text for result in run.results.values()}


def test_a_rerun_asks_nothing_of_an_ensemble_with_its_check_again_and_a_replay_says_the_same(tmp_path: Path) -> None:
    role = Role("sim:x", samples=3, merge="best", check="Is it right?")

    async def main() -> None:
        ours = flow(tmp_path / "s.db", part=role)
        first = await carried(ours)
        assert {line.fate for line in await ours.explain(first.id)} <= {"reused", "kept"}
        async with ours.rerun(first.id) as events:
            again = await events.finished()
        assert again.answer == first.answer
        assert again.results == first.results
        assert all(call.finished and call.finished.reused for call in again.calls)
        async with ours.replay(first.id) as events:
            replayed = await events.finished()
        assert (replayed.answer, replayed.results, replayed.coverage) == (first.answer, first.results, first.coverage)

    asyncio.run(main())


def test_a_changed_check_asks_the_check_anew_and_not_the_work(tmp_path: Path) -> None:
    async def main() -> None:
        first = await carried(flow(tmp_path / "s.db", part=Role("sim:x")))
        async with flow(tmp_path / "s.db", part=Role("sim:x", check="Is it right?")).rerun(first.id) as events:
            again = await events.finished()
        asked = [call.finished for call in again.calls if call.finished and not call.finished.reused]
        assert {each.part for each in asked if each.role == "worker"} <= {"check", "retry", "second check"}
        assert sum(each.part == "check" for each in asked) == 2

    asyncio.run(main())


def test_a_budget_that_has_nothing_for_a_check_leaves_the_result_unchecked() -> None:
    few = {"max_tokens": 100}
    role = Role("sim:w", options=few, check=Role(options={"max_tokens": 90_000}))
    definition = Definition(Role("sim:o", options=few), {"part": role}, Role("sim:s", options=few), Limits(tokens=9000))
    model = Scripted(saying(plan=plan_of("count"), work="two", check=verdict("fails"), answer="Two."))
    told = carry(model, definition)
    result = told.run.results["t1"]
    assert (result.text, result.verdict, result.remark) == ("two", "unchecked", "the budget does not allow for a check")
    assert [call.part for call in model.calls] == ["", "", ""]
    assert told.run.answer == "Two."
