"""The most memory this process has had; the standard library only."""

import resource
import sys
from pathlib import Path


def peak_memory() -> int:
    """In bytes."""
    status = Path("/proc/self/status")
    if status.exists():  # ru_maxrss of Linux begins with what the parent had when it forked
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
