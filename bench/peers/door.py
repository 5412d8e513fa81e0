"""Peers behind `stretto serve`: as they are, but for the base URL."""

import contextlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

from bench.job import Job
from bench.peers.environments import Environment, Peer
from bench.peers.figures import BUCKET, RPM, none_after
from bench.peers.scene import Scene, Seen
from bench.peers.setting import Part, Row, Setting
from bench.peers.trial import Ask, Trial, disk, endpoint, started, told_by
from bench.processes import ROOT, fetched
from stretto.store.sqlite import Store

_LIMIT = 180.0
_GLANCE = 0.05


def behind(setting: Setting) -> Part:
    """At a provider's limit without the door and with it; and killed with it in the middle, and begun again."""
    scale = 0.1 if setting.quick else 1.0
    job = Job(setting.count(300, 60), span=4 * scale, delay=1 * scale, join=0.2 * scale)
    scene, ask = Scene(job, rpm=RPM, bucket=BUCKET), Ask(job.workers)
    what = f"{job.workers} subtasks at {RPM:.0f} requests/min"
    alone = setting.trials("alone", scene, ask, _LIMIT)
    yield Row(f"{what}: answer", {name: _gets(trials[0], ask) for name, trials in alone.items() if trials})
    tried = {peer.name: _through(peer, place, scene, ask) for peer, place in setting.peers}
    yield Row("  through `stretto serve`", {name: _gets(trial, ask) for name, trial in tried.items()})
    yield Row("  rejected requests", {name: str(trial.seen.rejected) for name, trial in tried.items()})
    killed = {peer.name: _killed(peer, place, scene, ask) for peer, place in setting.peers}
    again = f"  killed (-9) with it after {_half(ask)} replies, and run again"
    yield Row(again, {name: _gets(each.trial, ask) for name, each in killed.items()})
    yield Row(
        "  of the first run: replies paid, recorded",
        {name: f"{each.paid}, {each.recorded}" for name, each in killed.items()},
    )
    yield Row("  replies paid twice", {name: str(each.twice) for name, each in killed.items()})


def _through(peer: Peer, place: Environment, scene: Scene, ask: Ask) -> Trial:
    """A peer's program at the door of an endpoint."""
    with endpoint(Scene()) as calm, endpoint(scene) as url, _folder() as folder:
        with _served(url, folder) as (_, door), started(peer, place, (door, calm), ask, folder) as child:
            told, broken = told_by(child, _LIMIT)
        return Trial(told, fetched(f"{url}/stats", Seen), _LIMIT, broken)


class _Again(Struct, frozen=True):
    """A second run: how many replies were `paid` for in the first, of which so many were `recorded`."""

    paid: int
    recorded: int
    trial: Trial

    @property
    def twice(self) -> int:
        """Replies that were paid for again: those that were on their way at the kill, if there are any."""
        return self.trial.seen.twice + max(self.trial.seen.plans - 1, 0)


def _killed(peer: Peer, place: Environment, scene: Scene, ask: Ask) -> _Again:
    """The same, killed in the middle with its server, and run once more."""
    with endpoint(Scene()) as calm, endpoint(scene) as url, _folder() as folder:
        with _served(url, folder) as (server, door), started(peer, place, (door, calm), ask, folder) as child:
            while child.poll() is None and fetched(f"{url}/stats", Seen).completed < _half(ask):
                time.sleep(_GLANCE)
            server.kill()
            child.kill()
        paid = fetched(f"{url}/stats", Seen).completed
        calls = [call for run in Store(_store(folder)).recent(2) for call in run.calls]
        recorded = sum(call.finished is not None for call in calls)
        with _served(url, folder) as (_, door), started(peer, place, (door, calm), ask, folder) as child:
            told, broken = told_by(child, _LIMIT)
        return _Again(paid, recorded, Trial(told, fetched(f"{url}/stats", Seen), _LIMIT, broken))


@contextlib.contextmanager
def _served(url: str, folder: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """`stretto serve` before an endpoint, and the base URL it has itself."""
    configuration = Path(folder, "stretto.toml")
    configuration.write_text(f'[providers.bench]\nbase_url = "{url}"\n')
    command = [
        sys.executable, "-m", "stretto", "serve", "--port", "0", "-w", str(configuration), "-m", "bench:worker",
        "--provider", "bench", "--reuse", "store", "--reuse-sampled", "--store", str(_store(folder)),
    ]  # fmt: skip
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as child:
        assert child.stdout
        try:
            yield child, child.stdout.readline().strip()
        finally:
            child.terminate()


def _folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(dir=disk())


def _store(folder: str) -> Path:
    return Path(folder, "served.db")


def _half(ask: Ask) -> int:
    return ask.workers // 2


def _gets(trial: Trial, ask: Ask) -> str:
    return f"{trial.seen.results} of {ask.workers}" if trial.answered else none_after(trial)
