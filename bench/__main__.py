"""`python -m bench`: print the table."""

import argparse
import contextlib
import os
import resource
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from bench import chaos, cpu, faults, limits, makespan, memory, overshoot, rerun, serve, startup, streaming, tail
from bench.table import Part, Row, Setting, heading, show

_PARTS: dict[str, Callable[[Setting], Part]] = {
    "cpu": cpu.rows,
    "uneven": makespan.uneven,
    "orders": makespan.orders,
    "limited": makespan.limited,
    "even": makespan.even,
    "long": makespan.long_limited,
    "limits": limits.rows,
    "governor": limits.governor,
    "tail": tail.rows,
    "overshoot": overshoot.rows,
    "streaming": streaming.rows,
    "serve": serve.rows,
    "startup": startup.rows,
    "memory": memory.rows,
    "faults": faults.rows,
    "rerun": rerun.rows,
    "chaos": chaos.rows,
}


def main() -> None:
    """Measure the parts that were asked for and print their rows."""
    parser = argparse.ArgumentParser(prog="python -m bench", description="What Stretto costs, beside a bare loop.")
    parser.add_argument("--quick", action="store_true", help="fewer rounds and shorter jobs: about a minute")
    parser.add_argument("--only", action="append", choices=_PARTS, metavar="NAME", help=", ".join(_PARTS))
    parser.add_argument("--judge", action="store_true", help="exit with 1 if a target was missed")
    given = parser.parse_args()
    permit_files()
    missed = False
    print(heading(), flush=True)
    # Not /tmp, which may be in memory: the log is to be on a disk.
    with tempfile.TemporaryDirectory(prefix="stretto-bench-", dir=_disk()) as folder:
        _compile_to(folder)
        for name in given.only or _PARTS:
            for row in _PARTS[name](Setting(given.quick, Path(folder))):
                print(show(row), flush=True)
                missed = missed or (isinstance(row, Row) and row.met is False)
    sys.exit(missed and given.judge)


def _disk() -> str | None:
    return next((path for path in ("/var/tmp",) if Path(path).is_dir()), None)  # noqa: S108 - a folder of ours in it


def _compile_to(folder: str) -> None:
    """Our processes find modules compiled after the first time, as a user's do, and leave the source folders alone."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    os.environ.pop("PYTHONUNBUFFERED", None)
    os.environ["PYTHONPYCACHEPREFIX"] = str(Path(folder) / "compiled")


def permit_files() -> None:
    """A thousand workers are a thousand connections, on both sides."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(4096, hard)), hard))


if __name__ == "__main__":
    main()
