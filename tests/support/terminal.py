"""A terminal for tests: `stretto` as a child, in a world of its own, and real endpoints for it."""

import json
import os
import subprocess
import sys
import termios
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fcntl import ioctl
from pathlib import Path
from typing import Any

from forked import Child, forked
from stretto.events import CallFinished
from stretto.models.simulator import SimulatedProvider, Simulator
from stretto.server.sim import served as simulator_served
from stretto.store.sqlite import Store

STRETTO = str(Path(sys.executable).with_name("stretto"))
_FOR_PYTHON = ("PYTHON", "LANG", "LC_")  # variables that Python itself reads, before it imports anything


@dataclass(frozen=True)
class Done:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out.splitlines()]


class Terminal:
    """Runs `stretto` in `folder`, with a home and a store there, without keys or servers from outside."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = folder / "runs.db"
        self.environ = {name: value for name, value in os.environ.items() if name in {"PATH", "LANG", "LC_ALL"}}
        self.environ |= {"HOME": str(folder / "home"), "STRETTO_STORE": str(self.store), "COLUMNS": "100"}
        # No local server of the machine may be found.
        for name in ("OLLAMA", "LMSTUDIO", "VLLM", "LLAMACPP"):
            self.environ[f"{name}_BASE_URL"] = "http://127.0.0.1:9/v1"

    def __call__(self, *args: str | bytes | Path, **environ: str) -> Done:
        return self.fed(b"", *args, **environ)

    def fed(self, stdin: bytes, /, *args: str | bytes | Path, **environ: str) -> Done:
        """With something on standard input."""
        words, world = [os.fsdecode(arg) for arg in args], self.environ | environ
        run = started if _for_python(environ) else forked
        code, out, err = run(words, self.folder, world, stdin)
        done = Done(code, out.decode(), err.decode())
        assert "Traceback" not in done.err, done.err
        return done

    def start(self, *args: str | Path, **streams: Any) -> subprocess.Popen[bytes]:
        settings: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        return subprocess.Popen([STRETTO, *args], cwd=self.folder, **{"env": self.environ, **settings, **streams})

    def child(
        self,
        *args: str,
        environ: Mapping[str, str] | None = None,
        installed: bool = False,
        session: bool = False,
        **streams: Any,
    ) -> "Begun":
        """A command under way, with `environ` in place of this terminal's.

        It is forked; `installed`, or where a variable concerns Python itself, it is the installed program.
        """
        world = self.environ if environ is None else dict(environ)
        if installed or _for_python(name for name, value in world.items() if self.environ.get(name) != value):
            leading = {"preexec_fn": lambda: lead(2)} if session else {}
            return self.start(*args, env=world, **streams, **leading)
        return Child(args, self.folder, world, session=session, **streams)

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    def run_id(self) -> str:
        """The newest run."""
        return Store(self.store).recent(1)[0].id


Begun = Child | subprocess.Popen[bytes]
"""A command under way."""


def lead(terminal: int) -> None:
    """Lead a session that is steered from this terminal; for a child, before it is another program."""
    os.setsid()
    ioctl(terminal, termios.TIOCSCTTY, 0)


def _for_python(environ: Iterable[str]) -> bool:
    return any(name.startswith(_FOR_PYTHON) for name in environ)


def started(words: list[str], folder: Path, environ: dict[str, str], stdin: bytes) -> tuple[int, bytes, bytes]:
    """What the installed program does, from its first line on."""
    done = subprocess.run(
        [STRETTO, *words], cwd=folder, env=environ, input=stdin, capture_output=True, timeout=120, check=False
    )
    return done.returncode, done.stdout, done.stderr


@contextmanager
def served(simulator: Simulator | None = None) -> Iterator[tuple[str, SimulatedProvider]]:
    """The simulator on a loopback port for as long as this is open: its base URL, and its counts."""
    with simulator_served(simulator or Simulator(ttft=0.0, tokens_per_second=1e6)) as served:
        yield served


def kinds(events: Sequence[dict[str, Any]]) -> list[str]:
    return [str(event["kind"]) for event in events]


def paid_once(terminal: Terminal, recorded: Collection[str], asked: Counter[str]) -> None:
    """Nothing of the newest run that was `recorded` when it was killed was paid twice; `asked`: what its provider saw.

    What was in flight is asked again, and so are replies that were on their way to the disk: how many, nobody knows.
    """
    events = Store(terminal.store).events(terminal.run_id())
    paid = Counter(e.fingerprint for e in events if isinstance(e, CallFinished) and e.finish and not e.reused)
    assert recorded
    assert set(paid.values()) == {1}
    assert paid.keys() >= set(recorded)
    assert sum(count > 1 for count in asked.values()) <= len(asked) - len(recorded)
