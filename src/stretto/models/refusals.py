"""What a provider's refusal means: a typed error from status, headers and body."""

import re
from collections.abc import Mapping

from stretto import errors
from stretto.ground.regex import regex
from stretto.ground.text import clean
from stretto.models.allowance import SPOKEN, allowance, duration, number
from stretto.models.error_forms import error_inside, is_too_long, told, told_of_length

# Waiting does not help: no money, or a limit that people set.
_QUOTA = regex(
    r"insufficient.?(quota|balance|credit|fund)|credit.?balance|credits are depleted|out of credits|payment required"
    r"|(spend|usage|budget).?limit.?(exceeded|reached)|blocked_api_access|specified (\w+ )?API usage limits"
    r"|requires more credits|billing_(error|hard)|available credits|balance is (insufficient|too low)|spending.?limit"
    r"|account\W(\S{1,60}\s)?is suspended|budget has been exceeded|budget_exceeded|free.?tier\b.{0,40}exhausted"
    r"|FreeTierOnly|arrear|SetLimitExceeded|out of call volume quota|insufficient_user_quota|TokenStatusExhausted"
    r"|exceeded_current_quota_error|account is not active"
    r"|余额不足|额度(?:不足|已用尽)|欠费",
    re.IGNORECASE,
)
# Said of both; a rate limit also says how long to wait.
_AMBIGUOUS = regex(r"exceeded your current quota|check your plan and billing", re.IGNORECASE)
# Also ambiguous, but these do not pass within a run: no access at all, or not before tomorrow.
_TERMINAL = regex(r"limit: 0\b|PerDay", re.IGNORECASE)
# No wait within a run helps, unless it is said how long it takes.
_DAILY = regex(r"tomorrow|per.?(?:day|month)|/ ?(?:day|month)\b|daily|monthly|\b[RT]PD\b", re.IGNORECASE)
_TOO_LARGE = regex(r"request too large|Limit:? ([\d,]{1,20}),? Requested:? ([\d,]{1,20})", re.IGNORECASE)
_LOADING = regex(
    r"loading (?:the )?model|model\b.{0,200}\bloading|still loading|(?:is|are) (?:being loaded|warming up|starting up)",
    re.IGNORECASE | re.DOTALL,
)
_HINT = regex(
    r"(?:\b(?:re-?try|try|wait|resets?|replenished|available|ready|back|again|after)\s{1,3}(?:again\s{1,3})?"
    r"(?:(?:in|after|for|at least|about|another)\s{1,3}){0,2}|(?:retry_?(?:delay|in|after)|reset_?(?:in|after))\W{1,4})"
    rf"({SPOKEN})"
    r"|(?:(?:retry|try again) (?:in|after)\s{1,3}"
    r"|(?:(?:retry_?after|resets?_?(?:in|after))(?:_?seconds)?|estimated_time)\W{1,4})"
    r"(\d{1,12}(?:\.\d{1,9})?)(?=[\s\"]{0,3}(?:s\b|sec|[,}\n.]|$))"
    r"|retry_?after_?ms\W{1,4}(\d{1,12})"
    rf"|(?<!\w)(?<!\w\s)in\s{{1,3}}({SPOKEN})",
    re.IGNORECASE,
)
# A point in time: `"resetsAt": 1794155229`, `resets at 2026-11-29T11:20:13Z`.
_MOMENT = regex(
    r"\bresets?[_ ]?(?:at|time|on)?\W{1,4}"
    r"(\d{10}(?:\d{3})?(?![\d.])|\d{4}-\d\d-\d\d[T ][\d:.]{5,15}(?:Z|[+-]\d\d:?\d\d))",
    re.IGNORECASE,
)
_SECONDS = regex(r"(\d{1,6})\s{0,3}秒")  # Chinese, as are its providers
# What the model wrote is refused, not what was asked: Groq's words, and those of who passes them on.
_UNFIT = regex(
    r"failed_generation|tool_use_failed|json_validate_failed|output_parse_failed|model called a tool"
    r"|failed to (?:generate|validate) (?:valid )?json|generated json (?:does not|is not|is invalid)",
    re.IGNORECASE,
)
# The request was all right, whatever the status says: LM Studio's words, NVIDIA's, Bedrock's.
_PASSING = regex(
    r"model (?:has crashed|unloaded|is unloaded|not ready)|DEGRADED function|no healthy upstream"
    r"|CUDA (?:error|out of memory)",
    re.IGNORECASE,
)
# What a gateway says with the status of another mistake.
_TOO_MANY = regex(
    r"too many (?:requests|tokens\W{1,3}please wait)|throttl(?:ed|ing)|请求过于频繁|请求频率|并发数过高|触发限流"
    r"|rate.?limit(?:ed)?(?:_error)?\b.{0,20}\b(?:exceed|reach|hit)|rate_limit_(?:error|exceeded)",
    re.IGNORECASE,
)
_BUSY = regex(r"overloaded|at capacity|over capacity|temporarily unavailable|server is busy", re.IGNORECASE)
_KEY = regex(
    r"(?:api|access).?(?:key|token)\b.{0,30}\b(?:not valid|invalid|expired|incorrect|missing|not found|revoked)"
    r"|(?:invalid|incorrect|expired|missing|no|wrong)\W{1,3}(?:\w{1,10} )?api.?(?:key|token)",
    re.IGNORECASE,
)
_SAID = 300  # characters of a message in which these count: behind them it may quote what was asked
_MODERATED = regex(r"moderation|flagged|content.?(?:policy|filter|management)|\bsafety\b|sensitive", re.IGNORECASE)
_PAGE = "an HTML page"
_HINTED = 16384  # characters of a body in which it is looked for
_LIMIT = regex(r"max_(?:new_)?tokens", re.IGNORECASE)
_IMAGES = regex(r"image|vision|visual|modal|content", re.IGNORECASE)
_TRANSIENT = frozenset({408, 409, 424, 425, 498, 499})  # 498: no room on Groq's cheaper tier; 499: somebody else left


def refusal(
    status: int, headers: Mapping[str, str], body: str, where: str, request: str | None = None
) -> errors.CallError:
    """The typed error for an answer with an error status; `where` names provider, model and URL, `request` its id."""
    message, code = told(body.strip())
    text = f"{where}: {status} {message}" if message else f"{where}: {status}"
    # Azure puts a hyphen into names.
    named = {name.lower().replace("x-rate-limit-", "x-ratelimit-"): value for name, value in headers.items()}
    headers = {**_headers_inside(body), **named}
    asked = _retry_after(headers)
    if asked is None:
        date = headers.get("date", "")
        asked = _hinted(body[:_HINTED], date) or _hinted(message, date)  # in the body letters may be escaped
    wait = retry_after(headers) if asked is None else asked
    kind, context = _kind(status, f"{code} {message}", body, asked, wait), None
    if kind is errors.ContextError:
        context, ways = told_of_length(f"{code} {message}", body)
        text += f" ({ways})"
    if kind is errors.AuthError:
        text += _of_access(message)
    if status == 407:
        text += " (a proxy wants a name and a password: http://NAME:PASSWORD@HOST in the variable that names it)"
    if status == 404:
        text += " (is the model's name right, and does the base URL end where /chat/completions begins, mostly in /v1?)"
    allowed = allowance(headers)
    error = kind(text, status=status, request_id=request, retry_after=wait, allowance=allowed, context=context)
    error.said = message
    return error


def _of_access(message: str) -> str:
    """What to add to a message that refuses access."""
    if message.startswith(_PAGE):
        return " (what stands before the provider refuses it: a firewall, a proxy, a check for robots)"
    return " (the key is refused; check the environment variable that holds it)"


def _kind(status: int, text: str, body: str, asked: float | None, wait: float | None) -> type[errors.CallError]:
    """The error's class; `asked`: seconds to wait, if the provider said so in as many words; `wait`: if in any way."""
    if status in {400, 401, 403, 429} and _QUOTA.search(text):
        return errors.QuotaError
    if status in {402, 412}:
        return errors.QuotaError if asked is None else errors.RateLimited
    if status == 429:
        return _kind_of_limit(text, body, asked, wait)
    if status in {400, 422} and (_UNFIT.search(text) or '"failed_generation"' in body):
        return errors.UnfitReply
    if is_too_long(status, text):  # Together answers 403 where others answer 400 or 413
        return errors.ContextError
    if status in {400, 403, 422} and (kind := _of_words(text[:_SAID], body, asked, wait)):
        return kind
    if status in {401, 403}:
        of_request = status == 403 and (_LIMIT.search(text) or _MODERATED.search(text))
        return errors.RequestError if of_request else errors.AuthError
    if status == 503 and _LOADING.search(body[:_HINTED]):
        return errors.Loading
    if status >= 500 or status in _TRANSIENT or (status in {400, 404} and _PASSING.search(text)):
        return errors.ServerError
    return errors.RequestError


def _of_words(said: str, body: str, asked: float | None, wait: float | None) -> type[errors.CallError] | None:
    """What a refusal says that has the status of a request which is wrong; None if it may be just that."""
    if _TOO_MANY.search(said):
        return _kind_of_limit(said, body, asked, wait)
    if _BUSY.search(said):
        return errors.ServerError
    return errors.AuthError if _KEY.search(said) else None


def _kind_of_limit(text: str, body: str, asked: float | None, wait: float | None) -> type[errors.CallError]:
    """Whether waiting helps against a 429, and within a run."""
    if _never_fits(text):
        return errors.ContextError
    if wait is None and _DAILY.search(text):
        return errors.QuotaError
    terminal = _AMBIGUOUS.search(text) and (asked is None or _TERMINAL.search(body))
    return errors.QuotaError if terminal else errors.RateLimited


def _never_fits(text: str) -> bool:
    """Whether a request is refused for its rate that is by itself more than what is permitted."""
    found = _TOO_LARGE.search(text)
    if found is None or found[1] is None:
        return found is not None
    limit, requested = (int(each.replace(",", "") or 0) for each in found.groups())
    return requested > limit


def _hinted(body: str, date: str) -> float | None:
    """Seconds to wait, as an error's message or a field beside it says it; `date`: the provider's clock."""
    if (found := _HINT.search(body)) is None:
        moment = _MOMENT.search(body) or _SECONDS.search(body)
        return duration(moment[1], date) if moment else None
    spoken, plain, milliseconds, within = found.groups()
    return float(milliseconds) / 1000 if milliseconds else duration(spoken or plain or within)


def _headers_inside(body: str) -> dict[str, str]:
    """The headers of whoever is behind a gateway, where it puts them into the error (OpenRouter)."""
    if "headers" not in body:
        return {}
    try:
        inside = error_inside(body.encode())
    except ValueError:
        return {}
    metadata = inside.get("metadata") if isinstance(inside, dict) else None
    found = metadata.get("headers") if isinstance(metadata, dict) else None
    return {name.lower(): str(value) for name, value in found.items()} if isinstance(found, dict) else {}


def of_images(error: errors.RequestError) -> errors.RequestError | None:
    """The refusal of a request with images, with what helps; None if it is surely not these that are refused."""
    if not _IMAGES.search(error.said):
        return None
    return errors.RequestError(
        f"{error} (the task comes with images: name a model that takes them, or leave them out)",
        status=error.status,
        request_id=error.request_id,
        retry_after=error.retry_after,
        allowance=error.allowance,
    )


def request_id(headers: Mapping[str, str]) -> str | None:
    """The provider's own name for the request."""
    for name in ("x-request-id", "request-id", "x-api-request-id", "cf-ray"):
        if value := headers.get(name):
            return clean(value)[:200]
    return None


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait, from `retry-after-ms`, `Retry-After`, or the reset of a rate limit of which nothing is left.

    `headers` have lower-case names. Sources: RFC 9110, 10.2.3; https://platform.openai.com/docs/guides/rate-limits;
    https://docs.claude.com/en/api/rate-limits; draft-ietf-httpapi-ratelimit-headers, of 2021 and of 2025.
    """
    if (asked := _retry_after(headers)) is not None:
        return asked
    waits, plain = list[float](), None
    for name, value in headers.items():
        if "reset" not in name or "limit" not in name or (wait := duration(value, headers.get("date", ""))) is None:
            continue
        remaining = number(headers.get(name.replace("reset", "remaining"), ""))
        if remaining is not None and remaining < 1:
            waits.append(wait)
        elif name in _PLAIN_RESETS or remaining is None:
            plain = wait
    waits += [float(left) for left in _USED_UP.findall(headers.get("ratelimit", "")[:500])]
    return max(waits) if waits else plain


_PLAIN_RESETS = frozenset({"x-ratelimit-reset", "ratelimit-reset", "x-ratelimit-reset-after"})
_USED_UP = regex(r"\b(?:remaining|r)=0\b[^\n]{0,40}?\b(?:reset|t)=(\d{1,9})", re.IGNORECASE)


def _retry_after(headers: Mapping[str, str]) -> float | None:
    for name in ("retry-after-ms", "x-ms-retry-after-ms"):
        if (milliseconds := number(headers.get(name, ""))) is not None:
            return max(0.0, milliseconds / 1000)
    names = ("retry-after", "x-retry-after", "x-ratelimit-retry-after")
    told, date = next((headers[name] for name in names if headers.get(name)), "").strip(), headers.get("date", "")
    wait = duration(told, date)
    return duration(told.partition(",")[0], date) if wait is None else wait  # of two that were joined, the first
