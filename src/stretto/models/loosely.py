"""JSON of a body read loosely: whatever it is encoded in, wrapped in, or followed by."""

import json
import math
import zlib
from contextlib import suppress
from typing import Any

import msgspec

from stretto.ground.regex import regex
from stretto.ground.text import clean

# Bytes beyond ASCII that are no letter of UTF-8, nor the beginning of one that was cut.
_LETTER = regex(rb"[\xc2-\xf4][\x80-\xbf]{1,3}")
_BEYOND = regex(rb"[\xc0-\xff]|(?<=[ !#-~])[\xa0-\xbf]")
_NEVER = b"\xff"  # hardly a letter of any text, and so the mark of damaged bytes
_WEST = "cp1252"
"""What is called Latin-1, and what software that never heard of UTF-8 writes."""


def loose(data: bytes, charset: str = "") -> Any:
    """The JSON in these bytes; raises `ValueError` if there is none. `charset`: what they are said to be encoded in.

    Bytes that are no UTF-8 and escaped lone surrogates, on which a strict reader stops, become U+FFFD; numbers that are
    none, or larger than any, become null.
    """
    return tidied(rough(data, charset))


def rough(data: bytes, charset: str = "") -> Any:
    """The same, with halves of letters left as they are: the other half may be the first of the next piece."""
    try:
        return json.loads(
            decoded(data, charset, "surrogateescape"),
            strict=False,
            parse_constant=lambda _: None,
            parse_int=lambda digits: int(digits) if len(digits) < _DIGITS else None,
            parse_float=lambda digits: number if math.isfinite(number := float(digits)) else None,
        )
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def tidied(form: Any) -> Any:
    """The same JSON without halves of letters."""
    try:
        return msgspec.json.decode(clean(json.dumps(form, ensure_ascii=False)))
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def decoded(data: bytes, charset: str = "", errors: str = "replace") -> str:
    """The text in these bytes: JSON is in UTF-8 whatever is said of it, unless it cannot be.

    `errors`: what becomes of bytes that are no letters, as `bytes.decode` takes it.
    """
    found = json.detect_encoding(data)  # UTF-16 has a zero in its first four bytes, or says what it is
    encoding = "utf-8-sig" if found == "utf-8" else found
    with suppress(UnicodeDecodeError):
        return data.decode(encoding)
    if encoding == "utf-8-sig":
        letters = len(_LETTER.findall(data))
        if charset.lower().replace("_", "-") not in {"", "utf-8", "utf8", "us-ascii", "iso-8859-1", "latin-1", _WEST}:
            with suppress(LookupError, ValueError):
                return data.decode(charset)
        if _NEVER not in data and len(_BEYOND.findall(_LETTER.sub(b"", data))) > letters:
            return data.decode(_WEST, "replace")
        return data.decode(encoding, errors)
    return data.decode(encoding, "replace")


def unpacked(data: bytes, most: int) -> bytes:
    """What was compressed with gzip, up to so many bytes, where a proxy lost the header that says so; else the same."""
    for _ in range(2):
        if not data.startswith(b"\x1f\x8b"):
            break
        try:
            data = zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(data, most)
        except zlib.error:
            break
    return data


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
    """Objects that somebody wrote into one event, or with other things around them: a warning of PHP's, a stray null.

    None unless one of them is a reply or an error, and each that begins is whole.
    """
    text, at, found, says = data.decode("utf-8", "replace"), 0, list[bytes](), False
    while (begin := text.find("{", at)) >= 0:
        try:
            form, at = _objects.raw_decode(text, begin)
        except (ValueError, RecursionError):
            return []
        says = says or not {"choices", "error"}.isdisjoint(form)
        found.append(text[begin:at].encode())
    return found if says else []


_objects = json.JSONDecoder(strict=False)


_OTHERS = {
    "candidates": "Gemini's own interface",
    "content": "Anthropic's own interface",
    "message": "Ollama's own interface",
    "output": "OpenAI's Responses",
}
"""Where a reply stands in other interfaces than chat completions."""
_EVENTS = {
    "message_start": _OTHERS["content"],
    "content_block": _OTHERS["content"],
    "response.": _OTHERS["output"],
}
"""How the types of their events begin."""


def other_interface(data: bytes) -> str:
    """Whose form a body has that is no chat completion, as far as it is known."""
    form = loose(data)
    if not isinstance(form, dict):
        return ""
    kind = str(form.get("type", ""))
    streamed = next((whose for begins, whose in _EVENTS.items() if kind.startswith(begins)), "")
    return streamed or next((whose for name, whose in _OTHERS.items() if form.get(name)), "")


def claims(data: bytes) -> bool:
    """Whether a body says of itself that it is a chat completion, though it has no choices."""
    form = loose(data)
    named = isinstance(form, dict) and str(form.get("object", "")).startswith("chat.completion")
    return named or (isinstance(form, dict) and not {"choices", "usage"}.isdisjoint(form))
