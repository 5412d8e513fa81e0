"""What a plan takes live and in batches: both are told to whoever approves it."""

import asyncio
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from stretto import Price, Provider, Role, Simulator, Workflow
from stretto.cli.proposal_table import table, would_take
from stretto.forecast.drawn import Grounds
from stretto.forecast.gate import Work, forecast
from stretto.forecast.history import Batches, History, Kind, batches_of, mark
from stretto.models.simulator import parse_fault
from stretto.proposal import Proposal, Stop
from stretto.store.efforts import Effort, newest_efforts
from stretto.store.schema import PATIENCE
from stretto.store.sqlite import Store
from stretto.types import Definition, Plan, Subtask
from terminal import Terminal, served

TASK = "Compare tea and coffee in exactly 4 subtasks"
LIVE = Definition(Role("x:o"), {"part": Role("x:w")}, Role("x:s"))
WAITS = Definition(Role("x:o"), {"part": Role("x:w", batch=True)}, Role("x:s"))
PRICES = {
    "x:o": Price(Decimal(1), Decimal(1)),
    "x:w": Price(Decimal(8), Decimal(8)),
    "x:s": Price(Decimal(0), Decimal(0)),
}
DAY = 86_400.0


def efforts(model: str, role: Any, type_: str, seconds: float) -> list[Effort]:
    return [Effort(model, role, type_, "", 10, 100, seconds, False)] * 10


KNOWN = [*efforts("x:w", "worker", "part", 2.0), *efforts("x:s", "synthesizer", "", 3.0)]


def told(definition: Definition, *took: float, chain: bool = False, can: bool = True) -> Proposal:
    """The forecast of two subtasks, one after the other if it is a `chain`; earlier batches `took` so many seconds."""
    plan = Plan((Subtask("t1", "part", "One."), Subtask("t2", "part", "Two.", ("t1",) if chain else ())), "complete")
    history = History(KNOWN, (), Batches({("x", False): took} if took else {}))
    return forecast(definition, plan, Work(TASK), Grounds(history, PRICES, batches={"x:w": 0.5} if can else {}))


def test_both_ways_are_told_whichever_it_is_now() -> None:
    live, waits = told(LIVE, 600, 600, 600, 600, 600), told(WAITS, 600, 600, 600, 600, 600)
    for proposal in (live, waits):
        assert proposal.live is not None
        assert proposal.batch is not None
        assert (proposal.live.seconds.p50, proposal.live.seconds.p95) == (5.0, 5.0)
        assert (proposal.batch.seconds.p50, proposal.batch.seconds.p95) == (603.0, 603.0)
        assert proposal.batches == 5
        assert proposal.live.cost is not None
        assert proposal.batch.cost is not None
        assert proposal.batch.cost.p50 * 2 == proposal.live.cost.p50
        assert proposal.batch.tokens == proposal.live.tokens
    assert live.total == live.live
    assert waits.total == waits.batch


def test_without_a_record_a_batch_takes_the_day_that_providers_promise_and_each_further_one_another() -> None:
    one, two = told(LIVE), told(LIVE, chain=True)
    assert one.batch is not None
    assert two.batch is not None
    assert DAY < one.batch.seconds.p95 < DAY + 60
    assert 2 * DAY < two.batch.seconds.p95 < 2 * DAY + 60
    assert one.batches == 0


def test_where_nobody_has_batches_there_is_one_way() -> None:
    proposal = told(LIVE, can=False)
    assert (proposal.live, proposal.batch, proposal.batches) == (None, None, 0)
    assert "in batches" not in table(proposal, 100)


def test_a_table_says_both_and_how_to_take_the_other() -> None:
    text = " ".join(table(told(LIVE), 100).split())
    assert "live: $0.0036, 5.0 s" in text
    assert "in batches (s, then `stretto resume --batch`): $0.0018, 24h00m at most, for providers promise" in text
    text = " ".join(table(told(WAITS, 600, 600, 600, 600, 600), 100).split())
    assert "live (s, then `stretto resume --no-batch`): $0.0036, 5.0 s" in text
    assert "in batches: $0.0018, 10m03s, as 5 batches of this store took" in text
    assert list(would_take(told(LIVE)))[1].startswith("live: ")


def workflow(url: str, store: Path, *, batch: bool) -> Workflow[Any]:
    provider = Provider(url, batches="openai", batch_price=0.5)
    prices = {"mine:x": Price(Decimal(10), Decimal(10))}
    return Workflow(
        "mine:x", {"part": "mine:x"}, "mine:x", providers={"mine": provider}, prices=prices, store=store, batch=batch
    )


def test_a_store_tells_what_its_batches_took_and_their_calls_tell_nothing_of_live_ones(tmp_path: Path) -> None:
    store, kind = tmp_path / "s.db", Kind("mine:x", "worker", "part")
    fault = parse_fault("expired once role=worker rate=0.5")
    with served(Simulator(ttft=0.0, tokens_per_second=1e6, batch=0.0, faults=(fault,))) as (url, _):
        workflow(url, store, batch=True).run_sync(TASK.replace("4", "12"))
        (run,) = Store(store).recent(1)
        sent, found = [call for call in run.calls if call.batch], batches_of(store, PATIENCE)
        assert len(sent) == 12
        assert 0 < sum(bool(call.retries) for call in sent) < 12
        assert {key: len(took) for key, took in found.seconds.items()} == {("mine", True): 1}
        efforts = newest_efforts(store)
        assert sum(mark(effort) in found.marks for effort in efforts) == 12
        assert len(History(efforts, {"mine"}, found).batches("mine:x")) == 1
        workflow(url, store, batch=False).run_sync(TASK.replace("tea", "milk"))
        efforts, found = newest_efforts(store), batches_of(store, PATIENCE)
    assert len(History(efforts, {"mine"}).like(kind)) == 16
    assert len(History(efforts, {"mine"}, found).like(kind)) == 4


def test_a_batch_with_calls_of_several_runs_is_one_batch(tmp_path: Path) -> None:
    async def both(url: str) -> None:
        flow = workflow(url, tmp_path / "s.db", batch=True)
        await asyncio.gather(flow.run(TASK), flow.run(TASK.replace("tea", "milk")))

    with served(Simulator(ttft=0.0, tokens_per_second=1e6, batch=0.0)) as (url, _):
        asyncio.run(both(url))
    batches = {call.batch for run in Store(tmp_path / "s.db").recent(2) for call in run.calls} - {""}
    assert len(batches_of(tmp_path / "s.db", PATIENCE).seconds["mine", True]) == len(batches)


@pytest.mark.slow
def test_who_approves_a_run_is_told_both_with_what_earlier_batches_took(tmp_path: Path) -> None:
    seen: list[Proposal] = []

    def look(proposal: Proposal) -> Stop:
        seen.append(proposal)
        return Stop()

    with served(Simulator(ttft=0.0, tokens_per_second=1e6, batch=0.0)) as (url, _):
        workflow(url, tmp_path / "s.db", batch=False).run_sync(TASK, approve=look)
        workflow(url, tmp_path / "s.db", batch=True).run_sync(TASK)
        workflow(url, tmp_path / "s.db", batch=True).run_sync(TASK, approve=look)
    before, after = seen
    assert (before.batches, after.batches) == (0, 1)
    assert before.batch is not None
    assert before.total == before.live
    assert before.batch.seconds.p95 > DAY
    assert after.batch is not None
    assert after.total == after.batch
    assert after.batch.seconds.p95 < DAY


def test_a_plan_that_is_only_written_says_what_it_would_take_both_ways(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path)
    with served(Simulator(ttft=0.0, tokens_per_second=1e6)) as (url, _):
        terminal.write(
            "flow.toml",
            '[orchestrator]\nmodel = "mine:x"\n[workers.part]\nmodel = "mine:x"\n[synthesizer]\nmodel = "mine:x"\n'
            f'[providers.mine]\nbase_url = "{url}"\nbatches = "openai"\n',
        )
        done = terminal("plan", "-w", "./flow.toml", TASK)
    assert done.code == 0, done.err
    told = " ".join(done.err.split())
    assert "forecast 5 calls, " in told
    assert "forecast live: at an unknown cost, " in told
    assert "forecast in batches (`stretto resume --batch`): at an unknown cost, 24h" in told


def test_and_one_way_where_there_is_one(tmp_path: Path) -> None:
    done = Terminal(tmp_path)("plan", "-m", "sim:instant", TASK)
    (line,) = [line for line in done.err.splitlines() if " forecast " in line]
    assert "5 calls, " in line


def test_what_a_rerun_would_cost_is_told_at_the_price_of_the_way_it_goes(tmp_path: Path) -> None:
    prices, store = {"openai:x": Price(Decimal(10), Decimal(10))}, tmp_path / "s.db"
    simulator = {"openai": Simulator(ttft=0.0, tokens_per_second=1e6)}
    first = Workflow("openai:x", {"part": "openai:x"}, "openai:x", providers=simulator, prices=prices, store=store)
    run = first.run_sync(TASK)

    def cost(name: str, *, batch: bool) -> Decimal:
        flow = Workflow("openai:x", {"part": "openai:x"}, "openai:x", prices=prices, store=store, batch=batch)
        (line,) = [line for line in asyncio.run(flow.explain(run.id, fresh=(name,))) if line.name == name]
        assert line.fate == "new"
        return line.cost or Decimal(0)

    assert cost("t1", batch=True) == cost("t1", batch=False) / 2 > 0
    assert cost("synthesizer", batch=True) == cost("synthesizer", batch=False) > 0
