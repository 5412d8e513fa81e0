"""The folders of tests in a file system that is memory, where there is one with room."""

import os
import shutil
from pathlib import Path

MEMORY = Path("/dev/shm")  # noqa: S108 - Linux has it; pytest makes a folder there that is its user's only
_ROOM = 2 << 30  # bytes; tests have some 0.4 GB at once, and a container often no more than 64 MB


def keep_in_memory() -> None:
    """Have pytest make its folders there, unless whoever started it has named a place.

    Nobody pulls a plug in a test, and a kill loses nothing that was written: to wait for a disk at each commit was
    half of the time of most tests.
    """
    if os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > _ROOM:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))
