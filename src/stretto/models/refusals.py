"""What a provider's refusal means: a typed error from status, headers and body."""

import re
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any

import msgspec

from stretto import errors

# Waiting does not help: no money, or a limit that people set.
_QUOTA = re.compile(
    r"insufficient.?(quota|balance|credit|fund)|credit.?balance|credits are depleted|out of credits|payment required"
    r"|(spend|usage|budget).?limit.?(exceeded|reached)|blocked_api_access|specified (\w+ )?API usage limits"
    r"|requires more credits|billing_(error|hard)",
    re.IGNORECASE,
)
# Said of both; a rate limit also says how long to wait.
_AMBIGUOUS = re.compile(r"exceeded your current quota|check your plan and billing", re.IGNORECASE)
_HINT = re.compile(r"(?:retry in|try again in|retryDelay\W+)\s*((?:\d+(?:\.\d+)?(?:ms|[dhms]))+)", re.IGNORECASE)
_TRANSIENT = frozenset({408, 409, 425})
_DURATION = re.compile(
    r"(?:(\d+(?:\.\d+)?)d)?(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m(?!s))?(?:(\d+(?:\.\d+)?)s)?(?:(\d+(?:\.\d+)?)ms)?$"
)
_SCALE = (86400.0, 3600.0, 60.0, 1.0, 0.001)
_EPOCH = 1e9  # a reset this large is a point in time, not a wait


def refusal(status: int, headers: Mapping[str, str], body: bytes, where: str) -> errors.CallError:
    """The typed error for an answer with an error status; `where` names provider, model and URL."""
    message, code = _message(body)
    text = f"{where}: {status} {message}" if message else f"{where}: {status}"
    wait = retry_after(headers)
    if wait is None and (hint := _HINT.search(body.decode("utf-8", "replace"))):
        wait = duration(hint[1])
    kind = _kind(status, f"{code} {message}", wait)
    if kind is errors.AuthError:
        text += " (the key is refused; check the environment variable that holds it)"
    if status == 404:
        text += " (is the model's name right, and does the base URL end where /chat/completions begins?)"
    return kind(text, status=status, request_id=request_id(headers), retry_after=wait)


def _kind(status: int, text: str, wait: float | None) -> type[errors.CallError]:
    if status in {400, 403, 429} and _QUOTA.search(text):
        return errors.QuotaError
    if status in {402, 412}:
        return errors.QuotaError if wait is None else errors.RateLimited
    if status == 429:
        return errors.QuotaError if wait is None and _AMBIGUOUS.search(text) else errors.RateLimited
    if status in {401, 403}:
        return errors.AuthError
    if status >= 500 or status in _TRANSIENT:
        return errors.ServerError
    return errors.RequestError


def _message(body: bytes) -> tuple[str, str]:
    """The message and code of an error body, whatever its form; of a page, that it is one."""
    text = body.decode("utf-8", "replace").strip()
    try:
        data = msgspec.json.decode(text.encode())
    except (msgspec.MsgspecError, UnicodeEncodeError):
        if text[:200].lstrip().lower().startswith(("<!doctype", "<html")):
            title = re.search(r"<title[^>]*>(.*?)</title>", text, re.IGNORECASE | re.DOTALL)
            return f"an HTML page{f' ({title[1].strip()[:100]})' if title else ''}", ""
        return text[:500], ""
    if isinstance(data, list) and data:  # Gemini wraps its error into a list
        data = data[0]
    if isinstance(data, dict):
        inner = data.get("error", data)
        if isinstance(inner, dict):
            message = inner.get("message") or inner.get("detail") or inner.get("msg") or inner
            return _short(message), f"{inner.get('code') or ''} {inner.get('type') or ''}"
        return _short(inner), str(data.get("code") or "")
    return _short(data), ""


def _short(value: Any) -> str:
    return (value if isinstance(value, str) else msgspec.json.encode(value).decode())[:1000]


def request_id(headers: Mapping[str, str]) -> str | None:
    """The provider's own name for the request."""
    for name in ("x-request-id", "request-id", "x-api-request-id", "cf-ray"):
        if value := headers.get(name):
            return value
    return None


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait, from `retry-after-ms`, `Retry-After` (seconds or HTTP date) or an exhausted rate limit's reset.

    Sources: RFC 9110, 10.2.3; https://platform.openai.com/docs/guides/rate-limits.
    """
    if (value := headers.get("retry-after-ms")) and (milliseconds := _number(value)) is not None:
        return max(0.0, milliseconds / 1000)
    if value := headers.get("retry-after"):
        seconds = _number(value)
        return max(0.0, seconds) if seconds is not None else _until_date(value)
    waits = [
        wait
        for what in ("requests", "tokens")
        if headers.get(f"x-ratelimit-remaining-{what}") == "0"
        and (wait := duration(headers.get(f"x-ratelimit-reset-{what}", ""))) is not None
    ]
    if waits:
        return max(waits)
    return duration(headers.get("x-ratelimit-reset", ""))


def duration(text: str) -> float | None:
    """Seconds in `1.5`, `120ms`, `6m0s`, `1h2m3s`, or until an epoch time; None if it is none of these."""
    number = _number(text)
    if number is not None:
        if number > _EPOCH * 1000:
            number /= 1000
        return max(0.0, number - time.time()) if number > _EPOCH else max(0.0, number)
    match = _DURATION.match(text.strip())
    if not match or not any(match.groups()):
        return None
    return sum(float(part) * scale for part, scale in zip(match.groups(), _SCALE, strict=True) if part)


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if abs(number) < float("inf") else None


def _until_date(text: str) -> float | None:
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return None
