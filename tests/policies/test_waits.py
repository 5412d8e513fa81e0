"""Waits: as long as the provider says, in whatever words; none longer than `max_wait`, and none silent."""

import time
from email.utils import formatdate
from typing import Any

import msgspec
import pytest

from models import Scripted, call, listen, outcome
from stretto import errors
from stretto.calls import Done, Notice
from stretto.errors import Loading, RateLimited
from stretto.events import CallRetried
from stretto.models.allowance import allowance
from stretto.models.refusals import refusal
from stretto.policies.governor.gate import Gate
from stretto.policies.governor.lane import Lane
from stretto.policies.governor.queue import Governor, Queue
from stretto.policies.limit import Limit
from stretto.types import Allowance, Quota
from virtual import clock, virtually

NOW = time.time()


def refused(status: int, message: Any, headers: dict[str, str] | None = None, **more: Any) -> errors.CallError:
    body = msgspec.json.encode({"error": {"message": message, **more}}).decode()
    return refusal(status, headers or {}, body, "x:tea")


def resets(at: float) -> dict[str, Any]:
    return {"headers": {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(int(at * 1000))}}


@pytest.mark.parametrize(
    ("error", "seconds"),
    [
        *[(refused(429, "Slow", {"retry-after": text}), each) for text, each in
          [("2s", 2), ("1m30s", 90), ("500ms", 0.5), ("20 seconds", 20), ("in 2 minutes", 120)]],
        *[(refused(429, text), each) for text, each in [
            ("Slow down; in 20 seconds you may go on", 20),
            ("Rate limit of 50000 per 60s exceeded. Please wait 3 seconds before retrying.", 3),
            ("Try again in 1 minute and 5 seconds", 65), ("limit: 10 requests in 60 seconds", None),
            ("Requests per day (RPD): Limit 200, Used 200, Requested 1. Please try again in 7m12s.", 432),
        ]],
        (refused(429, "Slow", retry_after_ms=1500), 1.5),
        (refused(429, "Slow", {"retry-after": formatdate(NOW + 3630, usegmt=True),
                               "date": formatdate(NOW + 3600, usegmt=True)}), 30),
        (refused(429, "Slow", {"ratelimit": '"default";r=0;t=50'}), 50),
        (refused(429, "Slow", {"ratelimit": "limit=100, remaining=0, reset=51"}), 51),
        (refused(429, "Slow", {"ratelimit-remaining": "0", "ratelimit-reset": "17"}), 17),
        (refused(429, "Slow", {"x-ratelimit-remaining-tokens-minute": "0",
                               "x-ratelimit-reset-tokens-minute": "12.5"}), 12.5),
        (refused(429, "free-models-per-day", code=429, metadata=resets(NOW + 72_000)), 72_000),
    ],
)  # fmt: skip
def test_a_wait_is_understood_in_whatever_words_it_is_told(error: errors.CallError, seconds: float | None) -> None:
    assert type(error) is RateLimited
    assert error.retry_after == (None if seconds is None else pytest.approx(seconds, abs=120 if seconds > 9999 else 1))


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (refused(429, "Rate limit exceeded: free-models-per-day"), errors.QuotaError),
        (
            refused(429, "Request too large for tea on tokens per min (TPM): Limit 10, Requested 14"),
            errors.ContextError,
        ),
        (refused(429, "on tokens per min (TPM): Limit 10000, Requested 14000"), errors.ContextError),
        (refused(429, "on tokens per min (TPM): Limit 10000, Used 9000, Requested 1400"), RateLimited),
        (refused(503, "Loading model"), Loading),
        (refused(503, "Model x is currently loading", estimated_time=20.0), Loading),
        (refused(503, "overloaded"), errors.ServerError),
    ],
)
def test_what_waiting_cures_is_told_from_what_it_does_not(error: errors.CallError, kind: type) -> None:
    assert type(error) is kind


def test_limits_are_read_in_the_words_of_the_standard_and_by_the_minute() -> None:
    told = {"ratelimit-limit": "100", "ratelimit-remaining": "9", "ratelimit-reset": "30"}
    assert allowance(told) == Allowance(Quota(100, 9, 30))
    told = {f"x-ratelimit-{what}-tokens-minute": "600" for what in ("limit", "remaining")}
    assert allowance(told) == Allowance(None, Quota(600, 600))


def at_desk(model: Scripted, max_wait: float) -> Limit:
    return Limit(model, Queue(Governor(), Gate(), Lane(Gate())), max_wait)


USED_UP = Allowance(Quota(1000, 0, 7200.0))


def test_a_limit_that_headers_tell_holds_nobody_longer_than_max_wait() -> None:
    async def main() -> None:
        model = at_desk(Scripted(lambda *_: [USED_UP, "Hello"]), 5)
        await listen(model, call())
        error = await outcome(model, call("again"))
        assert isinstance(error, RateLimited)
        assert "longer than max_wait = 5 s" in str(error)
        assert clock() == 0

    virtually(main())


def test_a_long_wait_for_a_limit_that_headers_tell_is_told_once() -> None:
    async def main() -> None:
        model = at_desk(Scripted(lambda *_: [USED_UP, "Hello"]), 900)
        await listen(model, call())
        chunks = await listen(model, call("again"))
        told = [chunk.event for chunk in chunks if isinstance(chunk, Notice)]
        assert [isinstance(each, CallRetried) and each.rate_limited for each in told] == [True]
        assert isinstance(told[0], CallRetried)
        assert clock() == pytest.approx(told[0].wait, abs=1)
        assert isinstance(chunks[-1], Done)

    virtually(main())


@pytest.mark.parametrize(("loads", "max_wait"), [(60, 90), (60, 30)])
def test_a_model_that_is_being_loaded_is_waited_for_as_long_as_max_wait(loads: float, max_wait: float) -> None:
    async def main() -> None:
        script = Scripted(lambda *_: [Loading("503 Loading model", status=503)] if clock() < loads else ["Hello"])
        found = await outcome(at_desk(script, max_wait), call())
        assert isinstance(found, Loading | RateLimited) == (max_wait < loads)
        assert clock() <= max(max_wait, loads)

    virtually(main())
