"""Budgets: what goes out was reserved, what was not used comes back, a run that gets short says what it gives up."""

import asyncio
from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from models import Beat, Scripted, call, listen, outcome
from stretto import Limits, Price, Usage
from stretto.calls import Done, Sent
from stretto.errors import BudgetError, CallTimeout, ConnectError, CutError, RequestError, ServerError, Unreachable
from stretto.policies.account import Account
from stretto.policies.budget import Budget
from stretto.policies.prices import Prices
from stretto.policies.spending import Amount, Wish
from virtual import virtually

PRICE = Price(Decimal(1), Decimal(10))


def limits(**facts: Any) -> Limits:
    return Limits(**facts)


def paid(model: Scripted, account: Account, price: Price | None = PRICE) -> Budget:
    prices = Prices()
    prices.known["sim:x"] = price
    return Budget(model, "sim:x", account, prices, 8)


def wish(output: int = 100, *, role: str = "worker", shorten: bool = False, rank: tuple[float, ...] = ()) -> Wish:
    return Wish(role, 0, output, PRICE, max(64, output // 4), rank, shorten)  # type: ignore[arg-type]


# -- the account


def test_what_does_not_fit_waits_until_others_have_settled() -> None:
    async def main() -> None:
        account = Account(limits(tokens=250))
        first, second = wish(), wish()
        assert await account.reserve(first) == await account.reserve(second) == 100
        third = asyncio.create_task(account.reserve(wish()))
        await asyncio.sleep(1)
        assert not third.done()
        account.release(first)
        account.settle("c1", "", Usage(0, 40), PRICE, lost=False)
        assert await third == 100
        assert account.spent == Amount(Decimal("0.0004"), 40)

    virtually(main())


def test_what_is_denser_than_reckoned_is_learned_once_however_many_tell_it() -> None:
    account, request = Account(limits(tokens=250)), call().request
    reckoned = account.asked("sim:x", request)
    for _ in range(3):  # that left together, and were reckoned alike
        account.counted("sim:x", request, 5 * reckoned)
    assert account.asked("sim:x", request) == 5 * reckoned


def test_it_is_short_only_once_nothing_is_outstanding() -> None:
    async def main() -> None:
        account = Account(limits(tokens=150))
        first = wish()
        await account.reserve(first)
        second = asyncio.create_task(account.reserve(wish()))
        await asyncio.sleep(1)
        assert not second.done()
        account.release(first)
        account.settle("c1", "", Usage(0, 100), PRICE, lost=False)
        with pytest.raises(BudgetError, match="as many as 100, and of 150 only 50 are left; raise tokens, or"):
            await second

    virtually(main())


def test_what_is_left_goes_to_what_is_worth_most() -> None:
    async def main() -> None:
        account = Account(limits(tokens=150))
        account.spent = Amount(Decimal(0), 100)  # so little is left that it matters who gets it
        order: list[str] = []

        async def ask(name: str, rank: tuple[float, ...]) -> None:
            try:
                await account.reserve(wish(50, rank=rank))
                order.append(name)
            except BudgetError:
                order.append(f"no {name}")

        async with asyncio.TaskGroup() as group:
            for name, rank in [("plain", (0.0,)), ("best", (-5.0,)), ("good", (-3.0,))]:
                group.create_task(ask(name, rank))
            await asyncio.sleep(1)
            account.release(wish(50))
            account.settle("c1", "", Usage(0, 60), PRICE, lost=False)
        assert order == ["best", "no good", "no plain"]

    virtually(main())


def test_who_would_take_less_shares_what_is_left() -> None:
    async def main() -> None:
        account = Account(limits(tokens=2000))
        wishes = [wish(1000, shorten=True, rank=(float(n),)) for n in range(5)]
        assert await asyncio.gather(*map(account.reserve, wishes)) == [400, 400, 400, 400, 400]

    virtually(main())


def test_who_gets_nothing_of_it_waits_for_what_is_left_over_and_is_short_only_then() -> None:
    async def main() -> None:
        account = Account(limits(tokens=900))
        asked = wish(1000, shorten=True)
        waiting = [asyncio.create_task(account.reserve(asked)) for _ in range(5)]
        await asyncio.sleep(1)
        assert [each.result() for each in waiting if each.done()] == [250, 250, 250]
        for used in (50, 250, 250):  # then 350 are left, for one more
            account.release(asked)
            account.settle("c1", "", Usage(0, used), PRICE, lost=False)
        assert await waiting[3] == 250
        account.release(asked)
        account.settle("c1", "", Usage(0, 250), PRICE, lost=False)
        with pytest.raises(BudgetError):
            await waiting[4]

    virtually(main())


def test_what_the_synthesis_needs_is_set_aside_and_grows_with_the_results() -> None:
    async def main() -> None:
        account = Account(limits(tokens=3000))
        account.set_aside(100, 1000, PRICE)  # 100 for its prompt, 1000 for its reply
        big = wish(800)  # 800, and up to 1200 more in the synthesizer's prompt
        with pytest.raises(BudgetError, match=r"as many as 800, 2,300 are kept"):
            await account.reserve(big)
        fitting = wish(700)
        assert await account.reserve(fitting) == 700
        account.release(fitting)
        account.settle("c1", "", Usage(0, 700), PRICE, lost=False)
        account.keep("x" * 3000)
        assert await account.reserve(wish(2300, role="synthesizer")) == 2300

    virtually(main())


def test_who_is_cancelled_while_waiting_or_just_granted_leaves_nothing_reserved() -> None:
    async def main() -> None:
        account = Account(limits(tokens=100))
        held = wish()
        await account.reserve(held)
        waiting = asyncio.create_task(account.reserve(wish()))
        await asyncio.sleep(0)
        account.release(held)
        await asyncio.sleep(0)  # granted, and not awake yet
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert await account.reserve(wish()) == 100

    virtually(main())


# -- the policy


def test_an_attempt_reserves_its_worst_case_and_settles_what_it_used() -> None:
    async def main() -> None:
        account = Account(limits(budget=Decimal(1)))
        model = Scripted(lambda _c, _n: ["Hello", Done("stop", Usage(7, 5))])
        chunks = await listen(paid(model, account), call("x" * 300))
        assert chunks[0] == Sent(Usage(108, 4096), Decimal("0.041068"))
        assert model.calls[0].request.options == {"max_tokens": 4096}
        assert account.spent == Amount(Decimal("0.000057"), 12)
        bill = account.bill("c1")
        assert (bill.cost, bill.lost) == (Decimal("0.000057"), Usage())

    virtually(main())


def test_a_limit_the_call_has_itself_is_kept_under_its_own_name() -> None:
    async def main() -> None:
        model = Scripted(lambda _c, _n: ["Hello"])
        asked = call()
        for key in ("max_tokens", "max_completion_tokens"):
            given = replace(asked, request=replace(asked.request, options={key: 50}))
            await listen(paid(model, Account(limits(tokens=1000))), given)
            assert model.calls[-1].request.options == {key: 50}

    virtually(main())


def test_without_a_budget_nothing_is_changed_and_the_cost_is_known_all_the_same() -> None:
    async def main() -> None:
        account = Account(limits())
        model = Scripted(lambda _c, _n: ["Hello", Done("stop", Usage(7, 5))])
        assert (await listen(paid(model, account), call()))[0] == Sent()
        assert model.calls[0].request.options == {}
        assert account.bill("c1").cost == Decimal("0.000057")

    virtually(main())


def test_an_unknown_price_is_unknown_and_not_nothing() -> None:
    async def main() -> None:
        account = Account(limits())
        await listen(paid(Scripted(lambda _c, _n: ["Hello"]), account, None), call())
        assert account.bill("c1").cost is None

    virtually(main())


@pytest.mark.parametrize(
    ("stream", "error", "lost"),
    [
        (True, CutError("cut"), Usage(108, 8)),  # what was heard, and a piece as long behind it
        (False, CutError("cut"), Usage(108, 4096)),  # nobody knows how far it came
        (True, CallTimeout("late"), Usage(108, 4096)),  # nor what was written behind the silence
        (True, RequestError("no"), Usage()),  # a refused request costs nothing
        (False, ServerError("500"), Usage()),
        (False, ConnectError("reset"), Usage(108)),  # no reply began
        (False, Unreachable("nothing listens there"), Usage()),  # nothing was sent
    ],
)
def test_a_failed_attempt_settles_at_its_estimate(stream: bool, error: Exception, lost: Usage) -> None:
    async def main() -> None:
        account = Account(limits(tokens=10_000))
        said: list[Beat] = ["a" * 12, error] if lost.output_tokens else [error]
        await outcome(paid(Scripted(lambda _c, _n: said), account), call("x" * 300, stream=stream))
        assert account.bill("c1").lost == lost
        assert account.spent.tokens == lost.input_tokens + lost.output_tokens

    virtually(main())


def test_a_call_that_is_given_up_is_paid_as_far_as_it_was_heard() -> None:
    async def main() -> None:
        account = Account(limits(tokens=10_000))
        model = paid(Scripted(lambda _c, _n: ["a" * 12, 60.0]), account)
        listening = asyncio.create_task(listen(model, call("x" * 300)))
        await asyncio.sleep(1)
        listening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await listening
        assert account.spent.tokens == 116
        assert await account.reserve(wish(9884)) == 9884

    virtually(main())


@pytest.mark.parametrize("unheard", [0, 900])
def test_a_model_that_thinks_unheard_is_not_asked_for_a_shorter_reply(unheard: int) -> None:
    """It thinks as long as it likes, whatever its limit is, and is paid for that."""

    async def main() -> None:
        account = Account(limits(tokens=2700))
        model = paid(Scripted(lambda _c, _n: ["a" * 3000, Done("stop", Usage(108, 1000 + unheard))]), account)
        asked = call("x" * 300)
        asked = replace(asked, request=replace(asked.request, options={"max_tokens": 1000}), shorten=True)
        assert isinstance(await outcome(model, asked), list)
        left = 2700 - account.spent.tokens
        assert left - (0 if unheard else 1000) > 108 + 250
        if not unheard:
            await listen(model, asked)
        assert isinstance(await outcome(model, asked), BudgetError) == bool(unheard)

    virtually(main())


def test_a_call_that_never_left_costs_nothing() -> None:
    async def main() -> None:
        account = Account(limits(tokens=5000))
        with pytest.raises(BudgetError):
            await listen(paid(Scripted(lambda _c, _n: ["x"]), account), call("x" * 30_000))
        assert account.spent.tokens == 0

    virtually(main())


def test_a_reply_that_meets_the_limit_of_the_budget_says_so() -> None:
    async def main() -> None:
        account = Account(limits(tokens=3000))
        model = Scripted(lambda _c, _n: ["x", Done("length")])
        chunks = await listen(paid(model, account), replace(call("x" * 300), shorten=True))
        assert model.calls[0].request.options == {"max_tokens": 2892}
        assert isinstance(chunks[-1], Done)
        assert chunks[-1].finish == "shortened"

    virtually(main())
