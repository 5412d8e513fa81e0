"""Errors in all the forms in which endpoints tell them: what they say, and where they stand in a reply; redirects."""

import re
from typing import Any
from urllib.parse import urljoin

import msgspec

from stretto.ground.regex import regex
from stretto.models.loosely import loose
from stretto.models.providers import PATH

# A server that knows no such path, and says so with status 200 (LM Studio).
_NO_PATH = regex(r"unexpected endpoint|cannot post\b|(?:unknown|no such) (?:endpoint|path|route|url)", re.IGNORECASE)
_TITLE_END = regex("</title>", re.IGNORECASE)
_SAYINGS = (
    "message", "detail", "msg", "error_msg", "Message", "status_msg", "error_description", "title", "reason",
)  # fmt: skip
_SAYS = frozenset(_SAYINGS[:5])
_CODES = ("code", "status", "status_code", "error_code", "ErrorCode", "type")
_TELLING = frozenset({*_SAYINGS, *_CODES, "error"})
_FINE = frozenset({"0", "200", "ok", "success", "null", "none", "false"})
_SURE = 4
_WORDS = (
    (regex(r"throttl", re.IGNORECASE), 429),  # Alibaba's `Throttling.RateQuota` is none of the quotas below
    (regex(r"quota|billing|balance|credit|arrear|余额|欠费|额度", re.IGNORECASE), 402),
    (
        regex(
            r"(?:rate|qps|[rt]pm).{0,20}limit|too.?many|RESOURCE_EXHAUSTED|频繁|频率|并发|限流|限速|速率", re.IGNORECASE
        ),
        429,
    ),
    (regex(r"api.?key|authent|permission|unauthorized|access.?denied", re.IGNORECASE), 401),
    (regex(r"overloaded|unavailable|timeout|not.?ready", re.IGNORECASE), 503),
    (regex(r"invalid|not.?found|unsupported|bad.?request|validation", re.IGNORECASE), 400),
)
# Refusals of length, as issue trackers quote those of llama.cpp, vLLM, OpenAI, Anthropic, Gemini, Together, Mistral and
# LM Studio.
_TOO_LONG = regex(
    r"exceed_context_size|context_(?:length|window)_exceeded|maximum context|context.?(?:length|size|window|limit)"
    r"|too many (?:input )?tokens|too (?:long|large) for (?:the |requested )?model|reduce the length"
    r"|(?:prompt|input|request|messages?) (?:is|are) too (?:long|large)|token count .{0,40}exceeds"
    r"|max_new_tokens.{0,3} must be <=|range of input length"
    r"|max(?:imum)? input (?:characters|tokens|length)|超长",
    re.IGNORECASE | re.DOTALL,
)
_SIZE = regex(
    r"\"?\bn_ctx\"?[\s:=(]+([\d,]+)"
    r"|available context size \(([\d,]+)"
    r"|maximum context length (?:is|of) ([\d,]+)|([\d,]+) maximum context length"
    r"|context (?:length|window|size) (?:is|of)(?: only)? ([\d,]+)"
    r"|number of tokens allowed \(([\d,]+)\)|> ([\d,]+) maximum|must be <= ([\d,]+)"
    r"|input length should be \[1, ([\d,]+)\]",
    re.IGNORECASE,
)
_OF_RATES = regex(r"per.?(?:minute|day)\b|\bTPM\b|rate.?limit", re.IGNORECASE)
_OF_PACE = regex(r"please wait|throttl", re.IGNORECASE)  # Bedrock's "too many tokens" are those of a minute
_STATUSES = frozenset({400, 403, 413, 422, 500})
_LEAST, _MOST = 64, 10**8  # tokens of a window that can be meant


def error_inside(data: bytes) -> Any:
    """The error in a body that came with status 200, in whatever form; None if it holds none, or one that says nothing.

    MiniMax calls it `base_resp`, Cloudflare has a list of them, Baidu one in two fields of the body, Amazon calls it by
    its kind.
    """
    form = loose(data)
    form = form[0] if isinstance(form, list) and form else form
    if not isinstance(form, dict):
        return None
    choices = form.get("choices")
    for each in (form, *(choices if isinstance(choices, list) else ())):
        if isinstance(each, dict) and _says(error := each.get("error")):
            return error
    if choices:
        return None
    listed = form.get("errors")
    for error in (form.get("base_resp"), *(listed if isinstance(listed, list) else ())):
        if _says(error):
            return error
    for name, value in form.items():
        if name.endswith("Exception") and isinstance(value, dict):
            return {"type": name, **value}
    return form if any(isinstance(form.get(name), str | list) for name in _SAYS) and _says(form) else None


def _says(error: Any) -> bool:
    """Whether an error is one: some gateways send one with every reply, with zero in it and no message."""
    if isinstance(error, dict):
        return any(_says(value) for name, value in error.items() if name in _TELLING) or bool(
            error and _TELLING.isdisjoint(error)
        )
    return bool(error) and str(error).lower() not in _FINE


def status_inside(error: Any) -> int:
    """The HTTP status that an error which came with status 200 would have had: its own, else that of its words."""
    said = _first(error, _SAYINGS) if isinstance(error, dict) else error
    if _NO_PATH.search(str(said)[:1000]):
        return 404
    names = [str(error.get(name)) for name in _CODES] if isinstance(error, dict) else []
    for name in names:
        if len(name) == 3 and name.isdecimal() and 400 <= int(name) < 600:
            return int(name)
    told = next((status for words, status in _WORDS if words.search(" ".join(names))), 0)
    # What a message says is trusted less: of a request that is refused it may quote anything.
    return told or next((status for words, status in _WORDS[:_SURE] if words.search(str(said)[:1000])), 500)


def told(text: str) -> tuple[str, str]:
    """The message and code of an error body, whatever its form; of a page, that it is one."""
    try:
        data = loose(text.encode())
    except ValueError:
        if text[:200].lower().startswith(("<!doctype", "<html")):
            title = _title(text)
            return f"an HTML page{f' ({title})' if title else ''}", ""
        return text[:500], ""
    if isinstance(data, list) and data:  # Gemini wraps its error into a list
        data = data[0]
    if not isinstance(data, dict):
        return _short(data), ""
    inner = data.get("error") or _listed(data.get("errors")) or data.get("base_resp") or data
    inner = _listed(inner) or inner
    if not isinstance(inner, dict):
        return _short(_opened(inner)), _code(data)
    message = _first(inner, _SAYINGS) or inner
    raw = inner["metadata"].get("raw") if isinstance(inner.get("metadata"), dict) else None  # who is behind OpenRouter
    told = _short(_opened(message))
    return (f"{told}: {_short(_opened(raw))}" if raw else told), _code(inner)


def _first(form: dict[str, Any], names: tuple[str, ...]) -> Any:
    return next((form[name] for name in names if form.get(name)), None)


def _listed(errors: Any) -> Any:
    """The first of a list of errors."""
    return errors[0] if isinstance(errors, list) and errors else None


def _opened(said: Any) -> Any:
    """What is said by a message that is the JSON of another error."""
    if not isinstance(said, str) or not said.lstrip().startswith("{"):
        return said
    try:
        form = loose(said.encode())
    except ValueError:
        return said
    inner = form.get("error") or form
    return (_first(inner, _SAYINGS) if isinstance(inner, dict) else inner) or said


def _code(form: dict[str, Any]) -> str:
    details = form.get("details")
    codes = [form.get(name) for name in ("code", "error_code", "status_code", "type")]
    codes.append(details.get("error_code") if isinstance(details, dict) else None)
    return " ".join(str(code)[:200] for code in codes if code)


def _title(page: str) -> str:
    """The title of an HTML page, found without looking back: a page may have a thousand that begin."""
    _, tag, rest = page.partition("<title") if "<title" in page else page.partition("<TITLE")
    end = _TITLE_END.search(rest) if tag else None
    return rest[: end.start()].partition(">")[2].strip()[:100] if end else ""


def _short(value: Any) -> str:
    return (value if isinstance(value, str) else msgspec.json.encode(value).decode())[:1000]


def of_redirect(url: str, location: str) -> str:
    """What to say of a redirect from this URL, with what to do; it is not followed: what is sent there bears a key."""
    target = _base(urljoin(url, location))
    if target == _base(url):
        why = "redirects to itself" if location else "redirects, and does not say where to"
        return f"{why}; check the base URL, and proxies in between"
    if not target.startswith(("http://", "https://")):
        return f"redirects to {target}, which is no place to ask; check the base URL, and proxies in between"
    return f"redirects elsewhere; if that is right, set the base URL to {target}"


def _base(url: str) -> str:
    """The base URL that it stands for, without anybody's name and password: `https://known.com@unknown.com`."""
    scheme, slashes, rest = url.partition("?")[0].removesuffix(PATH).partition("//")
    host, slash, path = rest.partition("/")
    return f"{scheme}{slashes}{host.rpartition('@')[2]}{slash}{path}"


def is_too_long(status: int, text: str) -> bool:
    """Whether a refusal with this status, code and message is one of length."""
    return status == 413 or (status in _STATUSES and bool(_TOO_LONG.search(text)) and not _OF_PACE.search(text))


def told_of_length(text: str, body: str) -> tuple[int | None, str]:
    """Of a message that refuses a request for its length: the model's context, if told, and what to add to it."""
    ways = "shorten the task or its inputs, read them in shares (share), or name a model with a larger context"
    size = None if _OF_RATES.search(text) else _size(text) or _size(body)
    if size:
        return size, f"its context is {size:,} tokens; {ways}"
    return None, f'it is longer than the model takes; {ways}, or say what it takes, in the role: context = "4k"'


def _size(text: str) -> int | None:
    found = _SIZE.search(text)
    size = int(next(each for each in found.groups() if each).replace(",", "") or 0) if found else 0
    return size if _LEAST <= size <= _MOST else None
