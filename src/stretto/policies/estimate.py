"""What a call will take, before it is made: tokens from text, without a tokenizer.

`tokens_…` is what a text will be as a rule and rather more, `most_…` what it may be at most, whatever is in it.
"""

from collections.abc import Mapping
from typing import Any

from stretto.types import Head, Request, RoleName

BYTES = 3
"""Bytes of UTF-8 that make at least one token: English has 4 to 5, Chinese about 3, code 3 to 4."""
_PER_MESSAGE = 8
"""Tokens that a message takes beside its text, and more."""
PER_IMAGE = 16_384
"""Tokens of an image at most: a few hundred to 5,000 as a rule, as many as this where it is not made smaller."""

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


_LIGHT = b"abcdefghijklmnopqrstuvwxyz \n\r\t.,:;'\"=-_*#()/`"
_DIGITS = b"0123456789"
_ASCII, _HIGH = bytes(range(128)), bytes(range(128, 256))
# What a character may be in tokens, by the first of its bytes: no more than these bytes, and Chinese, Japanese and
# Korean no more than two.
_LEADS = (
    (1, bytes(range(0xC0, 0xE0))),
    (2, bytes(range(0xE3, 0xEE))),
    (3, b"\xe0\xe1\xe2\xee\xef"),
    (4, bytes(range(0xF0, 0x100))),
)
_OTHERS = tuple((tokens, bytes(set(range(256)) - set(leads))) for tokens, leads in _LEADS)


def thirds_in(text: str) -> int:
    """Thirds of tokens that a text may be at most: a third for what prose is made of, for all else a whole one.

    Two for a digit, because some tokenizers take each by itself, and the blank before it too.
    """
    data = text.encode()
    dense = data.translate(None, _LIGHT)
    if not dense:
        return len(data)
    thirds = len(data) - len(dense)
    if not dense.isascii():
        high, dense = dense.translate(None, _ASCII), dense.translate(None, _HIGH)
        thirds += 3 * sum(tokens * len(high.translate(None, others)) for tokens, others in _OTHERS)
    return thirds + 3 * (2 * len(dense) - len(dense.translate(None, _DIGITS)))


def breadth(text: str) -> int:
    """Characters of a text, those of Chinese, Japanese, Korean and of pictures counted as three."""
    return len(text) if text.isascii() else len(text) + 2 * sum(letter > "\u2e7f" for letter in text)


def most_in(text: str) -> int:
    """Tokens that a text may be at most, whatever is in it."""
    return -(-thirds_in(text) // 3)


def most_asked(request: Request, head: int | None = None) -> int:
    """Tokens that a request may be at most; `head`: those of what is at its head, if that was reckoned before."""
    total = sum([most_in(message.content) + _PER_MESSAGE for message in request.messages])
    if request.head:
        total += most_head(request.head) if head is None else head
    return total + (most_in(str(request.schema)) if request.schema else 0)


def most_head(head: Head) -> int:
    """Tokens that what is at the head of a request may be at most."""
    return most_in(head.text) + PER_IMAGE * len(head.images) + _PER_MESSAGE


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
