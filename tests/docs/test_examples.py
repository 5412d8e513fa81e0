"""Every example runs as it stands, without a key; only the simulator's pace is another one."""

import os
import re
from pathlib import Path

import pytest

from forked import python
from places import ROOT

EXAMPLES = sorted((ROOT / "examples").glob("*.py"))


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_an_example_runs(example: Path, tmp_path: Path) -> None:
    for each in EXAMPLES:
        text = re.sub(r"\bsim:(default|fast)\b", "sim:instant", each.read_text(encoding="utf-8"))
        (tmp_path / each.name).write_text(text, encoding="utf-8")
    environ = {name: value for name, value in os.environ.items() if not name.endswith("_API_KEY")}
    runner = ["-m", "pytest", "-q", "-p", "no:cacheprovider"] if example.name.startswith("test_") else []
    done = python(*runner, example.name, folder=tmp_path, environ=environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"})
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.strip()
    assert "Traceback" not in done.stderr
