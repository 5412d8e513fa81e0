"""Files that hold a run."""

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from stretto.errors import StrettoError
from stretto.ground.files import failing_as


def write_whole(output: Path, lines: Iterable[bytes], option: str) -> None:
    """All of it, or nothing: beside the file first, and for its owner only, because it holds prompts and replies.

    A pipe or device is written to as it is: a file in its place would be the end of `/dev/null`.
    """
    with failing_as(StrettoError, f"{output}: cannot be written", f"; name another file with {option}"):
        if output.exists() and not output.is_file():
            with output.open("wb") as file:
                file.writelines(lines)
            return
        beside = output.with_name(f".{output.name}.{os.getpid()}")
        try:
            with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:  # noqa: PTH123 - a number
                file.writelines(lines)
            beside.replace(output)
        finally:
            with suppress(OSError):
                beside.unlink()
