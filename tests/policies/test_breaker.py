"""Breaker: a model that fails again and again is left alone for a while, then tried with one call."""

import asyncio
from collections.abc import Iterable
from contextlib import aclosing

import pytest
from msgspec.structs import replace

from models import Beat, Scripted, call, listen, outcome
from stretto.calls import Chunk, Done, Model, Sent
from stretto.errors import (
    AuthError,
    BudgetError,
    CallError,
    CallTimeout,
    CircuitOpen,
    ConnectError,
    CutError,
    RateLimited,
    RequestError,
    ServerError,
)
from stretto.policies.breaker import Breaker, Circuit
from stretto.policies.fallback import Fallback
from stretto.policies.retry import Retry
from virtual import clock, virtually

DOWN = (ServerError, ConnectError, CallTimeout)


def down_until(moment: float, takes: float = 0.0) -> Scripted:
    """A model that fails what is sent before this time."""

    def script(*_: object) -> Iterable[Beat]:
        return [takes, ServerError("500") if clock() < moment else "Hello"]

    return Scripted(script)


def following(said: dict[str, list[Beat]]) -> Scripted:
    """A model that does as the prompt's first word says."""
    return Scripted(lambda asked, _: said[asked.request.messages[-1].content.split()[0]])


async def ask(model: Model, text: str = "Hello") -> str:
    """What came of it: `done`, or the name of the error."""
    came = await outcome(model, call(text))
    return type(came).__name__ if isinstance(came, CallError) else "done"


async def often(model: Model, times: int) -> list[str]:
    return [await ask(model) for _ in range(times)]


@pytest.mark.parametrize("error", DOWN)
def test_after_five_failures_in_a_row_nothing_is_sent_any_more(error: type[CallError]) -> None:
    model = Scripted(lambda *_: [error("no")])
    came = virtually(often(Breaker(model, Circuit("sim:x")), 8))
    assert came == [error.__name__] * 5 + ["CircuitOpen"] * 3
    assert len(model.calls) == 5


def test_it_says_what_was_wrong_and_for_how_long_it_is_left_alone() -> None:
    async def main() -> CallError:
        breaker = Breaker(Scripted(lambda *_: [ServerError("sim:x: 500")]), Circuit("sim:x", failures=1))
        await ask(breaker)
        await asyncio.sleep(10)
        error = await outcome(breaker, call())
        assert isinstance(error, CircuitOpen)
        return error

    error = virtually(main())
    assert str(error) == "sim:x: left alone for 20 s, having failed again and again: sim:x: 500"
    assert error.retry_after == pytest.approx(20)


@pytest.mark.parametrize("error", [RateLimited, RequestError, AuthError, BudgetError, CutError])
def test_what_speaks_not_against_the_model_opens_nothing(error: type[CallError]) -> None:
    model = Scripted(lambda *_: [error("no")])
    virtually(often(Breaker(model, Circuit("sim:x")), 20))
    assert len(model.calls) == 20


def test_a_success_in_between_begins_the_row_anew() -> None:
    model = Scripted(lambda _, nth: [1.0, "Hello"] if nth % 5 == 4 else [1.0, ServerError("500")])
    virtually(often(Breaker(model, Circuit("sim:x")), 20))
    assert len(model.calls) == 20


def test_after_the_pause_one_call_tries_it_and_the_others_are_kept_out_until_it_is_back() -> None:
    async def main() -> None:
        model = down_until(1.0, takes=1.0)
        breaker = Breaker(model, Circuit("sim:x", failures=1))
        await ask(breaker)
        await asyncio.sleep(30)
        assert sorted(await asyncio.gather(*(ask(breaker) for _ in range(10)))) == ["CircuitOpen"] * 9 + ["done"]
        assert await asyncio.gather(*(ask(breaker) for _ in range(10))) == ["done"] * 10

    virtually(main())


def test_if_the_trial_fails_the_pause_doubles_up_to_five_minutes_and_begins_anew_after_a_success() -> None:
    async def main() -> None:
        model = down_until(2000.0)
        breaker = Breaker(model, Circuit("sim:x", failures=1))
        while await ask(breaker) != "done":
            await asyncio.sleep(0.5)
        pauses = [after - before for before, after in zip(model.sent_at, model.sent_at[1:], strict=False)]
        assert pauses == pytest.approx([30, 60, 120, 240, 300, 300, 300, 300, 300, 300], abs=1)

        model._script = lambda *_: [ServerError("500")]
        await ask(breaker)
        tried = len(model.calls)
        await asyncio.sleep(30)
        await ask(breaker)
        assert len(model.calls) == tried + 1

    virtually(main())


@pytest.mark.parametrize("how", ["cancelled", "closed", "refused"])
def test_a_trial_that_ends_without_telling_anything_leaves_its_place_to_the_next(how: str) -> None:
    async def main() -> None:
        model = following(
            {"bad": [ServerError("500")], "slow": [100.0, "Hello"], "no": [RequestError("400")], "good": ["Hello"]}
        )
        breaker = Breaker(model, Circuit("sim:x", failures=1))
        await ask(breaker, "bad")
        await asyncio.sleep(30)
        if how == "cancelled":
            trial = asyncio.create_task(ask(breaker, "slow"))
            await asyncio.sleep(1)
            trial.cancel()
            await asyncio.wait([trial])
        elif how == "closed":
            async with aclosing(breaker.stream(call("slow"))) as chunks:
                assert await anext(chunks) == Sent()
        else:
            assert await ask(breaker, "no") == "RequestError"
        assert await ask(breaker, "good") == "done"
        assert model.in_flight == 0

    virtually(main())


def test_what_was_sent_before_an_answered_request_and_fails_after_it_opens_nothing() -> None:
    async def main() -> None:
        model = following({"hangs": [600.0, CallTimeout("late")], "good": [1.0, "Hello"]})
        breaker = Breaker(model, Circuit("sim:x"))
        hanging = [asyncio.create_task(ask(breaker, f"hangs {n}")) for n in range(20)]
        await asyncio.sleep(10)
        assert await ask(breaker, "good") == "done"
        assert [await each for each in hanging] == ["CallTimeout"] * 20
        assert await ask(breaker, "good") == "done"

    virtually(main())


def test_a_late_success_of_what_was_sent_before_the_failures_closes_nothing() -> None:
    async def main() -> None:
        model = following({"slow": [10.0, "Hello"], "bad": [ServerError("500")]})
        circuit = Circuit("sim:x")
        breaker = Breaker(model, circuit)
        slow = asyncio.create_task(ask(breaker, "slow"))
        await asyncio.sleep(1)
        await often_bad(breaker)
        assert circuit.open
        assert await slow == "done"
        assert circuit.open

    async def often_bad(breaker: Breaker) -> None:
        for _ in range(5):
            await ask(breaker, "bad")

    virtually(main())


def test_a_few_failures_that_come_back_first_of_a_burst_open_nothing() -> None:
    async def main() -> None:
        model = following({"bad": [0.1, ServerError("500")], "good": [5.0, "Hello"]})
        circuit = Circuit("sim:x")
        breaker = Breaker(model, circuit)
        burst = asyncio.gather(*(ask(breaker, f"bad {n}" if n % 10 == 0 else f"good {n}") for n in range(100)))
        await asyncio.sleep(1)
        assert not circuit.open
        assert (await burst).count("done") == 90

    virtually(main())


def test_a_burst_that_fails_opens_it_before_all_of_it_is_back() -> None:
    async def main() -> None:
        model = following({"bad": [0.1, ServerError("500")]})
        circuit = Circuit("sim:x")
        await asyncio.gather(*(ask(Breaker(model, circuit), f"bad {n}") for n in range(100)))
        assert circuit.open

    virtually(main())


def test_what_does_not_guard_is_always_asked_but_its_outcomes_count() -> None:
    async def main() -> None:
        model, circuit = down_until(50.0), Circuit("sim:x")
        last, guard = Breaker(model, circuit, guards=False), Breaker(model, circuit)
        assert await often(last, 10) == ["ServerError"] * 10
        assert await ask(guard) == "CircuitOpen"
        await asyncio.sleep(60)
        assert await ask(last) == "done"
        assert await often(guard, 2) == ["done"] * 2

    virtually(main())


def test_a_duplicate_is_never_the_call_that_tries_a_model() -> None:
    async def main() -> None:
        model = down_until(1.0)
        breaker = Breaker(model, Circuit("sim:x", failures=1))
        await ask(breaker)
        await asyncio.sleep(30)
        assert isinstance(await outcome(breaker, replace(call(), duplicate=True)), CircuitOpen)
        assert await ask(breaker) == "done"

    virtually(main())


def test_what_is_sent_again_after_a_rate_limit_is_one_request_under_way() -> None:
    async def main() -> None:
        circuit = Circuit("sim:x")
        model = Scripted(lambda *_: [1.0, Sent(), 1.0, Sent(), ServerError("500")])
        await ask(Breaker(model, circuit))
        assert circuit._under_way == 0

    virtually(main())


@pytest.mark.parametrize("moment", [0.5 * n for n in range(12)])
def test_cancelled_at_any_moment_it_forgets_what_was_under_way(moment: float) -> None:
    async def main() -> None:
        model, circuit = down_until(3.0, takes=1.0), Circuit("sim:x", failures=1, pause=1)
        breaker = Breaker(model, circuit)

        async def on_and_on(number: int) -> None:
            while True:
                await ask(breaker, str(number))
                await asyncio.sleep(0.25)

        tasks = [asyncio.create_task(on_and_on(n)) for n in range(5)]
        await asyncio.sleep(moment)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        assert (circuit._under_way, circuit._trial, model.in_flight) == (0, None, 0)

    virtually(main())


def test_behind_retry_an_open_circuit_leads_to_the_next_choice_at_once() -> None:
    async def main() -> None:
        first, second = Scripted(lambda *_: [ServerError("500")]), Scripted(lambda *_: ["Hello"])
        choices: list[tuple[str, Model]] = [
            ("sim:x", Retry(Breaker(first, Circuit("sim:x")), 4)),
            ("sim:y", Retry(Breaker(second, Circuit("sim:y"), guards=False), 4)),
        ]
        model = Fallback(choices)
        for n in range(50):
            chunks: list[Chunk] = await listen(model, call(str(n)))
            assert isinstance(chunks[-1], Done)
            assert chunks[-1].asked == "sim:y"
        assert len(first.calls) == 5

    virtually(main())
