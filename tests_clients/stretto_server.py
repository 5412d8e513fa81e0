"""`stretto serve` as a child for the clients of others, and their programs as others."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from stretto.events import CallStarted
from stretto.runs import Run
from stretto.store.schema import connect
from stretto.store.sqlite import Store

STRETTO = str(Path(sys.executable).with_name("stretto"))
KEY = "sk-open-sesame"
TASK = "Compare tea and coffee in 3 subtasks"


class Server:
    """A server on a port of its own, with its store."""

    def __init__(self, folder: Path, *args: str) -> None:
        self.store = folder / "runs.db"
        connect(self.store).close()  # so that it can be read while the first run is being opened
        known = {name: value for name, value in os.environ.items() if name in {"PATH", "LANG", "LC_ALL"}}
        environ = {**known, "HOME": str(folder), "STRETTO_STORE": str(self.store), "SERVE_KEY": KEY}
        command = [STRETTO, "serve", "-w", "general", "--port", "0", "--api-key-env", "SERVE_KEY", *args]
        self.child = subprocess.Popen(command, cwd=folder, env=environ, stdout=subprocess.PIPE, text=True)
        assert self.child.stdout is not None
        self.url = self.child.stdout.readline().strip()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.child.terminate()
        self.child.communicate()

    def runs(self) -> list[Run[Any]]:
        """Its runs, newest first."""
        return Store(self.store).recent(1000)

    def left(self, earlier: int, leave: Callable[[], object]) -> Run[Any]:
        """The run behind so many earlier ones, once it has ended: its client is told to `leave` when it has called."""
        while len(runs := self.runs()) == earlier or not self._calls(runs[0]):
            time.sleep(0.05)
        leave()
        while (run := self.runs()[0]).status == "running":
            time.sleep(0.05)
        return run

    def _calls(self, run: Run[Any]) -> bool:
        return any(isinstance(event, CallStarted) for event in Store(self.store).events(run.id))


@dataclass(frozen=True)
class Servers:
    """What a program asks: a server that answers at once, one that takes its time, and one whose runs all fail."""

    quick: Server
    slow: Server
    broken: Server


@contextmanager
def servers(folder: Path) -> Iterator[Servers]:
    """All of them, each in a folder of its own."""
    settings = {"quick": "seed = 0", "slow": "tokens_per_second = 1", "broken": 'faults = ["401 always"]'}
    for name, setting in settings.items():
        (folder / name).mkdir()
        (folder / name / "stretto.toml").write_text(f"[providers.sim]\n{setting}\n", encoding="utf-8")
    with (
        Server(folder / "quick", "-m", "sim:instant") as quick,
        Server(folder / "slow", "-m", "sim:slow") as slow,
        Server(folder / "broken", "-m", "sim:instant") as broken,
    ):
        yield Servers(quick, slow, broken)


def told_by(command: Sequence[str], servers: Servers, folder: Path, variables: Mapping[str, str]) -> dict[str, Any]:
    """What a client's program says that it was given, in the words of the server's records; its leaving ends a run."""
    quick, slow, broken = servers.quick, servers.slow, servers.broken
    urls = {"OPENAI_BASE_URL": quick.url, "SLOW_BASE_URL": slow.url, "BROKEN_BASE_URL": broken.url}
    environ = {"PATH": os.defpath, "HOME": str(folder), "OPENAI_API_KEY": KEY, **urls, **variables}
    earlier, failed, told = len(slow.runs()), len(broken.runs()), dict[str, Any]()
    with (
        (folder / "err").open("w") as err,
        subprocess.Popen(
            command, cwd=folder, env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=err, text=True
        ) as child,
    ):
        assert child.stdout is not None
        while "reading" not in told and (line := child.stdout.readline()):
            told |= json.loads(line)
        assert "reading" in told, (folder / "err").read_text()
        run = slow.left(earlier, lambda: print("leave", file=child.stdin, flush=True))
        assert child.poll() is None  # it lives, and what it read has ended all the same
        rest, _ = child.communicate()
    assert (child.returncode, json.loads(rest)) == (0, {"left": True}), (folder / "err").read_text()
    assert run.status == "interrupted"
    assert "a provider refuses the key" in told["broken"]
    assert len(broken.runs()) == failed + 1  # nobody paid for it again
    _check(told, quick.runs())
    return told


def _check(told: Mapping[str, Any], runs: Sequence[Run[Any]]) -> None:
    """What a program was told is what the server has recorded: texts, objects, tokens; and which models there are."""
    assert told.get("models", ["general", "sim:instant"]) == ["general", "sim:instant"]
    answers = {run.answer for run in runs}
    for name in ("plain", "streamed", "response"):
        assert told[name] in answers, name
    objects = [json.loads(answer) for answer in answers if answer.startswith("{")]
    shaped = {name: each for name, each in told.items() if isinstance(each, dict)}
    assert {"structured"} <= shaped.keys()
    for name, each in shaped.items():
        assert each in objects, name
        assert each.keys() == {"winner", "reasons"}
    assert all(text in answers for name, text in told.items() if name.endswith(" streamed") and name not in shaped)
    assert told["tokens"] in {run.usage.input_tokens + run.usage.output_tokens for run in runs}
    assert "there is no model 'nobody' here; there are general" in told["unknown"]
