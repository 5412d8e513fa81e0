"""Start-up: child processes timed from outside, from their start to their end."""

import os
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

from bench.job import TASK, Job
from bench.processes import endpoint
from bench.table import Part, Row, Setting, ms

_FLOW = """
[orchestrator]
model = "bench:{plan}"
[workers.work]
model = "bench:{work}"
[synthesizer]
model = "bench:{join}"
[providers.bench]
base_url = "{url}"
"""


def rows(setting: Setting) -> Part:
    """`stretto --help` and a whole run, each beside what it cannot do without."""
    script = str(Path(sys.executable).with_name("stretto"))
    with endpoint() as url:
        job, flow = Job(3), setting.folder / "flow.toml"
        flow.write_text(_FLOW.format(url=url, **{role: job.model(role) for role in ("plan", "work", "join")}))
        run = [script, "run", "-w", str(flow), "--store", str(setting.folder / "startup.db"), TASK]
        commands = {
            "help": [script, "--help"],
            "asyncio": [sys.executable, "-c", "import asyncio"],
            "run": run,
            "aiohttp": [sys.executable, "-c", "import asyncio, aiohttp"],
        }
        times = _timed(commands, setting)
    for ours, bare, what in (
        ("help", "asyncio", "stretto --help (bare: import asyncio)"),
        ("run", "aiohttp", "stretto run, 3 workers (bare: import asyncio, aiohttp)"),
    ):
        share = median(a / b for a, b in zip(times[ours], times[bare], strict=True))
        yield Row(what, ms(median(times[ours])), ms(median(times[bare])), share, 2.0)


def _timed(commands: dict[str, list[str]], setting: Setting) -> dict[str, list[float]]:
    """Seconds of each command, in turn; the first round only warms the disk's cache."""
    # Nothing of the user's own configuration counts.
    environ = {key: value for key, value in os.environ.items() if not key.startswith("STRETTO_")}
    environ["XDG_CONFIG_HOME"] = str(setting.folder / "config")
    times: dict[str, list[float]] = {name: [] for name in commands}
    for number in range(setting.rounds(10, 25) + 1):
        for name, command in commands.items():
            began = time.perf_counter()
            subprocess.run(command, check=True, capture_output=True, cwd=setting.folder, env=environ)
            if number:
                times[name].append(time.perf_counter() - began)
    return times
