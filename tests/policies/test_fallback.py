"""Fallback: where one model fails, the next one is asked, and the run says so."""

from collections.abc import Callable

import pytest

from models import Scripted, call, listen, outcome
from stretto import Usage
from stretto.calls import Call, Chunk, Done, Notice, Reasoning, Restarted, Sent, Text
from stretto.errors import (
    AuthError,
    BudgetError,
    CallError,
    CallTimeout,
    CircuitOpen,
    CutError,
    QuotaError,
    RateLimited,
    ReplyError,
    RequestError,
    ServerError,
    StoreError,
)
from stretto.events import RunDegraded
from stretto.policies.fallback import Fallback
from virtual import virtually

FIRST, SECOND, THIRD = "sim:x", "groq:B", "openai:C"
PRICES = {FIRST: 3, SECOND: 1, THIRD: 2}


def good(*_: object) -> list[str]:
    return ["Hello"]


def failing(error: CallError) -> Scripted:
    return Scripted(lambda *_: [error])


def within(tokens: int) -> Scripted:
    """A model whose budget does not allow for a whole reply."""
    return Scripted(lambda asked, _: [f"{tokens} tokens" if asked.shorten else BudgetError("no money left")])


def cheaper(this: str, that: str) -> bool:
    return PRICES[that] < PRICES[this]


def chain(*models: Scripted, cheaper: Callable[[str, str], bool] | None = None) -> Fallback:
    choices = list(zip((FIRST, SECOND, THIRD), models, strict=False))
    return Fallback(choices, cheaper) if cheaper else Fallback(choices)


def degraded(chunks: list[Chunk] | CallError) -> list[str]:
    assert isinstance(chunks, list)
    events = [chunk.event for chunk in chunks if isinstance(chunk, Notice)]
    return [f"{event.policy}: {event.reason}" for event in events if isinstance(event, RunDegraded)]


def test_the_first_choice_is_asked_alone_as_long_as_it_answers() -> None:
    first, second = Scripted(good), Scripted(good)
    chunks = virtually(listen(chain(first, second), call()))
    assert chunks == [Sent(), Text("Hello"), Done("stop", Usage(1, 1))]
    assert not second.calls


@pytest.mark.parametrize(
    "error",
    [ServerError, CallTimeout, RequestError, ReplyError, AuthError, QuotaError, RateLimited, CircuitOpen, CutError],
)
def test_where_it_fails_the_next_one_is_asked_and_the_run_says_so(error: type[CallError]) -> None:
    second = Scripted(good)
    chunks = virtually(listen(chain(failing(error("it broke")), second), call()))
    assert degraded(chunks) == ["fallback: sim:x: it broke; asked groq:B instead"]
    assert chunks[-1] == Done("stop", Usage(1, 1), asked=SECOND)


def test_the_next_one_is_asked_by_its_own_name_under_the_identity_of_the_first() -> None:
    first, second = failing(ServerError("500")), Scripted(good)
    asked = call()
    virtually(listen(chain(first, second), asked))
    assert first.calls == [asked]
    (told,) = second.calls
    assert (told.request.model, told.request.messages) == (SECOND, asked.request.messages)
    assert (told.id, told.fingerprint) == (asked.id, asked.fingerprint)


def test_what_goes_wrong_outside_of_calls_goes_up() -> None:
    second = Scripted(good)
    model = chain(Scripted(lambda *_: [StoreError("disk full")]), second)
    with pytest.raises(StoreError):
        virtually(listen(model, call()))
    assert not second.calls


def test_if_all_fail_the_last_error_goes_up_and_names_each() -> None:
    models = [
        failing(RequestError("too long", status=400)),
        failing(CircuitOpen("left alone")),
        failing(CutError("cut")),
    ]
    error = virtually(outcome(chain(*models), call()))
    assert isinstance(error, CutError)
    assert str(error) == "sim:x: too long; groq:B: left alone; openai:C: cut"
    assert isinstance(error.__cause__, RequestError)


def test_a_model_that_names_itself_is_not_named_twice() -> None:
    error = virtually(
        outcome(chain(failing(ServerError("sim:x: 500")), failing(ServerError("groq:B at url: 502"))), call())
    )
    assert str(error) == "sim:x: 500; groq:B at url: 502"


def test_a_single_choice_raises_its_own_error() -> None:
    failure = ServerError("500")
    error = virtually(outcome(chain(failing(failure)), call()))
    assert error is failure
    assert error.__cause__ is None


def test_a_hundred_workers_that_fall_back_say_so_once_for_each_kind_of_failure() -> None:
    def script(asked: Call, _: int) -> list[str | Exception]:
        return [ServerError("500") if asked.request.messages[-1].content < "5" else CallTimeout("late")]

    async def main() -> list[Chunk]:
        model = chain(Scripted(script), Scripted(good))
        return [chunk for n in range(100) for chunk in await listen(model, call(str(n)))]

    assert degraded(virtually(main())) == [
        "fallback: sim:x: 500; asked groq:B instead",
        "fallback: sim:x: late; asked groq:B instead",
    ]


@pytest.mark.parametrize("said", [Text("Hel"), Reasoning("Hm")])
def test_what_was_said_before_it_broke_is_taken_back(said: Chunk) -> None:
    first = Scripted(lambda *_: [said, CutError("cut")])
    chunks = virtually(listen(chain(first, Scripted(good)), call()))
    assert [type(chunk) for chunk in chunks] == [Sent, type(said), Notice, Restarted, Sent, Text, Done]


def test_what_was_taken_back_already_is_not_taken_back_again() -> None:
    first = Scripted(lambda *_: [Text("Hel"), Restarted(), ServerError("500")])
    chunks = virtually(listen(chain(first, Scripted(good)), call()))
    assert chunks.count(Restarted()) == 1


def test_a_plan_of_which_a_part_was_passed_on_is_not_asked_elsewhere() -> None:
    second = Scripted(good)
    first = Scripted(lambda *_: ['{"tasks": [', CutError("cut")])
    assert isinstance(virtually(outcome(chain(first, second), call(role="orchestrator"))), CutError)
    assert not second.calls


def test_a_plan_that_broke_off_before_its_first_letter_is_asked_elsewhere() -> None:
    first = Scripted(lambda *_: [Reasoning("Hm"), CutError("cut")])
    chunks = virtually(listen(chain(first, Scripted(good)), call(role="orchestrator")))
    assert isinstance(chunks[-1], Done)
    assert Restarted() in chunks


def test_short_of_money_the_next_cheaper_choice_is_asked_and_a_dearer_one_is_not() -> None:
    dearer = Scripted(good)
    prices = {FIRST: 2, SECOND: 3, THIRD: 1}
    model = chain(within(1), dearer, Scripted(good), cheaper=lambda this, that: prices[that] < prices[this])
    chunks = virtually(listen(model, call()))
    assert degraded(chunks) == ["fallback: sim:x: no money left; asked openai:C instead"]
    assert not dearer.calls


def test_after_the_cheapest_a_shorter_reply_is_asked_of_it() -> None:
    first, second, third = within(1), within(2), within(3)
    chunks = virtually(listen(chain(first, second, third, cheaper=cheaper), call()))
    assert degraded(chunks) == [
        "fallback: sim:x: no money left; asked groq:B instead",
        "budget: groq:B: no money left; asked for a shorter reply",
    ]
    assert Text("2 tokens") in chunks
    assert [asked.shorten for asked in second.calls] == [False, True]
    assert not third.calls


@pytest.mark.parametrize("others", [0, 1])
def test_where_nothing_is_known_to_be_cheaper_a_shorter_reply_is_asked_of_the_same_model(others: int) -> None:
    chunks = virtually(listen(chain(within(1), *[within(2)] * others), call()))
    assert Text("1 tokens") in chunks
    assert chunks[-1] == Done("stop", Usage(1, 1))


def test_if_not_even_a_shorter_reply_fits_the_error_goes_up() -> None:
    broke = failing(BudgetError("no money left"))
    error = virtually(outcome(chain(broke), call()))
    assert isinstance(error, BudgetError)
    assert str(error) == "no money left"
    assert len(broke.calls) == 2


def test_a_model_that_fails_at_a_shorter_reply_is_left_for_the_next() -> None:
    first = Scripted(lambda asked, _: [ServerError("500") if asked.shorten else BudgetError("no money left")])
    assert Text("2 tokens") in virtually(listen(chain(first, within(2)), call()))
