"""A ceiling is a ceiling: through kills, repetitions, refusals, duplicates and whatever order things happen in."""

import asyncio
import random
from collections.abc import AsyncGenerator
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from drawn import share
from models import Scripted, call, carry, listen, outcome, plan_of
from stretto import Definition, Limits, Price, Role, Run, Simulator, Usage, Workflow
from stretto import events as e
from stretto.calls import Call, Chunk, Done, Notice, Sent, Text
from stretto.errors import BudgetError, CutError, RateLimited
from stretto.fold import fold
from stretto.policies.account import Account, rank_of
from stretto.policies.budget import Budget
from stretto.policies.prices import Prices
from stretto.policies.retry import Retry
from stretto.policies.spending import Amount, Wish
from virtual import virtually

PRICE = Price(Decimal(1), Decimal(10))
LIMITED = Limits(tokens=100_000)


def paid(model: Any, account: Account) -> Budget:
    prices = Prices()
    prices.known["sim:x"] = PRICE
    return Budget(model, "sim:x", account, prices, 8)


def wish(output: int = 100, **facts: Any) -> Wish:
    return Wish(**{"role": "worker", "input": 0, "output": output, "price": PRICE, **facts})


# -- kills


def test_each_request_of_a_call_tells_what_the_call_may_come_to_with_it() -> None:
    """Two attempts that broke off after a few words, and a third one."""
    model = Scripted(lambda _, nth: ["a" * 30, CutError("cut")] if nth < 2 else ["Hello"])
    account = Account(LIMITED)
    chunks = virtually(listen(Retry(paid(model, account), 3, jitter=lambda _, most: most), call("x" * 300)))
    told = [chunk.reserved for chunk in chunks if isinstance(chunk, Sent)]
    assert told == [Usage(108, 4096), Usage(216, 4116), Usage(324, 4136)]


def test_a_call_that_was_killed_costs_what_it_had_lost_and_what_was_set_aside() -> None:
    started = e.CallStarted(
        call="c1", role="worker", subtask=None, fingerprint="f", model="sim:x", reserved=Usage(1, 10),
        reserved_cost=Decimal(1),
    )  # fmt: skip
    more = replace(started, reserved=Usage(2, 15), reserved_cost=Decimal("1.5"))
    retried = e.CallRetried(call="c1", reason="cut", wait=0.0, attempt=1)
    run = fold([e.RunStarted(task="t", workflow={}), started, retried, more, e.RunResumed(workflow={})])
    assert (run.usage, run.cost) == (Usage(2, 15), Decimal("1.5"))
    assert run.calls[0].retries == (retried,)


def test_the_log_tells_of_a_further_request_only_if_the_call_may_come_to_more() -> None:
    plan = plan_of("first")
    scripts = {"orchestrator": [plan], "synthesizer": ["Answer"]}

    def told(error: Exception, said: str, limits: Limits) -> list[e.CallStarted]:
        def script(asked: Call, nth: int) -> list[Any]:
            return [said, error] if asked.role == "worker" and not nth else scripts.get(asked.role, ["Done."])

        definition = Definition(Role("sim:o"), {"part": Role("sim:w", stream=True)}, Role("sim:s"), limits)
        return [event for event in carry(script, definition).only("call_started") if event.role == "worker"]

    assert len(told(CutError("cut"), "a" * 30, LIMITED)) == 2
    assert len(told(RateLimited("429"), "", LIMITED)) == 1
    assert len(told(CutError("cut"), "a" * 30, Limits())) == 1


# -- what an attempt is charged


@pytest.mark.parametrize("stream", [True, False])
def test_a_request_that_was_refused_for_its_rate_costs_nothing(stream: bool) -> None:
    account = Account(LIMITED)
    virtually(outcome(paid(Scripted(lambda *_: [RateLimited("429")]), account), call("x" * 300, stream=stream)))
    assert account.spent == Amount()
    assert account.bill("c1").lost == Usage()


def test_a_request_that_waits_after_a_refusal_costs_nothing_when_it_is_given_up() -> None:
    async def main() -> None:
        account = Account(LIMITED)
        refused = Notice(e.CallRetried(reason="429", wait=60.0, attempt=0, rate_limited=True))
        listening = asyncio.create_task(listen(paid(Scripted(lambda *_: [refused, 60.0]), account), call()))
        await asyncio.sleep(1)
        listening.cancel()
        await asyncio.wait([listening])
        assert account.spent == Amount()
        assert await account.reserve(wish(100_000)) == 100_000

    virtually(main())


@pytest.mark.parametrize("stream", [True, False])
def test_a_reply_whose_usage_nobody_told_counts_as_it_was_heard(stream: bool) -> None:
    """Else it would be free in the next execution."""
    account = Account(LIMITED)
    model = Scripted(lambda *_: ["a" * 30, Done("stop")])
    virtually(listen(paid(model, account), call("x" * 300, stream=stream)))
    assert account.spent.tokens == 118
    assert account.bill("c1").lost == Usage(108, 10)


def test_a_duplicate_that_was_refused_leaves_nothing_of_its_share_taken() -> None:
    async def main() -> None:
        account = Account(Limits(hedge=0.05))
        account.note("worker", Usage(100, 100), PRICE)
        account.settle("c0", "", Usage(1000, 3000), PRICE, lost=False)
        duplicate = replace(call(), duplicate=True)
        assert account.may_hedge([call()])
        again = Notice(e.CallRetried(reason="429", wait=0.0, attempt=0, rate_limited=True))
        for script in ([RateLimited("429")], [again, Sent(), again, RateLimited("429")]):
            await outcome(paid(Scripted(lambda *_, said=script: said), account), duplicate)
            assert account.may_hedge([call()])

    virtually(main())


# -- the account


def test_the_plan_and_the_answer_go_before_the_most_valuable_subtask() -> None:
    valuable = replace(call(), value=5.0)
    ranks = [rank_of(each) for each in (call(role="orchestrator", urgency=0), call(role="synthesizer"), valuable)]
    assert ranks == sorted(ranks)


def test_who_waited_behind_one_that_is_cancelled_is_served() -> None:
    async def main() -> None:
        account = Account(Limits(tokens=250))
        await account.reserve(wish())
        big = asyncio.create_task(account.reserve(wish(200, rank=(0.0,))))
        small = asyncio.create_task(account.reserve(wish(rank=(1.0,))))
        await asyncio.sleep(1)
        assert not small.done()
        big.cancel()
        assert await asyncio.wait_for(small, 1) == 100

    virtually(main())


class Fuzzed:
    """A model that takes its time, breaks, and uses whatever it may at most."""

    def __init__(self, lot: random.Random) -> None:
        self._lot = lot
        self.used = 0

    async def stream(self, asked: Call) -> AsyncGenerator[Chunk, None]:
        await asyncio.sleep(self._lot.uniform(0, 2))
        yield Sent()
        output = self._lot.randint(0, asked.request.options["max_tokens"])
        self.used += 1 + output
        await asyncio.sleep(self._lot.uniform(0, 2))
        if self._lot.random() < 0.1:
            raise RuntimeError("a model that breaks its promise")
        yield Text("x" * 3 * output)
        await asyncio.sleep(self._lot.uniform(0, 2))
        if self._lot.random() < 0.1:
            raise CutError("cut")
        yield Done("stop", Usage(1, output))


@pytest.mark.parametrize("seed", range(60))
def test_nobody_waits_for_ever_nothing_stays_reserved_and_no_limit_is_passed(seed: int) -> None:
    """Calls of all sorts come, wait, break and are cancelled at random."""
    lot = random.Random(seed)
    most = lot.randint(200, 20_000)

    async def main() -> None:
        account, model = Account(Limits(tokens=most)), Fuzzed(lot)
        if lot.random() < 0.5:
            account.set_aside(lot.randint(1, 100), lot.randint(1, 200), PRICE)
        budget = paid(model, account)

        async def one(number: int) -> None:
            await asyncio.sleep(lot.uniform(0, 5))
            asked = replace(call(str(number)), id=f"c{number}", value=lot.choice([None, 1.0, 3.0]))
            asked = replace(asked, request=replace(asked.request, options={"max_tokens": lot.randint(1, 1500)}))
            try:
                await listen(budget, asked)
            except BudgetError:
                await outcome(budget, replace(asked, shorten=True))

        calls = [asyncio.create_task(one(number)) for number in range(40)]
        for doomed in lot.sample(calls, 10):
            asyncio.get_running_loop().call_later(lot.uniform(0, 10), doomed.cancel)
        await asyncio.wait(calls)
        assert account.spent.tokens <= most
        left = most - account.spent.tokens
        assert await account.reserve(wish(left, role="synthesizer")) == left

    virtually(main())


# -- whole runs


def rehearsed(seed: int) -> Run:
    """A run whose budget is too small for a part of its work, at random prices and lengths."""
    lot = random.Random(seed)
    prices = {
        f"sim:{name}": Price(Decimal(lot.randint(5, 500)) / 100, Decimal(lot.randint(10, 3000)) / 100) for name in "pws"
    }
    flow = Workflow(
        "sim:p",
        {"part": Role("sim:w", options=lot.choice([{}, {"max_tokens": lot.randint(50, 600)}]))},
        Role("sim:s", system=lot.choice([None, "Be kind. " * 50]), options=lot.choice([{}, {"max_tokens": 900}])),
        limits=Limits(parallel=16, budget=Decimal(str(round(10 ** lot.uniform(-2.5, 0.2), 5)))),
        providers={
            "sim": Simulator(seed=seed, length=lot.uniform(20, 400), length_spread=lot.uniform(0, 1.5), grain="line")
        },
        prices=prices,
    )

    async def main() -> Run:
        async with flow.stream(f"Describe tea in {lot.randint(2, 60)} subtasks.") as events:
            with suppress(BudgetError):
                await events.finished()
            return events.run

    return virtually(main())


def test_what_workers_got_never_makes_the_answer_unaffordable() -> None:
    """Headings, and a line for each subtask that was skipped, are a part of the synthesizer's prompt as well."""
    runs = [rehearsed(seed) for seed in range(share(80, 12))]
    answered = [run for run in runs if run.status == "finished"]
    assert sum(run.coverage.counts["skipped"] > 0 for run in answered) >= len(runs) // 8
    assert not [run for run in answered if run.coverage.answer == "unmerged"]


def test_an_answer_that_was_paid_for_is_not_paid_again_because_subtasks_are_skipped_again(tmp_path: Path) -> None:
    flow = Workflow(
        "sim:instant",
        {"part": "sim:instant"},
        "sim:instant",
        limits=Limits(tokens=16_000),
        store=tmp_path / "runs.db",
    )

    async def main() -> tuple[Run, Run]:
        first = await flow.run("Describe tea in 40 subtasks.")
        async with flow.resume(first.id) as events:
            return first, await events.finished()

    first, second = asyncio.run(main())
    assert first.coverage.counts["skipped"]
    assert second.coverage.counts == first.coverage.counts
    assert second.answer == first.answer
    assert second.usage == first.usage


def test_a_plan_that_the_deadline_cut_is_asked_for_the_rest_in_the_next_execution() -> None:
    plan = plan_of("first", "second")
    definition = Definition(Role("sim:o"), {"part": Role("sim:w")}, Role("sim:s"), Limits(deadline=10))
    at = plan.index("second") - 20
    cut = carry(lambda asked, _: [plan[:at], 60.0] if asked.role == "orchestrator" else ["Done."], definition)
    assert (cut.run.coverage.plan, list(cut.run.results)) == ("incomplete", ["t1"])
    model = Scripted(lambda asked, _: [plan_of("second")] if asked.role == "orchestrator" else ["Done."])
    history = [event for _, event in cut.events if event.stored]
    resumed = carry(model, history=[*history, e.RunResumed(workflow={})])
    assert resumed.run.coverage.complete
    assert list(resumed.run.results) == ["t1", "t2"]
