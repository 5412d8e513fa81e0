"""What a call will take, before it is made: tokens from text, without a tokenizer."""

from collections.abc import Mapping
from typing import Any

from stretto.types import Request, RoleName

BYTES = 3
"""Bytes of UTF-8 that make at least one token: English has 4 to 5, Chinese about 3, code 3 to 4."""
_PER_MESSAGE = 8
"""Tokens that a message takes beside its text, and more."""

USUAL = 4096
"""Tokens of a reply, at most, of a call that sets no limit itself and needs one."""
_ENOUGH = 512
"""Tokens with which a reply that sets no limit itself may do, if the budget is short."""
_FLOOR = 4  # one that sets a limit is not kept shorter than the fourth part of it
_SHORTEST = 64  # tokens, unless less was wanted
_PER_SUBTASK = 96
"""Tokens of one line of a plan, and more."""


def size_of(text: str) -> int:
    """Bytes of a text in UTF-8."""
    return len(text) if text.isascii() else len(text.encode())


def tokens_in(text: str, each: float = BYTES) -> int:
    """Tokens of a text, and rather more than fewer; `each`: bytes of one."""
    return int(-(-size_of(text) // each))


def tokens_asked(request: Request, each: float = BYTES) -> int:
    """Tokens of a request, and rather more than fewer."""
    total = sum([tokens_in(message.content, each) + _PER_MESSAGE for message in request.messages])
    if request.head:
        total += int(-(-request.head.size // each)) + _PER_MESSAGE
    return total + (tokens_in(str(request.schema), each) if request.schema else 0)


def size_asked(request: Request) -> int:
    """Bytes of a request, as far as a model reads them."""
    total = sum([size_of(message.content) for message in request.messages])
    return total + (request.head.size if request.head else 0)


def most_output(options: Mapping[str, Any]) -> int | None:
    """The limit of tokens that the options of a request set for its reply."""
    limit = options.get("max_completion_tokens") or options.get("max_tokens")
    return limit if isinstance(limit, int) and limit > 0 else None


def least_output(wanted: int, *, told: bool) -> int:
    """The shortest reply that is still worth its price; `told`: the request itself sets the limit that is `wanted`."""
    return min(wanted, max(_SHORTEST, wanted // _FLOOR) if told else _ENOUGH)


def usual_output(role: RoleName, max_subtasks: int) -> int:
    """The limit for a reply that has none; a plan may have as many lines as it may have."""
    return max(USUAL, _PER_SUBTASK * max_subtasks) if role == "orchestrator" else USUAL
