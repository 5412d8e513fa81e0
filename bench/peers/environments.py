"""An environment for each peer: made by uv with the exact versions in `pins/`, kept between runs, outside of git."""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path

import platformdirs
from msgspec import Struct

from bench.processes import ROOT

_PINS = Path(__file__).parent / "pins"
_DONE = "complete"
_SECONDS = 300
_DIGITS = 12


class Environment(Struct, frozen=True):
    """A Python, what it has of the packages that matter (`name version`), and the folders it looks in besides."""

    python: str
    versions: tuple[str, ...] = ()
    path: str | None = None


class NotInstalledError(Exception):
    """An environment that could not be made; says what uv said last."""


class Peer(Struct, frozen=True):
    """A column of the table: its name, its page in `programs/`, and its pins; without, it is installed from here."""

    name: str
    title: str
    page: str
    pins: str | None = None


PEERS = (
    Peer("stretto", "Stretto", "ours"),
    Peer("bare", "bare aiohttp loop", "bare"),
    Peer("cookbook", "cookbook on openai", "cookbook", "cookbook"),
    Peer("langgraph", "LangGraph", "langgraph", "langgraph"),
    Peer("openai-agents", "openai-agents", "openai_agents", "openai-agents"),
    Peer("pydantic-ai", "pydantic-ai", "pydantic_ai", "pydantic-ai"),
)


def here(peer: Peer) -> Environment:
    """The environment of this process, for those that need no other."""
    wanted = "aiohttp" if peer.name == "bare" else "stretto"
    return Environment(sys.executable, (wanted,), os.environ.get("PYTHONPATH"))


def made(peer: Peer) -> Environment:
    """The environment of a peer, made if there is none with these pins and sources; raises `NotInstalledError`."""
    if peer.pins:
        return pinned(_PINS / f"{peer.pins}.txt", compiled=True)
    tool: dict[str, dict[str, list[str]]] = _project()["tool"]  # type: ignore[assignment]
    exact = "".join(f"{line}\n" for line in tool["uv"]["constraint-dependencies"])
    sources = sorted(path for path in (ROOT / "src").rglob("*") if path.is_file() and path.suffix != ".pyc")
    hashes = [f"{path} {hashlib.sha256(path.read_bytes()).hexdigest()}" for path in sources]
    name = f"stretto-{_short(str(ROOT))}"  # another checkout may be measured at the same time
    what = ["--compile-bytecode", "--reinstall-package", "stretto", str(ROOT), "--constraint"]
    python = _environment(name, exact, hashes, what)
    project: dict[str, str] = _project()["project"]  # type: ignore[assignment]
    ours = [f"stretto {project['version']}"] if peer.name == "stretto" else []
    return Environment(python, (*ours, *_versions(exact, ["aiohttp"])))


def pinned(pins: Path, *, compiled: bool = False) -> Environment:
    """An environment with what a file lists, made if there is none; raises `NotInstalledError`.

    The file's first line names, behind a `#`, the packages that it is about. `compiled`: all of it, which takes longer
    than to compile what is used.
    """
    exact = pins.read_text()
    python = _environment(pins.stem, exact, [], [*(["--compile-bytecode"] if compiled else []), "-r"])
    named = [each.partition("[")[0] for each in exact.splitlines()[0].lstrip("# ").split()]
    return Environment(python, tuple(_versions(exact, [*named, "openai"])))


def _environment(name: str, exact: str, more: Sequence[str], what: Sequence[str]) -> str:
    """The Python of an environment, which is made anew when these versions have changed, the Python, or what is `more`.

    `what` uv installs; a file with the versions is the last of it.
    """
    uv = shutil.which("uv")
    if uv is None:
        raise NotInstalledError("uv is not on the path")
    ours = str(Path(sys.executable).resolve())  # the Python itself, whichever environment of it this process is in
    digest = _short("\n".join([sys.version, ours, exact, *more]))
    folder = platformdirs.user_cache_path("stretto-bench") / f"{name}-{digest}"
    python = folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    if not (folder / _DONE).exists():
        for old in folder.parent.glob(f"{name}-{'?' * _DIGITS}"):
            shutil.rmtree(old)
        _run(uv, "venv", "--quiet", "--clear", "--python", ours, str(folder))
        versions = folder / "pins.txt"
        versions.write_text(exact)
        _run(uv, "pip", "install", "--quiet", "--python", str(python), *what, str(versions))
        (folder / _DONE).touch()
    return str(python)


def _run(*command: str) -> None:
    """Away from the checkout, whose exact versions uv would hold peers to as well."""
    try:
        subprocess.run(command, cwd=tempfile.gettempdir(), check=True, capture_output=True, text=True, timeout=_SECONDS)
    except subprocess.CalledProcessError as error:
        said = (error.stderr or error.stdout).strip().splitlines()
        raise NotInstalledError(said[-1] if said else f"uv ended with {error.returncode}") from error
    except subprocess.TimeoutExpired as error:
        raise NotInstalledError(f"uv took more than {_SECONDS} s") from error


def _project() -> dict[str, object]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]


def _versions(exact: str, named: Sequence[str]) -> Iterator[str]:
    """The versions of these packages, each once."""
    lines = dict(line.partition("==")[::2] for line in exact.splitlines() if "==" in line)
    for name in dict.fromkeys(named):
        yield f"{name} {lines[name].partition(' ')[0]}"
