"""The pages of docs/ for tests: their blocks of code, and a world in which a reader would type them."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from places import ROOT
from programs import Programs
from stretto.config import read_file
from stretto.models.providers import KNOWN, variable

DOCS = ROOT / "docs"
PAGES = sorted(path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md"))

_BLOCK = re.compile(
    r"(?:<!-- (?P<remark>[^\n]*?) -->\n\n?)?```(?P<language>\w+)(?P<rest>[^\n]*)\n(?P<code>.*?)^```$",
    re.DOTALL | re.MULTILINE,
)
_REHEARSED = re.compile(r"(\brehearse\b.* --runs )\d+")
_TITLE = re.compile(r'title="([^"]+)"')
_FILES = {
    "task.md": "Compare Postgres and SQLite as a job queue in exactly 3 subtasks.\n",
    "docs/guide.md": "# Guide\n\nThe queue keeps jobs for 30 days. A job runs once.\n",
    "docs/faq.md": "# FAQ\n\nJobs are kept for ever. Nobody may read the store.\n",
    "docs/conventions.md": "Errors name the place. No abbreviations.\n",
    "src/queue.py": "def take(items):\n    return items.pop(0)\n",
    "contract.md": "# Contract\n\nIt ends on 31 December.\n",
}


@dataclass(frozen=True)
class Block:
    """A block of code: what it is written in, the file it is to be in, and what a comment above it says of it."""

    language: str
    title: str
    remark: str
    code: str


def blocks(page: str) -> list[Block]:
    """The blocks of a page, in their order."""
    text = (DOCS / page).read_text(encoding="utf-8")
    return [
        Block(
            each["language"],
            found[1] if (found := _TITLE.search(each["rest"])) else "",
            each["remark"] or "",
            each["code"],
        )
        for each in _BLOCK.finditer(text)
    ]


def repository(folder: Path) -> Path:
    """A small repository, with one change that is not committed."""
    for name, text in _FILES.items():
        _write(folder / name, text)
    git = "git -c user.name=a -c user.email=a@b"
    line = f"git init -q -b main --template= . && git add . && {git} commit -qm 'A queue'"
    world = {"PATH": os.environ["PATH"], "GIT_CONFIG_GLOBAL": os.devnull}
    subprocess.run(["bash", "-euc", line], cwd=folder, env=world, check=True)
    _write(folder / "src/queue.py", "def take(items):\n    return items.pop(1)\n")
    return folder


def _write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


class Reader:
    """Types what a page shows, in a folder with a copy of `project` in it; every provider's address is `url`."""

    def __init__(self, folder: Path, project: Path, url: str, programs: Programs) -> None:
        self._home = shutil.copytree(project, folder / "project")
        self._environ = {
            "PATH": f"{programs.folder}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT / "src"),
            "PYTEST_ADDOPTS": "-p no:cacheprovider",
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",  # the reader has pytest, and none of what is made for it
            "HOME": str(folder / "home"),
            "STRETTO_STORE": str(folder / "runs.db"),
            "EDITOR": "true",
            "GIT_CONFIG_GLOBAL": os.devnull,
        }
        for name, provider in KNOWN.items():
            self._environ[variable(name, "BASE_URL")] = url
            if provider.key_env:
                self._environ[provider.key_env] = "x"

    def read(self, page: str) -> None:
        """Do what the page shows, from its beginning; a block that does not work is an `AssertionError`."""
        for block in blocks(page):
            self._do(block)

    def _do(self, block: Block) -> None:
        if block.title:
            _write(self._home / block.title, block.code)
        if block.remark.startswith("not run"):
            return
        match block.language:
            case "toml":
                read_file(_write(self._home / (block.title or "page.toml"), block.code))
            case "python" if not block.title.startswith("tests/"):
                self._check(block, self._run(["python", "-c", _quick(block.code)]))
            case "sh":
                self._check(block, self._run(["bash", "-euo", "pipefail", "-c", _quick(block.code)]))

    def _check(self, block: Block, done: "subprocess.CompletedProcess[str]") -> None:
        wanted = int(block.remark.removeprefix("exit code ")) if block.remark.startswith("exit code") else 0
        assert done.returncode == wanted, f"{block.code}\n{done.stdout[-1500:]}\n{done.stderr[-3000:]}"

    def _run(self, command: list[str]) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            command,
            cwd=self._home,
            env=self._environ,
            input="",
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )


def _quick(code: str) -> str:
    """The same at the simulator's best pace, and rehearsed less often."""
    return _REHEARSED.sub(r"\g<1>3", code.replace("sim:default", "sim:instant"))


def links(page: str) -> Iterator[str]:
    """The files that a page links to or shows, as they are written."""
    text = (DOCS / page).read_text(encoding="utf-8")
    text = re.sub(r"^```.*?^```$|`[^`\n]*`", "", text, flags=re.DOTALL | re.MULTILINE)
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if "://" not in link:
            yield link
