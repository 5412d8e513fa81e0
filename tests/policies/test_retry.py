"""Retry: what may pass is asked again, after a wait that spreads, and nothing else is."""

import pytest

from models import Scripted, call, listen, outcome
from stretto.calls import Chunk, Done, Notice, Reasoning, Restarted, Sent, Text
from stretto.errors import (
    AuthError,
    CallTimeout,
    ConnectError,
    CutError,
    EmptyReply,
    QuotaError,
    RateLimited,
    ReplyError,
    RequestError,
    ServerError,
)
from stretto.events import CallRetried
from stretto.policies.retry import Retry
from virtual import clock, virtually


def retries(chunks: list[Chunk]) -> list[CallRetried]:
    return [chunk.event for chunk in chunks if isinstance(chunk, Notice) and isinstance(chunk.event, CallRetried)]


@pytest.mark.parametrize("error", [ServerError, ConnectError, CutError, CallTimeout])
def test_what_may_pass_is_asked_again_until_it_comes_through(error: type[ServerError]) -> None:
    model = Scripted(lambda _, nth: [error("for now")] if nth < 2 else ["Hello"])
    chunks = virtually(listen(Retry(model, 4), call()))
    assert len(model.calls) == 3
    assert [(event.attempt, event.reason, event.rate_limited) for event in retries(chunks)] == [
        (1, "for now", False),
        (2, "for now", False),
    ]
    assert isinstance(chunks[-1], Done)


@pytest.mark.parametrize("errors", [[EmptyReply], [ServerError, EmptyReply], [EmptyReply, ServerError]])
def test_an_empty_reply_is_asked_for_once_more(errors: list[type[ServerError]]) -> None:
    model = Scripted(lambda _, nth: [errors[nth]("no")] if nth < len(errors) else ["Hello"])
    assert isinstance(virtually(listen(Retry(model, 4), call()))[-1], Done)
    assert len(model.calls) == len(errors) + 1


def test_a_model_that_twice_says_nothing_is_not_asked_a_third_time() -> None:
    model = Scripted(lambda *_: [Reasoning("Let me think."), EmptyReply("an empty reply")])
    assert isinstance(virtually(outcome(Retry(model, 9), call())), EmptyReply)
    assert len(model.calls) == 2


@pytest.mark.parametrize("error", [AuthError, QuotaError, RequestError, ReplyError, RateLimited])
def test_what_cannot_pass_is_not_asked_again(error: type[AuthError]) -> None:
    model = Scripted(lambda *_: [error("no")])
    assert isinstance(virtually(outcome(Retry(model, 4), call())), error)
    assert len(model.calls) == 1


@pytest.mark.parametrize("attempts", [1, 2, 5])
def test_after_so_many_attempts_the_last_error_counts(attempts: int) -> None:
    model = Scripted(lambda _, nth: [ServerError(f"number {nth + 1}")])
    assert str(virtually(outcome(Retry(model, attempts), call()))) == f"number {attempts}"
    assert len(model.calls) == attempts


def test_waits_are_spread_over_the_whole_of_a_doubling_range_and_are_really_waited() -> None:
    async def waits() -> list[float]:
        model = Scripted(lambda _, nth: [ServerError("500")] if nth < 9 else ["Hello"])
        chunks = await listen(Retry(model, 10), call())
        assert clock() == pytest.approx(sum(event.wait for event in retries(chunks)), abs=1e-5)
        return [event.wait for event in retries(chunks)]

    many = [virtually(waits()) for _ in range(200)]
    for attempt, bound in enumerate([0.5, 1, 2, 4, 8, 16, 30, 30, 30]):
        drawn = [waits[attempt] for waits in many]
        assert 0 <= min(drawn) < 0.1 * bound
        assert 0.9 * bound < max(drawn) <= bound


def test_a_wait_is_never_shorter_than_the_provider_asked_for() -> None:
    model = Scripted(lambda _, nth: [ServerError("503", retry_after=120.0)] if nth == 0 else ["Hello"])
    (event,) = retries(virtually(listen(Retry(model, 2, max_wait=900), call())))
    assert event.wait == 120.0
    assert model.sent_at == [0.0, 120.0]


def test_an_error_counts_at_once_if_the_provider_asks_for_more_than_max_wait() -> None:
    model = Scripted(lambda *_: [ServerError("503", retry_after=1000.0)])
    assert isinstance(virtually(outcome(Retry(model, 4, max_wait=900), call())), ServerError)
    assert len(model.calls) == 1


@pytest.mark.parametrize("said", [Text("Hel"), Reasoning("Hm")])
def test_what_was_said_before_it_broke_is_taken_back(said: Chunk) -> None:
    model = Scripted(lambda _, nth: [said, CutError("cut")] if nth == 0 else ["Hello"])
    chunks = virtually(listen(Retry(model, 2), call()))
    kinds = [type(chunk) for chunk in chunks]
    assert kinds == [Sent, type(said), Notice, Restarted, Sent, Text, Done]


def test_without_anything_said_there_is_nothing_to_take_back() -> None:
    model = Scripted(lambda _, nth: [ConnectError("reset")] if nth == 0 else ["Hello"])
    assert Restarted() not in virtually(listen(Retry(model, 2), call()))


def test_a_plan_that_breaks_off_is_not_asked_again_here() -> None:
    model = Scripted(lambda *_: ['{"tasks": [', CutError("cut")])
    assert isinstance(virtually(outcome(Retry(model, 4), call(role="orchestrator"))), CutError)
    assert len(model.calls) == 1


@pytest.mark.parametrize("said", [[], [Reasoning("Hm")]])
def test_a_plan_that_broke_off_before_its_first_letter_is_asked_again(said: list[Chunk]) -> None:
    model = Scripted(lambda _, nth: [*said, CutError("cut")] if nth == 0 else ["{}"])
    chunks = virtually(listen(Retry(model, 4), call(role="orchestrator")))
    assert isinstance(chunks[-1], Done)
    assert (Restarted() in chunks) == bool(said)
