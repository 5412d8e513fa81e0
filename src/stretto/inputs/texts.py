"""The text in a file, unchanged but for a byte order mark; or why there is none."""

import os
import stat
from pathlib import Path

_KINDS: tuple[tuple[bytes, str], ...] = (
    (b"\x89PNG\r\n", "an image (PNG)"),
    (b"\xff\xd8\xff", "an image (JPEG)"),
    (b"GIF8", "an image (GIF)"),
    (b"II*\0", "an image (TIFF)"),
    (b"MM\0*", "an image (TIFF)"),
    (b"%PDF-", "a PDF; make a text of it first (pdftotext FILE -)"),
    (b"\xff\xfe", "UTF-16 text; make UTF-8 of it first (iconv -f UTF-16 -t UTF-8)"),
    (b"\xfe\xff", "UTF-16 text; make UTF-8 of it first (iconv -f UTF-16 -t UTF-8)"),
)
_ONLY_TEXT = "; models are sent text only"


class NoTextError(Exception):
    """There is no text to be had; the message says why and what helps. `too_large`: there may be, but too much."""

    def __init__(self, why: str, *, too_large: bool = False) -> None:
        super().__init__(why)
        self.too_large = too_large


def read_text(path: Path, most: int) -> str:
    """The text in a file of at most so many bytes; raises `NoTextError`, and `OSError` if it cannot be read."""
    # Opened so that a pipe without a writer holds nobody up, and looked at as what was opened.
    number = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    with open(number, "rb") as file:  # noqa: PTH123 - of a descriptor
        found = os.fstat(number)
        if not stat.S_ISREG(found.st_mode):
            raise NoTextError("no regular file (a pipe, a socket or a device); pipe its text in, with -i -")
        # What is no text is not too large a text.
        start = file.read(8192)
        _check_kind(start)
        if found.st_size > most:
            raise too_large(found.st_size, most)
        data = start + file.read(most + 1)  # it may have grown meanwhile, or be of those that never say their size

    if len(data) > most:
        raise too_large(len(data), most)
    return decoded(data)


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
    for beginning, kind in _KINDS:
        if start.startswith(beginning):
            raise NoTextError(kind + (_ONLY_TEXT if kind.startswith("an image") else ""))
    if start[:4] == b"RIFF" and start[8:12] == b"WEBP":
        raise NoTextError(f"an image (WebP){_ONLY_TEXT}")
    if b"\0" in start:
        raise NoTextError(f"binary data (byte {start.index(0)}){_ONLY_TEXT}")
