"""What a provider's refusal means, from the texts providers really send."""

import json
import time
from email.utils import formatdate
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stretto import errors
from stretto.models.allowance import duration
from stretto.models.refusals import refusal, request_id, retry_after
from stretto.types.facts import Facts, facts_of


def refused(status: int, body: Any, **headers: str) -> errors.CallError:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return refusal(status, named, body if isinstance(body, str) else json.dumps(body), "x:tea")


def said(message: str, **more: Any) -> dict[str, Any]:
    return {"error": {"message": message, **more}}


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        *[(status, errors.AuthError) for status in (401, 403)],
        *[(status, errors.RequestError) for status in (400, 404, 405, 415, 422)],
        *[(status, errors.ServerError) for status in (408, 409, 425, 500, 502, 503, 504, 529)],
        *[(status, errors.QuotaError) for status in (402, 412)],
        (413, errors.ContextError),
        (429, errors.RateLimited),
    ],
)
def test_the_status_decides_the_error(status: int, kind: type[errors.CallError]) -> None:
    error = refused(status, said("no tea"))
    assert type(error) is kind
    assert error.status == status
    assert f"x:tea: {status} no tea" in str(error)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (said("no tea"), "no tea"),
        ({"error": "no tea"}, "no tea"),
        ([said("no tea")], "no tea"),
        ({"type": "error", "error": {"type": "x", "message": "no tea"}}, "no tea"),
        ({"object": "error", "message": "no tea", "code": 3001}, "no tea"),
        ({"detail": "no tea"}, "no tea"),
        ({"object": "error", "message": {"detail": [{"msg": "no tea"}]}}, '{"detail":[{"msg":"no tea"}]}'),
        ({"detail": [{"loc": ["body", "stream_options"]}]}, '[{"loc":["body","stream_options"]}]'),
        (said("no tea", code=400), "no tea"),
        ({"error": {"code": "x"}}, '{"code":"x"}'),
        ("no tea", "no tea"),
        ('{"error": {"mess', '{"error": {"mess'),
        ("<!DOCTYPE html><TITLE>Oops</TITLE>", "an HTML page (Oops)"),
        ('{"error": {"message": "no \\ud800 tea"}}', "no \ufffd tea"),
        ("", ""),
        ([], "[]"),
        ("null", "null"),
    ],
)
def test_the_message_is_found_in_every_form_of_body(body: Any, message: str) -> None:
    assert str(refused(400, body)) == f"x:tea: 400 {message}".strip()


QUOTA = [
    (429, said("You exceeded your current quota, please check your plan", type="insufficient_quota")),
    (429, said("Stop.", code="credit_balance_exhausted")),
    (429, said("Stop.", code="organization_usage_limit_exceeded")),
    (429, said("Stop.", code="project_spend_limit_exceeded")),
    (429, said("Stop.", type="rate_limit_error", details={"error_code": "enforced_spend_limit_reached"})),
    (400, said("Your credit balance is too low to access the Claude API")),
    (400, said("You have reached your specified workspace API usage limits")),
    (402, said("Stop.", type="billing_error")),
    (402, said("Your prepayment credits are depleted.", status="RESOURCE_EXHAUSTED")),
    (429, [said("You exceeded your current quota, please check your plan. limit: 0. Please retry in 20.04s.")]),
    (400, said("Stop.", code="blocked_api_access")),
    (403, said("Budget limit exceeded", code=403)),
    (402, said("Insufficient Balance", type="unknown_error")),
    (412, said("Account suspended")),
]


@pytest.mark.parametrize(("status", "body"), QUOTA)
def test_what_waiting_does_not_help_is_a_quota_error(status: int, body: Any) -> None:
    assert type(refused(status, body)) is errors.QuotaError


@pytest.mark.parametrize(
    ("error", "wait"),
    [
        (refused(429, said("Rate limit reached for tea. Please try again in 7m54.3s.")), 474.3),
        (refused(429, said("Please try again in 20ms. Visit")), 0.02),
        (refused(429, said("You exceeded your current quota, please check your plan. Please retry in 20.04s.")), 20.04),
        (refused(429, said("Slow", details=[{"retryDelay": "36s"}])), 36.0),
        (refused(429, said("Please retry after 12 seconds.")), 12.0),
        (refused(429, {"error": {"message": "Slow", "metadata": {"retry_after_seconds": 5}}}), 5.0),
        (refused(402, said("in flight", metadata={"limit_source": "x"}), retry_after="2"), 2.0),
        (refused(429, said("Slow")), None),
    ],
)
def test_a_wait_in_the_body_is_obeyed(error: errors.CallError, wait: float | None) -> None:
    assert type(error) is errors.RateLimited
    assert error.retry_after == pytest.approx(wait)


def test_a_reset_header_makes_no_rate_limit_of_an_empty_account() -> None:
    assert type(refused(402, said("Stop."), x_ratelimit_reset="3")) is errors.QuotaError


def test_too_long_an_input_is_no_refused_key() -> None:
    error = refused(403, said("`inputs` tokens + `max_new_tokens` must be <= 8193"))
    assert isinstance(error, errors.RequestError)


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, said("Rate limit exceeded", type="rate_limit_error"), errors.RateLimited),
        (403, {"message": "Too Many Requests"}, errors.RateLimited),
        (400, said("Engine is currently overloaded"), errors.ServerError),
        (400, said("API key not valid. Please pass a valid API key.", status="INVALID_ARGUMENT"), errors.AuthError),
        (422, said("Incorrect API key provided"), errors.AuthError),
        (400, said("messages.0: " + "x" * 400 + " too many requests"), errors.RequestError),
    ],
)
def test_a_gateway_may_say_in_words_what_its_status_does_not(
    status: int, body: Any, kind: type[errors.CallError]
) -> None:
    assert type(refused(status, body)) is kind


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after-ms": "1500", "retry-after": "9"}, 1.5),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "500µs"}, 0.0005),
        ({"retry-after": "-3"}, 0.0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0.0),
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "2m59.56s"}, 179.56),
        ({"x-ratelimit-remaining-requests": "5", "x-ratelimit-reset-requests": "24h"}, None),
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "1s",
          "x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "6m0s"}, 360.0),
        ({"x-ratelimit-reset": "4"}, 4.0),
        ({"retry-after": '"7"'}, 7.0),
        ({"retry-after": "7; comment=soon"}, 7.0),
        ({"retry-after": "00:01:07"}, 67.0),
        ({"retry-after": "a minute"}, 60.0),
        ({"x-retry-after": "7"}, 7.0),
        ({"x-ratelimit-retry-after": "7"}, 7.0),
        ({"x-ms-retry-after-ms": "700"}, 0.7),
        *[({"retry-after": f"{1794155240 * scale}", "date": "Sun, 08 Nov 2026 16:00:00 GMT"}, 1794155240 - 1794153600)
          for scale in (1, 10**3, 10**6, 10**9)],
        ({}, None),
    ],
)  # fmt: skip
def test_the_headers_say_how_long_to_wait(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("body", "seconds"),
    [
        ({"error": {"message": "slow", "retry_after": "12"}}, 12.0),
        ({"error": {"message": "slow", "resets_in_seconds": 7200}}, 7200.0),
        ({"error": {"message": "slow", "reset_at": "2026-11-08T16:00:42Z"}}, 42.0),
        ({"error": {"message": "slow", "resetsAt": 1794153642}}, 42.0),
        (said("The limit resets at 2026-11-08T16:00:42+00:00."), 42.0),
        (said("Rate limit is exceeded. Try again in 00:00:12."), 12.0),
        (said("Please try again in one minute."), 60.0),
        (said("请求过于频繁\uff0c请60秒后重试"), 60.0),
        (said("slow", reset=3), None),
    ],
)
def test_the_body_says_how_long_to_wait(body: Any, seconds: float | None) -> None:
    error = refused(429, body, date="Sun, 08 Nov 2026 16:00:00 GMT")
    assert type(error) is errors.RateLimited
    assert error.retry_after == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("status", "message", "kind"),
    [
        (403, "Out of call volume quota. Quota will be replenished in 00:12:34.", errors.QuotaError),
        (403, "用户额度不足, 剩余额度: $0.0", errors.QuotaError),
        (401, "该令牌额度已用尽 TokenStatusExhausted", errors.QuotaError),
        (400, "CUDA error: device-side assert triggered", errors.ServerError),
        (400, "Prompt 超长", errors.ContextError),
        (400, "Too many tokens, please wait before trying again.", errors.RateLimited),
        (429, "Your account is not active, current state: inactive, please check your plan", errors.QuotaError),
        (400, "the max input characters is 20000", errors.ContextError),
    ],
)
def test_the_words_of_gateways_say_what_the_status_does_not(status: int, message: str, kind: type[Exception]) -> None:
    assert type(refused(status, said(message))) is kind


def test_dates_and_epochs_count_from_now() -> None:
    in_a_minute = time.time() + 60
    assert retry_after({"retry-after": formatdate(in_a_minute, usegmt=True)}) == pytest.approx(60, abs=2)
    assert retry_after({"x-ratelimit-reset": str(in_a_minute)}) == pytest.approx(60, abs=2)
    assert retry_after({"x-ratelimit-reset": str(int(in_a_minute * 1000))}) == pytest.approx(60, abs=2)


@given(*[st.integers(0, top) for top in (9, 23, 59, 59, 999)])
def test_a_duration_comes_back_as_its_seconds(days: int, hours: int, minutes: int, seconds: int, ms: int) -> None:
    parts = ((days, "d"), (hours, "h"), (minutes, "m"), (seconds, "s"), (ms, "ms"))
    text = "".join(f"{number}{unit}" for number, unit in parts if number) or "0s"
    wanted = days * 86400 + hours * 3600 + minutes * 60 + seconds + ms / 1000
    assert duration(text) == pytest.approx(wanted)
    assert duration(str(wanted)) == pytest.approx(wanted)


@given(st.text(max_size=20))
def test_no_header_breaks_the_reader(text: str) -> None:
    for wait in (duration(text), retry_after({"retry-after": text}), retry_after({"retry-after-ms": text})):
        assert wait is None or 0 <= wait < float("inf")
    refusal(429, {"x-ratelimit-reset": text}, text, "x:tea")


def test_the_providers_name_for_a_request_is_kept() -> None:
    assert request_id({"x-request-id": "r-1", "cf-ray": "c"}) == "r-1"
    assert request_id({"request-id": "r-2"}) == "r-2"
    assert request_id({}) is None
    assert refusal(500, {}, "", "x:tea", "r-3").request_id == "r-3"


@pytest.mark.parametrize(
    ("status", "body", "context"),
    [
        (  # llama.cpp in November 2026, and in 2025
            400,
            said(
                "request (730 tokens) exceeds the available context size (512 tokens), try increasing it",
                type="exceed_context_size_error",
                n_prompt_tokens=730,
                n_ctx=512,
            ),
            512,
        ),
        (
            400,
            said(
                "the request exceeds the available context size, try increasing it",
                type="exceed_context_size_error",
                n_prompt_tokens=14429,
                n_ctx=8192,
            ),
            8192,
        ),
        (  # OpenAI, vLLM
            400,
            said(
                "This model's maximum context length is 8192 tokens. However, your messages resulted in 8202 tokens. "
                "Please reduce the length of the messages.",
                code="context_length_exceeded",
            ),
            8192,
        ),
        (
            400,
            {
                "object": "error",
                "message": "This model's maximum context length is 16384 tokens. However, you requested 122946 tokens",
                "code": 400,
            },
            16384,
        ),
        (400, said("prompt is too long: 213462 tokens > 200000 maximum", type="invalid_request_error"), 200000),
        (
            400,
            said("The input token count (314175) exceeds the maximum number of tokens allowed (131072).", code=400),
            131072,
        ),
        (403, said("`inputs` tokens + `max_new_tokens` must be <= 4097"), 4097),
        (400, said("Prompt contains 33000 tokens, too large for model with 32768 maximum context length"), 32768),
        (
            400,
            said(
                "The number of tokens to keep from the prompt is greater than the context length (n_keep: 10247 "
                ">= n_ctx: 4096)."
            ),
            4096,
        ),
        (400, said("The model is loaded with context length of only 32768 tokens, which is not enough."), 32768),
        (400, said("Input is too long for requested model."), None),
        (413, "<html><title>413 Request Entity Too Large</title></html>", None),
        (  # a limit of rates, which is no context
            413,
            said("Request too large for model `x` on tokens per minute (TPM): Limit 6000, must be <= 6000"),
            None,
        ),
    ],
)
def test_a_refusal_for_length_says_what_the_model_takes_if_the_provider_does(
    status: int, body: Any, context: int | None
) -> None:
    error = refused(status, body)
    assert type(error) is errors.ContextError
    assert error.context == context
    assert "share" in str(error)
    assert facts_of(error) == Facts(status, context)


@pytest.mark.parametrize(
    "message",
    [
        "Invalid schema for response_format 'reply': In context=(): no",
        "temperature must be between 0 and 2",
        "no such model",
    ],
)
def test_other_refusals_are_none_for_length(message: str) -> None:
    assert type(refused(400, said(message))) is errors.RequestError


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (
            403,
            said("Your team has used all available credits or reached its monthly spending limit."),
            errors.QuotaError,
        ),
        (403, {"code": 30001, "message": "Sorry, your account balance is insufficient"}, errors.QuotaError),
        (403, said("The free tier of the model has been exhausted."), errors.QuotaError),
        (429, said("余额不足或无可用资源包", code="1113"), errors.QuotaError),
        (429, said("Account is suspended, possibly due to reaching the monthly spending limit"), errors.QuotaError),
        (429, {"message": "a Trial key, which is limited to 1000 API calls / month."}, errors.QuotaError),
        (400, said("Budget has been exceeded! Current cost: 10.0", type="budget_exceeded"), errors.QuotaError),
        (403, said("requires moderation and your input was flagged"), errors.RequestError),
        (400, {"error": "The model has crashed without additional information."}, errors.ServerError),
        (400, {"status": 400, "detail": "Function id 'x': DEGRADED function cannot be invoked"}, errors.ServerError),
        (424, {"message": "Model not ready for inference."}, errors.ServerError),
        (499, said("The operation was cancelled."), errors.ServerError),
        (400, said("Range of input length should be [1, 129024]"), errors.ContextError),
    ],
)
def test_what_a_refusal_says_counts_more_than_its_status(status: int, body: Any, kind: type[errors.CallError]) -> None:
    assert type(refused(status, body)) is kind


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"errors": [{"message": "no tea"}]}, "no tea"),
        ({"error": ["no tea"]}, "no tea"),
        ({"error_code": 3, "error_msg": "no tea"}, "no tea"),
        ({"error": json.dumps(said("no tea"))}, "no tea"),
        (said("{no tea}"), "{no tea}"),
        (said("Upstream", metadata={"raw": json.dumps(said("no tea"))}), "Upstream: no tea"),
        (said("Upstream", metadata={"raw": "no tea", "provider_name": "T"}), "Upstream: no tea"),
    ],
)
def test_the_words_of_who_is_behind_a_gateway_are_told(body: Any, message: str) -> None:
    assert str(refused(400, body)) == f"x:tea: 400 {message}"


def test_a_page_that_refuses_access_is_no_refused_key() -> None:
    error = refused(403, "<!DOCTYPE html><title>Attention Required!</title>")
    assert "Attention Required" in str(error)
    assert "firewall" in str(error)
    assert "environment variable" not in str(error)


def test_a_wait_is_read_from_headers_that_were_joined_or_are_spelt_otherwise() -> None:
    assert refused(429, "", retry_after="30, 30").retry_after == 30
    assert refused(429, "", retry_after="Sun, 06 Nov 1994 08:49:37 GMT").retry_after == 0
    assert refused(429, "", x_rate_limit_reset_tokens="55").retry_after == 55
