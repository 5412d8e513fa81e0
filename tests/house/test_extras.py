"""How an extra is installed: as this Stretto was."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from places import ROOT
from stretto.ground.extras import Installation, installing
from stretto.models.discovery import none_found

CHECKOUT = {"url": "file:///src/my%20stretto", "dir_info": {"editable": True}}
FOLDER = Path("/src/my stretto")
WHEEL = {"url": "file:///w/s-1.whl", "archive_info": {}}
GIT = {"url": "https://host/stretto.git", "vcs_info": {"vcs": "git", "commit_id": "abc"}}
HERE, ELSEWHERE = FOLDER, Path("/")


@pytest.mark.parametrize(
    ("origin", "by", "prefix", "here", "command"),
    [
        (CHECKOUT, "uv", FOLDER / ".venv", HERE, "uv sync --inexact --extra prices"),
        (CHECKOUT, "uv", FOLDER / ".venv", ELSEWHERE, "uv sync --project '/src/my stretto' --inexact --extra prices"),
        (CHECKOUT, "uv", Path("/env"), HERE, "uv pip install --python /env/bin/python -e '.[prices]'"),
        (CHECKOUT, "pip", Path("/env"), HERE, "pip install -e '.[prices]'"),
        (CHECKOUT, "pip", Path("/env"), ELSEWHERE, "pip install -e '/src/my stretto[prices]'"),
        ({**CHECKOUT, "dir_info": {}}, "pip", Path("/env"), HERE, "pip install '.[prices]'"),
        (WHEEL, "pip", Path("/env"), HERE, "pip install '/w/s-1.whl[prices]'"),
        (GIT, "pip", Path("/env"), HERE, "pip install 'stretto[prices] @ git+https://host/stretto.git'"),
        ({}, "pip", Path("/env"), HERE, "pip install 'stretto[prices]'"),
        ({}, "uv", Path("/env"), HERE, "uv pip install --python /env/bin/python 'stretto[prices]'"),
    ],
)
def test_the_command_is_that_of_whoever_installed_it(
    origin: dict[str, Any], by: str, prefix: Path, here: Path, command: str
) -> None:
    assert Installation(origin, by, prefix, f"{prefix}/bin/python").adding("prices", here) == command


@pytest.mark.parametrize(
    ("receipt", "command"),
    [
        ("uv-receipt.toml", "uv tool install 'stretto[local]'"),
        ("pipx_metadata.json", "pipx install --force 'stretto[local]'"),
    ],
)
def test_tools_that_keep_programs_apart_are_asked_themselves(tmp_path: Path, receipt: str, command: str) -> None:
    (tmp_path / receipt).touch()
    assert Installation({}, "uv", tmp_path, sys.executable).adding("local", HERE) == command


def test_one_command_stands_in_every_message() -> None:
    assert installing("local") in str(none_found())
    assert "--extra local" in installing("local") or "[local]" in installing("local")


def test_a_stretto_that_nobody_installed_names_its_own_folder(tmp_path: Path) -> None:
    source = ROOT / "src"
    msgspec = next(Path(path) / "msgspec" for path in sys.path if (Path(path) / "msgspec").is_dir())
    (tmp_path / "msgspec").symlink_to(msgspec)  # which is all it needs, and nothing says of it that Stretto is here
    code = (
        "import sys; sys.path[:0] = sys.argv[1:]; from stretto.ground import extras as e; print(e.installing('prices'))"
    )
    ran = [sys.executable, "-S", "-c", code, str(source), str(tmp_path)]
    done = subprocess.run(ran, capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stdout == f"pip install -e '{source.parent}[prices]'\n"
