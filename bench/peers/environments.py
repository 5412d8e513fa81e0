"""An environment for each peer: made by uv with the exact versions in `pins/`, kept between runs, outside of git."""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
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
    uv = shutil.which("uv")
    if uv is None:
        raise NotInstalledError("uv is not on the path")
    pins = _pins(peer)
    name = peer.pins or f"stretto-{_short(str(ROOT))}"  # another checkout may be measured at the same time
    folder = platformdirs.user_cache_path("stretto-bench") / f"{name}-{_digest(peer, pins)}"
    python = folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    if not (folder / _DONE).exists():
        for old in folder.parent.glob(f"{name}-{'?' * _DIGITS}"):
            shutil.rmtree(old)
        _run(uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(folder))
        exact = folder / "pins.txt"
        exact.write_text(pins)
        ours = ["--constraint", str(exact), "--reinstall-package", "stretto", str(ROOT)]
        what = ["-r", str(exact)] if peer.pins else ours
        _run(uv, "pip", "install", "--quiet", "--compile-bytecode", "--python", str(python), *what)
        (folder / _DONE).touch()
    return Environment(str(python), tuple(_versions(peer, pins)))


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


def _pins(peer: Peer) -> str:
    if peer.pins:
        return (_PINS / f"{peer.pins}.txt").read_text()
    tool: dict[str, dict[str, list[str]]] = _project()["tool"]  # type: ignore[assignment]
    return "".join(f"{line}\n" for line in tool["uv"]["constraint-dependencies"])


def _digest(peer: Peer, pins: str) -> str:
    """Changes with the pins and the Python; ours with every source, too."""
    sources = sorted(path for path in (ROOT / "src").rglob("*") if path.is_file() and path.suffix != ".pyc")
    parts = [sys.version, sys.executable, pins]
    if peer.pins is None:
        parts += [f"{path} {hashlib.sha256(path.read_bytes()).hexdigest()}" for path in sources]
    return _short("\n".join(parts))


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]


def _versions(peer: Peer, pins: str) -> Iterator[str]:
    """The packages that the pins' first line names; of ours, what it is about."""
    if peer.name == "stretto":
        project: dict[str, str] = _project()["project"]  # type: ignore[assignment]
        yield f"stretto {project['version']}"
    lines = dict(line.partition("==")[::2] for line in pins.splitlines() if "==" in line)
    named = pins.splitlines()[0].lstrip("# ").split() if peer.pins else ["aiohttp"]
    for name in dict.fromkeys([*(each.partition("[")[0] for each in named), *(["openai"] if peer.pins else [])]):
        yield f"{name} {lines[name].partition(' ')[0]}"
