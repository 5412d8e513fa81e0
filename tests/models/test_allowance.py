"""What providers write about their limits into headers, read as one form."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from time import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from endpoint import Endpoint, Heard, asking, call, delta, error, http, plain, reply, sse
from loops import on_loop
from stretto.calls import Sent
from stretto.errors import CallError, RateLimited
from stretto.models.allowance import allowance
from stretto.types import Allowance, Quota

NOW = datetime(2026, 11, 22, 20, 0, 0, tzinfo=UTC)
LIMITS = (
    "x-ratelimit-limit-requests: 600\r\nx-ratelimit-remaining-requests: 12\r\nx-ratelimit-reset-requests: 58.8s\r\n"
)
TOLD = Allowance(Quota(600, 12, 58.8))


def openai(reset: str) -> dict[str, str]:
    return {
        "x-ratelimit-limit-requests": "10000",
        "x-ratelimit-remaining-requests": "9999",
        "x-ratelimit-reset-requests": reset,
        "x-ratelimit-limit-tokens": "2000000",
        "x-ratelimit-remaining-tokens": "1999976",
        "x-ratelimit-reset-tokens": "0s",
    }


@pytest.mark.parametrize(
    ("reset", "seconds"), [("6ms", 0.006), ("1s", 1.0), ("6m0s", 360.0), ("2m59.56s", 179.56), ("1h2m3s", 3723.0)]
)
def test_openai_writes_durations(reset: str, seconds: float) -> None:
    told = allowance(openai(reset))
    assert told == Allowance(Quota(10000, 9999, pytest.approx(seconds)), Quota(2e6, 1999976, 0.0))  # type: ignore[arg-type]


def test_groq_counts_requests_by_the_day() -> None:
    told = allowance(
        {
            "x-ratelimit-limit-requests": "14400",
            "x-ratelimit-remaining-requests": "14370",
            "x-ratelimit-reset-requests": "2m59.56s",
            "x-ratelimit-limit-tokens": "18000",
            "x-ratelimit-remaining-tokens": "17997",
            "x-ratelimit-reset-tokens": "7.66s",
        }
    )
    assert told == Allowance(Quota(14400, 14370, 179.56), Quota(18000, 17997, 7.66))


def test_anthropic_names_a_time_on_its_own_clock_and_several_kinds_of_tokens() -> None:
    def told(what: str, limit: int, remaining: int, seconds: float) -> dict[str, str]:
        name = f"anthropic-ratelimit-{what}-"
        reset = (NOW + timedelta(seconds=seconds)).isoformat().replace("+00:00", "Z")
        return {name + "limit": str(limit), name + "remaining": str(remaining), name + "reset": reset}

    headers = {
        "date": format_datetime(NOW, usegmt=True),
        **told("requests", 50, 49, 1),
        **told("tokens", 90000, 80000, 7),
        **told("input-tokens", 50000, 20000, 36),
        **told("output-tokens", 10000, 9000, 6),
    }
    assert allowance(headers) == Allowance(Quota(50, 49, 1.0), Quota(50000, 20000, 36.0))
    assert allowance({**headers, "date": "?"}) == Allowance(Quota(50, 49), Quota(50000, 20000))


def test_together_counts_by_the_second() -> None:
    headers = {
        "x-ratelimit-limit": "10",
        "x-ratelimit-remaining": "9",
        "x-ratelimit-reset": "1",
        "x-tokenlimit-limit": "3000",
        "x-tokenlimit-remaining": "2900",
    }
    assert allowance(headers) == Allowance(Quota(600, 9), Quota(180000, 2900))


def test_openrouter_names_an_epoch_in_milliseconds() -> None:
    reset = str(int((time() + 30) * 1000))
    told = allowance({"x-ratelimit-limit": "20", "x-ratelimit-remaining": "0", "x-ratelimit-reset": reset})
    assert told == Allowance(Quota(20, 0, pytest.approx(30, abs=2)))  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["limit", "remaining"])
@pytest.mark.parametrize("value", ["", "-1", "nan", "inf", "1e300", "ten", "1,000", "\x00"])
def test_nonsense_is_no_limit(name: str, value: str) -> None:
    told = allowance({**openai("1s"), f"x-ratelimit-{name}-requests": value})
    assert told == Allowance(None, Quota(2e6, 1999976, 0.0))


@pytest.mark.parametrize("reset", ["", "soon", "-5", "nan", "1e12h", "99999999s"])
def test_a_reset_that_makes_no_sense_is_left_out(reset: str) -> None:
    told = allowance(openai(reset))
    assert told is not None
    assert told.requests in (Quota(10000, 9999), Quota(10000, 9999, 0.0))


@given(st.dictionaries(st.sampled_from([*openai(""), "x-ratelimit-limit", "x-tokenlimit-limit", "date"]), st.text()))
def test_no_headers_make_an_error(headers: dict[str, str]) -> None:
    allowance(headers)


def test_most_answers_tell_nothing() -> None:
    assert allowance({"content-type": "application/json", "date": "?"}) is None


@on_loop
async def test_a_reply_brings_what_its_headers_tell_before_its_text() -> None:
    body = http(sse(delta("stop", content="Assam")), kind="text/event-stream", headers=LIMITS)
    async with Endpoint(body, http(b"", headers=LIMITS), plain()) as server, asking(server) as model:
        heard = Heard([chunk async for chunk in model.stream(call())])
        assert heard.chunks[:2] == [Sent(), TOLD]
        whole = http(b'{"choices":[{"message":{"content":"A"},"finish_reason":"stop"}]}', headers=LIMITS)
    async with Endpoint(whole, plain()) as server, asking(server) as model:
        assert Heard([chunk async for chunk in model.stream(call(stream=False))]).chunks[:2] == [Sent(), TOLD]
        assert TOLD not in Heard([chunk async for chunk in model.stream(call(stream=False))]).chunks
    assert reply()["choices"]


@pytest.mark.parametrize("status", ["429 Too Many", "503 Overloaded", "400 Bad", "401 No"])
def test_an_error_carries_what_its_headers_tell(status: str) -> None:
    @on_loop
    async def test() -> None:
        async with Endpoint(error(status, "No.", LIMITS)) as server, asking(server) as model:
            with pytest.raises(CallError) as caught:
                [chunk async for chunk in model.stream(call())]
            assert caught.value.allowance == TOLD
            assert isinstance(caught.value, RateLimited) == status.startswith("429")

    test()
