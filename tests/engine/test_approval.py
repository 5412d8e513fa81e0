"""A plan that is to be approved: nothing of it is asked before, and what is decided holds, whenever a run is killed."""

import asyncio
import time
from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from models import TRIO, Script, Told, carry, plan_of
from stretto import Limits, Memory, Plan, Price, Run, Simulator, Workflow
from stretto import events as e
from stretto.calls import Call
from stretto.errors import ConfigError, TaskError
from stretto.fold import fold
from stretto.proposal import Again, Decision, Drop, Edit, Go, Line, Over, Proposal, Range, Stop
from stretto.store.sqlite import Store
from virtual import clock, virtually

TASK = "Compare teas in exactly 6 subtasks with needs"
FAST = Simulator(ttft=0.01, ttft_spread=0, tokens_per_second=20_000, length=20)
CHAIN = plan_of("first", "second", {"type": "part", "description": "third", "needs": ["t1"]})


class Judge:
    """Decides as it is told to, one plan after the other, and goes when nothing more is said."""

    def __init__(self, *decisions: Decision | float) -> None:
        self._decisions = list(decisions)
        self.plans: list[Plan] = []

    async def __call__(self, plan: Plan) -> Decision:
        self.plans.append(plan)
        while self._decisions:
            decision = self._decisions.pop(0)
            if not isinstance(decision, int | float):
                return decision
            await asyncio.sleep(decision)
        return Go()


def script(first: str = CHAIN, again: Sequence[str] = ()) -> Script:
    """A model that writes the first plan, and another one each time that one is not approved."""

    def say(call: Call, _: int) -> list[Any]:
        if call.role == "orchestrator":
            told = sum(message.role == "assistant" for message in call.request.messages)
            return [[first, *again][told]]
        return [1.0, f"Done: {call.subtask}." if call.role == "worker" else "The answer."]

    return say


def descriptions(told: Told) -> list[str]:
    return [subtask.description for subtask in told.run.plan.subtasks]


def kinds(told: Told) -> list[str]:
    return [event.kind for _, event in told.events]


def asked(told: Told, role: str) -> list[str]:
    """The subtasks (or roles) that calls were made for."""
    return [call.subtask or call.role for call in told.run.calls if call.role == role]


# -- deciding


def test_nothing_of_a_plan_is_begun_before_it_is_approved() -> None:
    judge = Judge(60.0, Go())
    told = carry(script(), consider=judge)
    assert told.at("plan_finished") == [0.0]
    assert min(told.at("subtask_started")) == 60.0
    assert told.run.answer == "The answer."
    assert [len(plan.subtasks) for plan in judge.plans] == [3]
    alone = carry(script())
    assert told.run.results == alone.run.results
    assert told.run.coverage == alone.run.coverage


def test_who_stops_a_run_at_its_plan_can_go_on_with_it() -> None:
    told = carry(script(), consider=Judge(Stop()))
    assert (told.run.status, told.run.code) == ("interrupted", "stopped")
    assert asked(told, "worker") == []
    later = carry(script(), history=[event for _, event in told.events])
    assert later.run.answer == "The answer."
    assert asked(later, "orchestrator") == ["orchestrator"]


def test_an_edited_plan_takes_the_place_of_the_first_and_is_shown_before_it_is_carried_out() -> None:
    judge = Judge(Edit({"tasks": [{"type": "part", "description": "other"}]}), Go())
    told = carry(script(), consider=judge)
    assert descriptions(told) == ["other"]
    assert [[s.description for s in plan.subtasks] for plan in judge.plans] == [["first", "second", "third"], ["other"]]
    assert asked(told, "worker") == ["t1"]
    assert asked(told, "orchestrator") == ["orchestrator"]
    assert kinds(told).count("plan_withdrawn") == 1


def test_dropped_subtasks_are_left_out_unless_others_need_them() -> None:
    told = carry(script(), consider=Judge(Drop(["t1", "t3"])))
    assert descriptions(told) == ["second"]
    assert asked(told, "worker") == ["t2"]
    needed = carry(script(), consider=Judge(Drop(["t1"])))
    assert isinstance(needed.error, TaskError)
    assert "t3 needs t1; drop t3 as well" in str(needed.error)


def test_the_orchestrator_is_asked_again_with_every_plan_and_remark_so_far() -> None:
    heard: list[Call] = []

    def say(call: Call, nth: int) -> Any:
        heard.append(call)
        return script(again=[plan_of("fewer"), plan_of("better")])(call, nth)

    judge = Judge(Again("Take fewer."), Again("Do it better."), Go())
    told = carry(say, consider=judge)
    assert descriptions(told) == ["better"]
    assert asked(told, "worker") == ["t1"]
    plans = [call.request.messages for call in heard if call.role == "orchestrator"]
    assert [len(messages) - len(plans[0]) for messages in plans] == [0, 2, 4]
    assert plans[2][: len(plans[1])] == plans[1]
    said = plans[2][len(plans[0]) :]
    assert [message.role for message in said] == ["assistant", "user"] * 2
    assert '"description":"third"' in said[0].content
    assert "Take fewer." in said[1].content
    assert '"description":"fewer"' in said[2].content
    assert [each.remark for each in told.run.withdrawn] == ["Take fewer.", "Do it better."]


def test_what_cannot_be_is_an_error_that_says_so() -> None:
    strange = carry(script(), consider=Judge(Edit({"tasks": [{"type": "strange", "description": "x"}, {}]})))
    assert isinstance(strange.error, TaskError)
    assert "edited plan" in str(strange.error)
    assert isinstance(carry(script(), consider=Judge(Again(" "))).error, TaskError)
    without = replace(TRIO, orchestrator=None)
    assert "no orchestrator to ask" in str(carry(script(), without, consider=Judge(Again("x"))).error)


def test_an_empty_plan_is_put_forward_too_and_may_become_one_with_subtasks() -> None:
    told = carry(script(plan_of()), consider=Judge(Go()))
    assert told.run.answer == "The answer."
    assert asked(told, "worker") == []
    edited = carry(script(plan_of()), consider=Judge(Edit({"tasks": [{"type": "part", "description": "x"}]})))
    assert asked(edited, "worker") == ["t1"]


def test_the_time_in_which_somebody_decides_is_not_taken_from_the_deadline() -> None:
    late = replace(TRIO, limits=Limits(deadline=20.0))
    told = carry(script(), late, consider=Judge(1000.0, Go()))
    assert told.error is None
    assert told.run.coverage.complete
    assert not told.run.coverage.degraded


def test_later_rounds_go_on_without_another_approval() -> None:
    def say(call: Call, nth: int) -> Any:
        if call.role == "orchestrator" and any("round 2" in message.content for message in call.request.messages):
            return [plan_of("more")]
        return script(plan_of("first"))(call, nth)

    judge = Judge()
    told = carry(say, replace(TRIO, limits=Limits(rounds=2)), consider=judge)
    assert descriptions(told) == ["first", "more"]
    assert len(judge.plans) == 1


@pytest.mark.parametrize("approves", [True, False])
def test_whenever_it_is_killed_a_run_goes_on_with_the_plan_that_was_decided_on(*, approves: bool) -> None:
    judge = Judge(Again("Take fewer."), Edit({"tasks": [{"type": "part", "description": "edited"}]}), Go())
    model = script(again=[plan_of("fewer")])
    whole = carry(model, consider=judge)
    events = [event for _, event in whole.events if event.stored]
    decided = [place for place, event in enumerate(events, 1) if event.kind == "plan_withdrawn"]
    assert len(decided) == 2
    for cut in range(2, len(events)):
        told = carry(model, history=events[:cut], consider=Judge() if approves else None)
        assert told.error is None
        expected = ["edited"] if cut >= decided[1] else ["fewer"] if cut >= decided[0] else ["first", "second", "third"]
        assert descriptions(told) == expected, cut
        assert told.run.answer == "The answer."
        assert set(told.run.results) == {subtask.id for subtask in told.run.plan.subtasks}


# -- proposals


def flow(path: Path | None = None, **facts: Any) -> Workflow:
    return Workflow(
        "sim:o", {"draft": "sim:w", "proof": "sim:w"}, "sim:s", providers={"sim": FAST}, store=path, **facts
    )


class Seen:
    """Approves plans by what it is told, and keeps the proposals."""

    def __init__(self, *decisions: Decision) -> None:
        self._decisions = list(decisions)
        self.proposals: list[Proposal] = []

    def __call__(self, proposal: Proposal) -> Decision:
        self.proposals.append(proposal)
        return self._decisions.pop(0) if self._decisions else Go()


def finished(stream: Any) -> Run:
    async def main() -> Run:
        async with stream as events:
            run: Run = await events.finished()
            return run

    return asyncio.run(main())


def test_a_proposal_says_what_is_left_and_where_it_is_known_from(tmp_path: Path) -> None:
    store = tmp_path / "s.db"
    prices = {"sim:w": Price(Decimal(1), Decimal(2))}
    seen, at = Seen(), time.monotonic()
    first = flow(store, prices=prices).run_sync(TASK, approve=seen)
    took = time.monotonic() - at
    second = flow(store, prices=prices).run_sync(TASK + " once more", approve=seen)
    assert first.coverage.complete
    assert second.coverage.complete
    unknown, known = seen.proposals
    assert (unknown.run_id, unknown.task) == (first.id, TASK)
    assert unknown.lines[0].source == "defaults"
    assert known.lines[0].source == "history"
    assert [line.name for line in known.lines] == [subtask.id for subtask in second.plan.subtasks]
    assert known.total.cost is not None
    assert second.cost is not None
    assert known.total.cost.p50 / 2 < second.cost < known.total.cost.p95 * 2
    assert known.total.seconds.p95 < 2 + took  # on a machine where that was long, it is foretold again
    assert any(line.critical for line in known.lines)


def test_approve_may_be_asynchronous_and_must_return_a_decision() -> None:
    async def later(_: Proposal) -> Decision:
        await asyncio.sleep(3600)
        return Go()

    async def main(approve: Callable[[Proposal], Any]) -> tuple[Run, float]:
        return await flow().run(TASK, approve=approve), clock()

    run, at = virtually(main(later))
    assert run.coverage.complete
    assert at > 3600
    with pytest.raises(ConfigError, match=r"approve: must return Go\(\), Edit"):
        virtually(main(lambda _: True))


def test_what_was_used_at_the_approval_is_kept_to_tell_how_good_the_forecast_was() -> None:
    async def main() -> Any:
        async with flow().stream(TASK, approve=lambda _: Go()) as events:
            run = await events.finished()
            return run, events.approved

    run, approved = virtually(main())
    spent = run.usage.output_tokens - approved.usage.output_tokens
    assert spent == sum(c.finished.usage.output_tokens for c in run.calls if c.role != "orchestrator")


@pytest.mark.slow
@pytest.mark.parametrize("approves", [True, False])
def test_a_run_that_was_stopped_is_resumed_with_or_without_another_approval(tmp_path: Path, *, approves: bool) -> None:
    store, seen = tmp_path / "s.db", Seen()
    run = flow(store).run_sync(TASK, approve=Seen(Drop(["t6"]), Stop()))
    assert run.status == "interrupted"
    after = finished(flow(store).resume(run.id, approve=seen if approves else None))
    assert after.coverage.complete
    assert [subtask.id for subtask in after.plan.subtasks] == ["t1", "t2", "t3", "t4", "t5"]
    assert sum(call.role == "orchestrator" for call in after.calls) == 1
    assert [len(proposal.lines) for proposal in seen.proposals] == ([5] if approves else [])


@pytest.mark.slow
def test_on_resuming_the_forecast_is_of_what_is_left(tmp_path: Path) -> None:
    store = tmp_path / "s.db"
    whole = flow(store).run_sync(TASK)
    seen = Seen(Again("Otherwise."))
    after = finished(flow(store).resume(whole.id, approve=seen))
    assert [line.calls for line in seen.proposals[0].lines] == [0] * 6
    assert seen.proposals[0].total.calls == 1
    assert len(seen.proposals) == 2
    assert after.coverage.complete
    assert after.status == "finished"


@pytest.mark.slow
@pytest.mark.parametrize("decision", [Again("Otherwise."), Edit({"tasks": [{"type": "draft", "description": "Tea."}]})])
def test_a_run_whose_plan_was_withdrawn_can_be_replayed_and_rerun_and_its_rerun_foreseen(
    tmp_path: Path, decision: Decision
) -> None:
    store = tmp_path / "s.db"
    run = flow(store).run_sync(TASK, approve=Seen(decision))
    again = finished(flow(store).replay(run.id))
    assert (again.answer, again.plan.subtasks, again.coverage) == (run.answer, run.plan.subtasks, run.coverage)
    lines = asyncio.run(flow(store).explain(run.id))
    assert {line.fate for line in lines} <= {"reused", "kept"}
    rerun = finished(flow(store).rerun(run.id))
    assert rerun.plan.subtasks == run.plan.subtasks
    assert rerun.answer == run.answer
    assert all(call.finished and call.finished.reused for call in rerun.calls)


def test_the_parts_of_a_rerun_are_not_replanned(tmp_path: Path) -> None:
    store = tmp_path / "s.db"
    run = flow(store).run_sync(TASK)
    seen = Seen(Drop(["t4"]))
    with pytest.raises(TaskError, match="takes its plan as it is"):
        finished(flow(store).rerun(run.id, only=["t1"], approve=seen))
    assert [line.calls for line in seen.proposals[0].lines] == [1, 0, 0, 0, 0, 0]


@pytest.mark.slow
def test_a_run_that_keeps_no_texts_keeps_none_of_a_withdrawn_plan(tmp_path: Path) -> None:
    store = tmp_path / "s.db"
    secret = {"tasks": [{"type": "draft", "description": "the secret tea"}]}
    seen = Seen(Edit(secret), Again("no secret tea, please"))
    run = flow(store, memory=Memory(record="usage")).run_sync(TASK, approve=seen)
    assert run.status == "finished"
    kept = b"".join(e.encode(event) for event in Store(store).events(run.id))
    assert b"secret" not in kept
    assert b"plan_withdrawn" in kept
    assert fold(Store(store).events(run.id)).forgotten


# -- only where it is dear


def costing(most: str | None, run_id: str = "r1") -> Proposal:
    cost = None if most is None else Range(Decimal(0), Decimal(most))
    line = Line(name="total", cost=cost)
    return Proposal(run_id, "x", Plan(), (), line, line)


def test_over_an_amount_somebody_is_asked_and_below_it_nobody() -> None:
    seen: list[str] = []

    def ask(proposal: Proposal) -> Decision:
        seen.append(proposal.run_id)
        return Stop()

    over = Over("50c", ask)
    assert over.amount == Decimal("0.5")
    assert over(costing("0.50")) == Go()
    assert over(costing("0.51", "dear")) == Stop()
    assert over(costing(None, "unknown")) == Stop()
    assert over(costing("0.01", "dear")) == Stop()  # what came of a plan that was asked about
    assert over(costing("0.01", "cheap")) == Go()
    assert seen == ["dear", "unknown", "dear"]


@pytest.mark.parametrize("amount", ["much", "", -1, float("nan"), True, None])
def test_over_no_amount_is_refused(amount: Any) -> None:
    with pytest.raises(ConfigError, match=r"^Over: .* is no amount of US dollars"):
        Over(amount, lambda _: Go())


@pytest.mark.slow
@pytest.mark.parametrize(("amount", "status"), [("$1", "finished"), (0.000001, "interrupted")])
def test_a_run_is_stopped_only_above_the_amount(amount: Any, status: str) -> None:
    prices = {"sim:x": Price(Decimal("0.1"), Decimal("0.5"))}
    flow = Workflow("sim:x", {"part": "sim:x"}, "sim:x", providers={"sim": FAST}, prices=prices)
    assert flow.run_sync(TASK, approve=Over(amount, lambda _: Stop())).status == status
