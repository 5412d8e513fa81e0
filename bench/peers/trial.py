"""One trial: a peer's page in its environment, at an endpoint of its own, with a limit of time."""

import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import msgspec
from msgspec import Struct

from bench.peers.environments import Environment, Peer
from bench.peers.scene import Scene, Seen
from bench.processes import ROOT, fetched


class Told(Struct, frozen=True):
    """What a page says: its answer, what it was told is missing, the error; seconds and bytes of its process."""

    answer: str
    missing: list[str] | None
    error: str | None
    wall: float
    cpu: float
    memory: int


class Trial(Struct, frozen=True):
    """What came of it; `told` is None if the time was over, or if the page itself broke, as `broken` says."""

    told: Told | None
    seen: Seen
    limit: float
    broken: str | None = None

    @property
    def answered(self) -> bool:
        """Whether its user has an answer."""
        return self.told is not None and self.told.error is None and bool(self.told.answer)

    @property
    def failure(self) -> str:
        """Why there is no answer, in few words."""
        if self.told is None:
            return self.broken or f"not done in {self.limit:.0f} s"
        return (self.told.error or "nothing").partition(":")[0]


class Ask(Struct, frozen=True):
    """What a page is to do: so many workers, so often, with so many calls at once."""

    workers: int
    repeat: int = 1
    parallel: int | None = None


@contextlib.contextmanager
def endpoint(scene: Scene) -> Iterator[str]:
    """The base URL of an endpoint that lives as long as the block."""
    command = [sys.executable, "-m", "bench.peers.endpoint", msgspec.json.encode(scene).decode()]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}/v1"
        finally:
            process.kill()


def trial(peer: Peer, place: Environment, scene: Scene, ask: Ask, limit: float) -> Trial:
    """Run a peer's page for at most `limit` seconds."""
    with endpoint(Scene()) as calm, endpoint(scene) as url, tempfile.TemporaryDirectory(dir=disk()) as folder:
        with started(peer, place, (url, calm), ask, folder) as child:
            told, broken = told_by(child, limit)
        return Trial(told, fetched(f"{url}/stats", Seen), limit, broken)


def started(peer: Peer, place: Environment, urls: tuple[str, str], ask: Ask, folder: str) -> "subprocess.Popen[str]":
    """A peer's page as a process, with environment variables of its own.

    `urls`: where it is measured, and where it warms up.
    """
    url, calm = urls
    spec = {
        "url": url, "calm": calm, "workers": ask.workers, "repeat": ask.repeat, "parallel": ask.parallel,
        "store": str(Path(folder) / "runs.db"),
    }  # fmt: skip
    command = [place.python, "-m", f"bench.peers.programs.{peer.page}", msgspec.json.encode(spec).decode()]
    variables = {"PATH": os.defpath, "HOME": folder, **({"PYTHONPATH": place.path} if place.path else {})}
    return subprocess.Popen(command, cwd=ROOT, env=variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def told_by(child: "subprocess.Popen[str]", limit: float) -> tuple[Told | None, str | None]:
    """What a page says, and if it says nothing how it broke; one that takes longer than `limit` seconds is killed."""
    try:
        out, err = child.communicate(timeout=limit)
    except subprocess.TimeoutExpired:
        child.kill()
        child.communicate()
        return None, None
    if child.returncode == 0:
        return msgspec.json.decode(out.splitlines()[-1], type=Told), None
    return None, "broke: " + "".join(err.strip().splitlines()[-1:])[:80]


def disk() -> str | None:
    """Not /tmp, which may be in memory: a log is to be on a disk."""
    return next((path for path in ("/var/tmp",) if Path(path).is_dir()), None)  # noqa: S108 - a folder of ours in it
