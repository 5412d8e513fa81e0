"""`--log FILE`: what `stretto.logger` says of runs, in a file."""

import logging
from pathlib import Path

from stretto.errors import TaskError
from stretto.ground.files import failing_as
from stretto.ground.text import one_line


def log_into(file: Path) -> None:
    """Add every record to the file, a line each; raises `TaskError` if it cannot be written."""
    with failing_as(TaskError, f"--log {file}: cannot be written", "; name another file"):
        handler = logging.FileHandler(file, encoding="utf-8", errors="backslashreplace")
    handler.setFormatter(_Line("%(asctime)s %(levelname)-7s %(message)s"))
    logger = logging.getLogger("stretto")
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)


class _Line(logging.Formatter):
    """A record in a line, whatever came with it (a traceback, say)."""

    def format(self, record: logging.LogRecord) -> str:
        return one_line(super().format(record))
