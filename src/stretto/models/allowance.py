"""What a provider says of its limits in the headers of an answer, in whichever of the known forms; times, too.

Sources: https://platform.openai.com/docs/guides/rate-limits, https://docs.claude.com/en/api/rate-limits,
https://console.groq.com/docs/rate-limits, https://docs.together.ai/docs/rate-limits,
https://openrouter.ai/docs/api_reference/limits.
"""

import math
import re
import time
from collections.abc import Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime

from stretto.ground.amounts import seconds
from stretto.ground.regex import regex
from stretto.types import Allowance, Quota

_OPENAI = ("x-ratelimit-limit-requests", "x-ratelimit-limit-tokens")
_ANTHROPIC = "anthropic-ratelimit-requests-limit"
_ANTHROPIC_TOKENS = ("tokens", "input-tokens", "output-tokens")
_PLAIN = ("x-ratelimit-limit", "x-tokenlimit-limit")
_BY_MINUTE = tuple(f"x-ratelimit-limit-{what}-minute" for what in ("requests", "req", "tokens"))
_MOST = 1e15  # whoever says more than this says nothing
_LONGEST = 40 * 86400.0  # seconds; no limit is counted over more than a month

_EPOCH, _LAST_EPOCH = 1e9, 1e11  # a reset this large is a point in time, not a wait
_UNITS = {"ms": 0.001, "mi": 60.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_SHORT = (("ms", 0.001), ("s", 1.0), ("µs", 1e-6), ("μs", 1e-6), ("us", 1e-6), ("ns", 1e-9))
_UNIT = r"(?:milliseconds?|msecs?|ms|seconds?|secs?|s|minutes?|mins?|m|hours?|hrs?|h|days?|d)(?![a-z])"
_CLOCK = regex(r"(?:(\d{1,3}):)?(\d{1,2}):(\d{2}(?:\.\d{1,9})?)")
_ONE = regex(r"\s*(?:an?|one)(?=\s)", re.IGNORECASE)
_PART = regex(rf"(?<![\d.])(?<!\de)(\d{{1,12}}(?:\.\d{{1,9}})?)\s{{0,3}}({_UNIT})", re.IGNORECASE)
SPOKEN = (
    rf"\d{{1,3}}:\d{{2}}:\d{{2}}(?!\d)|(?:an?|one)\s{{1,3}}{_UNIT}|"
    rf"\d{{1,12}}(?:\.\d{{1,9}})?\s{{0,3}}{_UNIT}(?:[\s,]{{0,3}}(?:and\s)?\d{{1,12}}(?:\.\d{{1,9}})?\s{{0,3}}{_UNIT})*"
)
"""What matches a time with its units, in signs or in words: `1m30s`, `20 seconds`, `a minute`, `00:01:30`."""


def duration(text: str, date: str = "") -> float | None:
    """Seconds in `1.5`, `120ms`, `6m0s`, `a minute`, `00:01:30`, or until a time: an epoch, RFC 3339's, HTTP's.

    None if it is none of these. `date`: when that was written by the clock of who wrote it (the header `Date`),
    which may differ from ours by more than the wait.
    """
    for unit, scale in _SHORT:  # nearly all are of one unit, and a header is read with every call
        if text.endswith(unit) and text[: -len(unit)].replace(".", "", 1).isdecimal():
            return float(text[: -len(unit)]) * scale
    text = text.partition(";")[0].strip(" \t\"'")
    plain = number(text)
    if plain is None:
        if (found := seconds(text)) is not None or (found := _spoken(text)) is not None:
            return found
        moment = moment_of(text)
    elif plain > _EPOCH:
        moment = plain
        while moment > _LAST_EPOCH:  # in thousandths of a second, or of those
            moment /= 1000
    else:
        return max(0.0, plain)
    if moment is None:
        return None
    now = moment_of(date) if date else None
    return max(0.0, moment - (time.time() if now is None else now))


def _spoken(text: str) -> float | None:
    if clock := _CLOCK.fullmatch(text):
        hours, minutes, rest = clock.groups()
        return float(hours or 0) * 3600 + float(minutes) * 60 + float(rest)
    parts = _PART.findall(_ONE.sub("1", text[:200]))
    scales = [_UNITS.get(unit[:2].lower(), _UNITS[unit[:1].lower()]) for _, unit in parts]
    return sum(float(part[0]) * scale for part, scale in zip(parts, scales, strict=True)) if parts else None


def moment_of(text: str) -> float | None:
    """The point in time that RFC 3339 or HTTP writes so, in seconds of the epoch; None if it is none."""
    for read in (datetime.fromisoformat, parsedate_to_datetime):
        try:
            return read(text).timestamp()
        except (ValueError, TypeError, OverflowError):
            continue
    return None


def number(text: str) -> float | None:
    """The finite number that is written there; None if it is none."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def allowance(headers: Mapping[str, str]) -> Allowance | None:
    """The limits that an answer's headers tell; None without any. What makes no sense is left out, never an error.

    A limit counts for a minute unless its reset says otherwise. `headers` must not care about case, or be lower case.
    """
    if _OPENAI[0] in headers or _OPENAI[1] in headers:
        told = _quota(headers, "x-ratelimit-{}-requests"), _quota(headers, "x-ratelimit-{}-tokens")
    elif _ANTHROPIC in headers or "anthropic-ratelimit-tokens-limit" in headers:
        told = _dated(headers, "requests"), _tightest([_dated(headers, what) for what in _ANTHROPIC_TOKENS])
    elif _PLAIN[0] in headers or _PLAIN[1] in headers:
        told = _plain(headers, "x-ratelimit-{}"), _plain(headers, "x-tokenlimit-{}")
    elif "ratelimit-limit" in headers:
        told = _plain(headers, "ratelimit-{}"), None
    elif _BY_MINUTE[0] in headers or _BY_MINUTE[1] in headers or _BY_MINUTE[2] in headers:
        told = (
            _quota(headers, "x-ratelimit-{}-requests-minute") or _quota(headers, "x-ratelimit-{}-req-minute"),
            _quota(headers, "x-ratelimit-{}-tokens-minute"),
        )
    else:
        return None
    return Allowance(*told) if any(told) else None


def _quota(headers: Mapping[str, str], name: str) -> Quota | None:
    """OpenAI's form, and Groq's: the reset is a duration such as `6m0s`, seconds, or an epoch."""
    reset = duration(headers.get(name.format("reset"), ""), headers.get("date", ""))
    return _sensible(_amount(headers, name.format("limit")), _amount(headers, name.format("remaining")), reset)


def _dated(headers: Mapping[str, str], what: str) -> Quota | None:
    """Anthropic's form: the reset is a point in time (RFC 3339), on the provider's clock."""
    name = f"anthropic-ratelimit-{what}-"
    date = headers.get("date", "")
    reset = duration(headers.get(name + "reset", ""), date) if moment_of(date) is not None else None
    return _sensible(_amount(headers, name + "limit"), _amount(headers, name + "remaining"), reset)


def _plain(headers: Mapping[str, str], name: str) -> Quota | None:
    """Together's older form, whose limits are for a second, or OpenRouter's, whose reset is an epoch."""
    limit, remaining = _amount(headers, name.format("limit")), _amount(headers, name.format("remaining"))
    reset = headers.get(name.format("reset"), "")
    seconds = duration(reset, headers.get("date", ""))
    if limit is not None and "x-tokenlimit-limit" in headers:
        # What is left of a second's worth, and a minute is sixty of them.
        return _sensible(limit * 60, remaining, None)
    return _sensible(limit, remaining, seconds)


def _amount(headers: Mapping[str, str], name: str) -> float | None:
    try:
        amount = float(headers.get(name, ""))
    except ValueError:
        return None
    return amount if 0 <= amount <= _MOST else None


def _sensible(limit: float | None, remaining: float | None, reset: float | None) -> Quota | None:
    if not limit or remaining is None:
        return None
    known = reset is not None and math.isfinite(reset) and 0 <= reset <= _LONGEST
    return Quota(limit, min(remaining, limit), reset if known else None)


def _tightest(quotas: list[Quota | None]) -> Quota | None:
    """The one that is used up the most."""
    return min((quota for quota in quotas if quota), key=lambda quota: quota.remaining / quota.limit, default=None)
