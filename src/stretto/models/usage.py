"""What a reply says it took, read so that nothing it may say harms an account.

Sources: https://platform.openai.com/docs/api-reference/chat/object, and what others make of it: Gemini and xAI count
thoughts in the total only, DeepSeek has its own name for cached tokens, OpenAI has answered with less than nothing.
"""

import math
from typing import Any

from stretto.types import Usage

_MOST = 2**24  # tokens of one call: nobody reads or writes more
_LONGEST = 8  # characters of a token, in a text as a whole; so it has at least this many
_NAMES = (("prompt_tokens", "input_tokens"), ("completion_tokens", "output_tokens"), ("total_tokens",))


class Doubtful:
    """What says something of the tokens of a reply, but not how many they were."""


DOUBTFUL = Doubtful()


def usage_of(told: Any, characters: int = 0) -> Usage | Doubtful | None:
    """The usage that a reply of so many characters tells of, whatever its form; None if it tells nothing.

    Nothing is less than none or more than can be, the reply is as many tokens as its text and as is left of the total
    at least, and what is a part of something else is no more than that. Without a number for
    the reply, or with one that cannot be, it is doubtful.
    """
    if not told or not isinstance(told, dict):
        return DOUBTFUL if told else None
    given = [next((told[name] for name in names if told.get(name) is not None), None) for names in _NAMES]
    if not any(given):
        return None  # no request is free of tokens: a gateway that does not know
    asked, said, total = map(_tokens, given)
    if total is not None and asked is not None:
        said = max(total - asked, said or 0)
    if asked is None or said is None:
        return DOUBTFUL
    said = max(said, characters // _LONGEST)
    cached = _part(told.get("prompt_tokens_details"), "cached_tokens") or _tokens(told.get("prompt_cache_hit_tokens"))
    thought = _part(told.get("completion_tokens_details"), "reasoning_tokens")
    return Usage(asked, said, min(cached or 0, asked), min(thought, said))


def _part(details: Any, name: str) -> int:
    return (_tokens(details.get(name)) or 0) if isinstance(details, dict) else 0


def _tokens(value: Any) -> int | None:
    """A number of tokens, however it is written; None if it is none."""
    if isinstance(value, str):
        try:
            value = float(value[:40])
        except ValueError:
            return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _MOST:
        return None  # so is what is not a number
    return math.ceil(value)
