"""Images that a task comes with: which there may be, and how they go to a model."""

import binascii

from stretto.errors import TaskError
from stretto.types import Input

LARGEST = 5_000_000
"""Bytes of one image: what providers take."""
MOST = 20
"""Images of one run: every call carries all of them."""
SIZE = 6000
"""Bytes of text that an image is reckoned as: 2,000 tokens, which is rather more than it takes."""

_KINDS = ((b"\x89PNG\r\n\x1a\n", "image/png"), (b"\xff\xd8\xff", "image/jpeg"), (b"GIF8", "image/gif"))


def media_of(start: bytes) -> str | None:
    """The type of an image that models may take, by its first bytes; None for everything else."""
    if start[:4] == b"RIFF" and start[8:12] == b"WEBP":
        return "image/webp"
    return next((media for beginning, media in _KINDS if start.startswith(beginning)), None)


def image_input(name: str, data: bytes) -> Input:
    """The input that an image is; raises `TaskError` if it is none, or too large."""
    media = media_of(data)
    if media is None:
        raise TaskError(f"{name[:80]}: no image that models take; make a PNG, JPEG, GIF or WebP of it")
    if len(data) > LARGEST:
        raise TaskError(f"{name[:80]}: an image of more than {LARGEST:,} bytes; make it smaller, or name a part of it")
    return Input(name, media=media, data=binascii.b2a_base64(data, newline=False).decode())


def checked_image(image: Input) -> Input:
    """An input that is to be an image, if it is one; raises `TaskError`."""
    try:
        data = binascii.a2b_base64(image.data, strict_mode=True)
    except (TypeError, ValueError) as error:
        raise TaskError(f"{image.name[:80]}: its data is no base64 ({error})") from error
    found = image_input(image.name, data)
    if image.text or image.media != found.media:
        raise TaskError(f"{image.name[:80]}: an image has no text, and the media type of its data: {found.media}")
    return found


def uri(image: Input) -> str:
    """An image as one address (RFC 2397)."""
    return f"data:{image.media};base64,{image.data}"
