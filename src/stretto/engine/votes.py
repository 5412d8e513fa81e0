"""When two replies say the same, so that they can be counted."""

import json
import unicodedata
from collections.abc import Callable, Sequence
from typing import Any

_ENDS = ".,;:!?…。、，；：！？｡､؟،؛۔।॥"  # noqa: RUF001 - they are meant
"""What a sentence may end with, in any script."""
_BEGINNINGS = "¿¡"
_PAIRS = (
    ("**", "**"), ("__", "__"), ("*", "*"), ("_", "_"), ("~~", "~~"), ("`", "`"),
    ('"', '"'), ("'", "'"), ("“", "”"), ("„", "“"), ("‘", "’"), ("«", "»"), ("‹", "›"),  # noqa: RUF001
    ("「", "」"), ("『", "』"), ("《", "》"),
)  # fmt: skip
"""Quotes and Markdown emphasis that may stand around a reply."""
_INVISIBLE = "\ufeff\u200b\u200e\u200f"


def tally(replies: Sequence[str], same: Callable[[str], str]) -> tuple[int, int]:
    """Which reply most others say too (of several such, the first; from 0), and how many say it, itself included."""
    keys = [same(reply) for reply in replies]
    most = max(keys.count(key) for key in keys)
    return next(index for index, key in enumerate(keys) if keys.count(key) == most), most


def folded(text: str) -> str:
    """A reply without what makes no other reply of it: case, spaces, punctuation and emphasis around it.

    Signs, brackets and symbols stay: -5 is not 5, 50 % not 50, and [0, 1) not (0, 1).
    """
    kept = text = " ".join(unicodedata.normalize("NFC", text).strip(_INVISIBLE + " \t\r\n").casefold().split())
    while kept:
        text = kept
        for opening, closing in _PAIRS:
            if len(kept) > len(opening + closing) and kept.startswith(opening) and kept.endswith(closing):
                kept = kept[len(opening) : -len(closing)].strip()
                break
        else:
            kept = kept.rstrip(_ENDS).lstrip(_BEGINNINGS).strip()
        if kept == text:
            break
    return text


def as_json(text: str) -> str:
    """A reply that is JSON without what makes no other value of it: blanks, the order of keys, 1.0 for 1."""
    try:
        return json.dumps(_plain(json.loads(text)), sort_keys=True)
    except (ValueError, RecursionError):
        return folded(text)


def _plain(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, list) else value
