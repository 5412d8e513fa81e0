"""What people copy out of the documents is typed: mypy --strict and pyright find nothing in it."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from pages import PAGES, blocks
from places import ROOT

HERE = Path(__file__).parent
README = "../README.md"
ALONE = os.environ | {"PYRIGHT_PYTHON_GLOBAL_NODE": "0", "PYRIGHT_PYTHON_IGNORE_WARNINGS": "1"}
"""With the Node that was installed beside pyright, and without a look whether there is a newer one."""


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with every block of Python that the documents show, each where it says it belongs."""
    folder = tmp_path_factory.mktemp("shown")
    for page in [*PAGES, README]:
        name = page.removeprefix("../").removesuffix(".md").replace("/", "_").replace("-", "_").lower()
        cells: list[str] = []
        for number, block in enumerate(blocks(page), 1):
            if block.language != "python" or block.remark.startswith("not run here"):  # that is another library's
                continue
            if block.remark.startswith("not run"):  # one cell of a notebook after the other
                cells.append(block.code)
            else:
                write(folder / (block.title or f"{name}_{number}.py"), block.code)
        if cells:
            write(folder / f"{name}_cells.py", as_function(cells))
    for path in (HERE / "told.py", *(ROOT / "examples").glob("*.py")):
        write(folder / path.name, path.read_text(encoding="utf-8"))
    write(folder / "pyproject.toml", '[tool.pyright]\ntypeCheckingMode = "strict"\n')
    return folder


def write(path: Path, code: str) -> None:
    assert not path.exists(), f"{path.name}: two pages show a file of this name"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(code, encoding="utf-8")


def as_function(cells: list[str]) -> str:
    """The cells of a notebook, where one may `await`, as one function."""
    return "async def cells() -> None:\n" + textwrap.indent("\n".join(cells), "    ")


def found(folder: Path, *command: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", *command], cwd=folder, env=ALONE, capture_output=True, text=True, check=False
    )
    return "" if done.returncode == 0 else done.stdout + done.stderr


def test_there_is_something_to_look_at(shown: Path) -> None:
    assert len([*shown.rglob("*.py")]) > 20


def test_mypy_strict_finds_nothing(shown: Path) -> None:
    assert found(shown, "mypy", "--strict", "--explicit-package-bases", "--cache-dir", ".cache", ".") == ""


def test_pyright_strict_finds_nothing(shown: Path) -> None:
    assert found(shown, "pyright", "--pythonpath", sys.executable, ".") == ""


def test_what_is_wrong_is_found(tmp_path: Path) -> None:
    limits = "stretto.Limits(budget=[50])"
    code = (
        f'import stretto\n\nflow = stretto.Workflow(None, {{"a": "sim:a"}}, limits={limits})\nrun = flow.run_sync(3)\n'
    )
    write(tmp_path / "wrong.py", code)
    for command in (("mypy", "--strict", "wrong.py"), ("pyright", "--pythonpath", sys.executable, "wrong.py")):
        told = found(tmp_path, *command)
        assert "wrong.py:3" in told, told
        assert "wrong.py:4" in told, told
