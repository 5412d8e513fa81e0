"""Plans in rounds, checks, ensembles, workflows within and citations: over real sockets, as a user asks for them."""

import asyncio
from pathlib import Path

import pytest

from stretto import Input, Limits, Provider, Role, Run, Simulator, Workflow
from stretto.models.simulator import parse_fault
from stretto.server.sim import listening, simulator_app

TASK = "Describe tea in 3 subtasks."
GUIDE = Input("guide.md", "Tea is brewed hot.\nIt keeps for a year.\n")


def workflow(url: str, store: Path | None = None) -> Workflow:
    """Everything at once: a checked worker, an ensemble, and a workflow whose own worker is checked, in rounds."""
    provider = {"local": Provider(base_url=url, local=True)}
    inner = Workflow("local:m", {"detail": Role("local:m", check="figures with units")}, "local:m", providers=provider)
    return Workflow(
        "local:m",
        {
            "plain": Role("local:m", check="nothing left out"),
            "several": Role(models=("local:a", "local:b"), samples=2, merge="best"),
            "deep": inner,
        },
        "local:m",
        providers=provider,
        limits=Limits(rounds=2, attempts=2),
        store=store,
    )


def carried(simulator: Simulator, store: Path | None = None) -> Run:
    async def main() -> Run:
        async with listening(simulator_app(simulator)) as url:
            return await workflow(url, store).run(TASK, inputs=[GUIDE])

    return asyncio.run(main())


def test_everything_at_once_comes_to_an_answer_that_can_be_trusted(tmp_path: Path) -> None:
    run = carried(Simulator(ttft=0.0, tokens_per_second=1e6), tmp_path / "runs.db")
    assert run.coverage.complete
    parts = {call.part for call in run.calls}
    assert {"", "check", "reply 1", "merge", "plan", "answer"} <= parts
    assert {subtask.round for subtask in run.plan.subtasks} == {1, 2}
    checked = [result for id_, result in run.results.items() if _type(run, id_) == "plain"]
    assert checked
    assert all(result.verdict == "holds" for result in checked)
    assert run.citations
    assert run.answer
    assert "[^" not in run.answer
    assert any(citation.source == "i1" and citation.verified for citation in run.citations)


def test_what_fails_its_check_is_done_once_more_and_then_called_doubtful() -> None:
    run = carried(Simulator(ttft=0.0, tokens_per_second=1e6, doubts=1.0))
    plain = [subtask.id for subtask in run.plan.subtasks if subtask.type == "plain"]
    assert {doubtful.subtask for doubtful in run.coverage.doubtful} >= set(plain)
    assert not run.coverage.complete
    asked = [call.part for call in run.calls if call.subtask == plain[0]]
    assert asked == ["", "check", "retry", "second check"]


FAULTS = ["500 always match='was asked for one part of it'", "empty rate=0.2", "429 rate=0.3 retry_after=0.05"]


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_cost_what_they_hit_and_are_told(fault: str) -> None:
    run = carried(Simulator(ttft=0.0, tokens_per_second=1e6, faults=(parse_fault(fault),)))
    assert run.answer
    if "match" in fault:
        assert {doubtful.verdict for doubtful in run.coverage.doubtful} == {"unchecked"}
        plain = [doubtful.remark for doubtful in run.coverage.doubtful if doubtful.type == "plain"]
        assert all("could not be reached" in remark for remark in plain)


def _type(run: Run, subtask: str) -> str:
    return next(each.type for each in run.plan.subtasks if each.id == subtask)
