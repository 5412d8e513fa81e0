"""`stretto serve` against its own `/openapi.json`: schemathesis (https://schemathesis.io) finds no difference."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from terminal import Terminal

SCHEMATHESIS = str(Path(sys.executable).with_name("schemathesis"))
# What a schema cannot say (the last message is the user's, a run is there, its plan waits) is refused all the same.
LEFT_OUT = ("--exclude-checks", "positive_data_acceptance")


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """A server on the simulator, for as long as this is open: its address."""
    terminal = Terminal(folder)
    with terminal.start("serve", "--port", "0", "-w", "general", "-m", "sim:instant", stderr=None) as child:
        try:
            assert child.stdout is not None
            yield child.stdout.readline().decode().strip().removesuffix("/v1")
        finally:
            child.terminate()


@pytest.mark.parametrize(
    "how",
    [
        # One address after the other, with what its schema allows and with what it forbids.
        ("--phases", "examples,coverage,fuzzing", "--max-examples", "10"),
        # One after the other as they follow from each other; the events of a run that waits for approval have no end.
        ("--phases", "stateful", "--max-examples", "10", "--exclude-path-regex", "/events$"),
    ],
    ids=["each", "in turn"],
)
def test_what_is_served_is_what_is_said(how: tuple[str, ...], tmp_path: Path) -> None:
    with serving(tmp_path) as url:
        command = [SCHEMATHESIS, "run", f"{url}/openapi.json", *how, *LEFT_OUT]
        settled = ["--seed", "1", "--request-timeout", "300", "--suppress-health-check", "all", "--no-color"]
        done = subprocess.run([*command, *settled], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
