"""Refusals of a request because it is longer than what a model takes, in the words of those who say so.

Sources: the errors of llama.cpp (`exceed_context_size_error`), vLLM, OpenAI (`context_length_exceeded`), Anthropic,
Gemini, Together, Mistral and LM Studio, as their issue trackers quote them.
"""

import re

from stretto.ground.regex import regex

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
