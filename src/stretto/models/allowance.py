"""What a provider says of its limits in the headers of an answer, in whichever of the known forms.

Sources: https://platform.openai.com/docs/guides/rate-limits, https://docs.claude.com/en/api/rate-limits,
https://console.groq.com/docs/rate-limits, https://docs.together.ai/docs/rate-limits,
https://openrouter.ai/docs/api_reference/limits.
"""

import math
from collections.abc import Mapping

from stretto.models.durations import duration, moment_of
from stretto.types import Allowance, Quota

_OPENAI = ("x-ratelimit-limit-requests", "x-ratelimit-limit-tokens")
_ANTHROPIC = "anthropic-ratelimit-requests-limit"
_ANTHROPIC_TOKENS = ("tokens", "input-tokens", "output-tokens")
_PLAIN = ("x-ratelimit-limit", "x-tokenlimit-limit")
_BY_MINUTE = tuple(f"x-ratelimit-limit-{what}-minute" for what in ("requests", "req", "tokens"))
_MOST = 1e15  # whoever says more than this says nothing
_LONGEST = 40 * 86400.0  # seconds; no limit is counted over more than a month


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
