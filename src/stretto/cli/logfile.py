"""`--log FILE`: what `stretto.logger` says of runs, in a file."""

import logging
from pathlib import Path

from stretto.errors import TaskError
from stretto.ground.text import one_line


def log_into(file: Path) -> None:
    """Add every record to the file, a line each; raises `TaskError` if it cannot be written."""
    try:
        handler = logging.FileHandler(file, encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise TaskError(f"--log {file}: cannot be written: {error.strerror or error}; name another file") from error
    handler.setFormatter(_Line("%(asctime)s %(levelname)-7s %(message)s"))
    logger = logging.getLogger("stretto")
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)


class _Line(logging.Formatter):
    """A record in a line, whatever came with it (a traceback, say)."""

    def format(self, record: logging.LogRecord) -> str:
        return one_line(super().format(record))
