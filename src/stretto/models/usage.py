"""What a reply says it took, read so that nothing it may say harms an account.

Sources: https://platform.openai.com/docs/api-reference/chat/object, and what others make of it: Gemini and xAI count
thoughts in the total only, DeepSeek has its own name for cached tokens, OpenAI has answered with less than nothing.
"""

import math
from typing import Any

from stretto.types import Usage

_MOST = 2**24  # tokens of one call: nobody reads or writes more
_LONGEST = 8  # characters of a token, in a text as a whole; so it has at least this many
_NAMES = (
    (
        *("prompt_tokens", "input_tokens", "promptTokens", "inputTokens", "promptTokenCount"),
        *("prompt_token_count", "input_token_count", "prompt_eval_count"),
    ),
    (
        *("completion_tokens", "output_tokens", "completionTokens", "outputTokens", "candidatesTokenCount"),
        *("candidates_token_count", "generated_token_count", "eval_count"),
    ),
    ("total_tokens", "totalTokens", "totalTokenCount", "total_token_count"),
)
_BESIDE = ("cache_read_input_tokens", "cache_creation_input_tokens")
"""What Anthropic counts beside its `input_tokens`, not among them."""


class Doubtful:
    """What says something of the tokens of a reply, but not how many they were."""


DOUBTFUL = Doubtful()


def usage_of(told: Any, characters: int = 0) -> Usage | Doubtful | None:
    """The usage that a reply of so many characters tells of, whatever its form; None if it tells nothing.

    Nothing is less than none or more than can be, the reply is as many tokens as its text and as is left of the total
    at least, and what is called a part of something, but is more than that, is counted beside it. Without a number for
    the reply, or with one that cannot be, it is doubtful.
    """
    if not told or not isinstance(told, dict):
        return DOUBTFUL if told else None
    told = inside if isinstance(inside := told.get("tokens"), dict) else told  # Cohere counts what it bills beside it
    given = [_first(told, names) for names in _NAMES]
    if not any(given):
        return None  # no request is free of tokens: a gateway that does not know
    asked, said, total = map(_tokens, given)
    cached = _cached(told)
    thought = _part(told, ("completion_tokens_details", "output_tokens_details"), "reasoning_tokens")
    if said is not None and thought > said and total is None:
        said += thought
    if total is not None and asked is not None:
        said = max(total - asked, said or 0)
    if asked is None or said is None:
        return DOUBTFUL
    if "input_tokens" in told and "prompt_tokens" not in told:
        asked += sum(_tokens(told.get(name)) or 0 for name in _BESIDE)
    if cached > asked:
        asked += cached
    said = max(min(said, _MOST), characters // _LONGEST)
    return Usage(min(asked, _MOST), said, min(cached, asked, _MOST), min(thought, said))


def merged(before: Any, told: Any) -> Any:
    """What a reply tells of its usage, after what it has told before: some tell it in parts, or as it grows.

    Of two numbers for the same the larger counts.
    """
    if not isinstance(before, dict) or not isinstance(told, dict):
        return told
    kept = {name: value for name, value in before.items() if (_tokens(told.get(name)) or 0) < (_tokens(value) or 0)}
    return {**before, **{name: value for name, value in told.items() if value}, **kept}


def _first(told: dict[str, Any], names: tuple[str, ...]) -> Any:
    """What is told under the first of these names that tells anything."""
    return next((found for name in names if (found := told.get(name)) is not None), None)


def _cached(told: dict[str, Any]) -> int:
    if found := _part(told, ("prompt_tokens_details", "input_tokens_details"), "cached_tokens"):
        return found
    return _tokens(told.get("prompt_cache_hit_tokens")) or _tokens(told.get("cache_read_input_tokens")) or 0


def _part(told: dict[str, Any], tables: tuple[str, ...], name: str) -> int:
    """A number of tokens that is told in one of several tables of details, or beside them."""
    for each in tables:
        table = told.get(each)
        if isinstance(table, dict) and (found := _tokens(table.get(name))):
            return found
    return _tokens(told.get(name)) or 0


def _tokens(value: Any) -> int | None:
    """A number of tokens, however it is written; None if it is none."""
    if value is None:
        return None
    if value.__class__ is int and 0 <= value <= _MOST:  # nearly always
        return value
    if isinstance(value, str):
        try:
            value = float(value[:40])
        except ValueError:
            return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _MOST:
        return None  # so is what is not a number
    return math.ceil(value)
