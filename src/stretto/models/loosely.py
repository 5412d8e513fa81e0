"""JSON of a body read loosely: whatever it is encoded in, wrapped in, or followed by."""

import json
import math
from typing import Any

import msgspec

from stretto.text import clean


def loose(data: bytes) -> Any:
    """The JSON in these bytes; raises `ValueError` if there is none.

    Bytes that are no UTF-8 and escaped lone surrogates, on which a strict reader stops, become U+FFFD; numbers that are
    none, or larger than any, become null.
    """
    try:
        form = json.loads(
            data.decode(_encoding(data), "replace"),
            strict=False,
            parse_constant=lambda _: None,
            parse_int=lambda digits: int(digits) if len(digits) < _DIGITS else None,
            parse_float=lambda digits: number if math.isfinite(number := float(digits)) else None,
        )
        return msgspec.json.decode(clean(json.dumps(form, ensure_ascii=False)))
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _encoding(data: bytes) -> str:
    """That of JSON, whatever writes it: UTF-16 has a zero in its first four bytes, or says what it is."""
    found = json.detect_encoding(data)
    return "utf-8-sig" if found == "utf-8" else found


_DIGITS = 40


def several(data: bytes) -> list[bytes]:
    """The bodies in what is none itself: in a list, in an envelope or a text, or one behind the other."""
    try:
        form = loose(data)
    except ValueError:
        return _in_a_row(data)
    if isinstance(form, str) and "{" in form:
        return [form.encode()]
    if isinstance(form, list) and len(form) > 1:
        return [msgspec.json.encode(each) for each in form if isinstance(each, dict)]
    if isinstance(form, dict) and not form.get("choices"):
        inside = (form.get(name) for name in ("data", "result", "response", "body"))
        return [msgspec.json.encode(each) for each in inside if isinstance(each, dict) and each.get("choices")][:1]
    return []


def _in_a_row(data: bytes) -> list[bytes]:
    """Objects that somebody wrote into one event; none if anything else stands between or behind them."""
    text, at, found = data.decode("utf-8", "replace"), 0, list[bytes]()
    while at < len(text):
        begin = text.find("{", at)
        if text[at : max(begin, at) if begin >= 0 else len(text)].strip(" \t\r\n,") not in {
            "",
            "data:",
            "[DONE]",
            "data: [DONE]",
        }:
            return []
        if begin < 0:
            break
        try:
            _, at = _objects.raw_decode(text, begin)
        except (ValueError, RecursionError):
            return []
        found.append(text[begin:at].encode())
    return found


_objects = json.JSONDecoder(strict=False)


def claims(data: bytes) -> bool:
    """Whether a body says of itself that it is a chat completion, though it has no choices."""
    form = loose(data)
    named = isinstance(form, dict) and str(form.get("object", "")).startswith("chat.completion")
    return named or (isinstance(form, dict) and not {"choices", "usage"}.isdisjoint(form))
