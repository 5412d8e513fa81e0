"""The text in a file, unchanged but for a byte order mark; or why there is none."""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from stretto.ground.text import other_encoding
from stretto.types.images import LARGEST, media_of

_KINDS: tuple[tuple[bytes, str], ...] = (
    (b"II*\0", "an image (TIFF); make a PNG of it first"),
    (b"MM\0*", "an image (TIFF); make a PNG of it first"),
    (b"%PDF-", "a PDF; make a text of it first (pdftotext FILE -)"),
)
_NO_FILE = "no regular file (a pipe, a socket or a device); pipe its text in, with -i -"
_ONLY_TEXT = "; models are sent text only"


class NoTextError(Exception):
    """There is no text to be had; the message says why and what helps. `too_large`: there may be, but too much."""

    def __init__(self, why: str, *, too_large: bool = False) -> None:
        super().__init__(why)
        self.too_large = too_large


def read_text(path: Path, most: int) -> str:
    """The text in a file of at most so many bytes; raises `NoTextError`, and `OSError` if it cannot be read."""
    with _opened(path) as file:
        # What is no text is not too large a text.
        start = file.read(8192)
        _check_kind(start)
        if (size := os.fstat(file.fileno()).st_size) > most:
            raise too_large(size, most)
        data = start + file.read(most + 1)  # it may have grown meanwhile, or be of those that never say their size

    if len(data) > most:
        raise too_large(len(data), most)
    return decoded(data)


def read_image(path: Path) -> bytes | None:
    """The image in a file, a byte more of it than there may be at most; None if it is none that models take."""
    with _opened(path) as file:
        start = file.read(16)
        return start + file.read(LARGEST + 1 - len(start)) if media_of(start) else None


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    # Opened so that a pipe without a writer holds nobody up, and looked at as what was opened.
    try:
        number = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except OSError as error:
        if error.errno == errno.ENXIO:  # a socket cannot even be opened
            raise NoTextError(_NO_FILE) from error
        raise
    with open(number, "rb") as file:  # noqa: PTH123 - of a descriptor
        if not stat.S_ISREG(os.fstat(number).st_mode):
            raise NoTextError(_NO_FILE)
        yield file


def too_large(size: int, most: int) -> NoTextError:
    """The error for a text that is larger than all inputs together may be."""
    return NoTextError(
        f"{size:,} bytes, and all inputs together may have {most:,}, because every call carries them; name a part of "
        "it, or permit more (--max-input)",
        too_large=True,
    )


def decoded(data: bytes) -> str:
    """The text that bytes hold; raises `NoTextError` if it is none."""
    _check_kind(data)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise NoTextError(f"not UTF-8 text (byte {error.start}){_ONLY_TEXT}") from error
    if not text.strip():
        raise NoTextError("there is nothing in it; leave it out")
    return text


def _check_kind(start: bytes) -> None:
    if media := media_of(start):
        raise NoTextError(f"an image ({media.partition('/')[2]}), which is sent if its file is named itself")
    found = next((kind for beginning, kind in _KINDS if start.startswith(beginning)), other_encoding(start))
    if found is not None:
        raise NoTextError(found)
    if b"\0" in start:
        raise NoTextError(f"binary data (byte {start.index(0)}){_ONLY_TEXT}")
