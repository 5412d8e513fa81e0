"""A run as child processes that are killed with -9, resumed until it is done, and then looked at from all sides."""

import json
import os
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from chaos_endpoint import Asked, Endpoint, asked
from forked import Child
from stretto import Run
from stretto import events as e
from stretto.errors import StoreError
from stretto.fold import fold
from stretto.store.sqlite import Store

HANGS = 60.0
"""Seconds after which a process is taken for one that will never end."""

Line = dict[str, Any]


class Moment:
    """When to kill: so many seconds after the start, or a `delay` after the n-th line that `fits`."""

    def __init__(self, fits: Callable[[Line], bool] | None = None, nth: int = 1, delay: float = 0.0) -> None:
        self.fits = fits
        self.left = nth
        self.delay = delay

    def has_come(self, line: Line) -> bool:
        if self.fits is not None and self.fits(line):
            self.left -= 1
            return self.left == 0
        return False


class Victim:
    """One process that carries a run, killed at a moment or never, and what it showed until then."""

    def __init__(self, folder: Path, *arguments: str, moment: Moment | None = None) -> None:
        words = [*arguments, "--json", "-q", "--store", str(folder / "s.db")]
        environ = {name: value for name, value in os.environ.items() if not name.startswith("STRETTO_")}
        shown: list[Line] = []
        with Child(words, folder, environ) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            at_once = moment is not None and moment.fits is None
            deadline = threading.Timer(moment.delay if moment and at_once else HANGS, process.kill)
            deadline.start()
            for line in process.stdout:
                if line.endswith(b"\n"):  # the last one may have been cut
                    shown.append(json.loads(line))
                    if moment and moment.has_come(shown[-1]):
                        time.sleep(moment.delay)
                        process.kill()
            self.errors = process.stderr.read().decode()
            self.hung = not at_once and not deadline.is_alive()
            deadline.cancel()
        self.code = process.wait()
        self.shown = shown

    @property
    def completed(self) -> set[str]:
        """Fingerprints of the calls that were seen to complete."""
        return {line["fingerprint"] for line in self.shown if line["kind"] == "call_finished" and line["finish"]}


class Story:
    """One run from its start over its kills to its end; `phases` says in which of them it was killed."""

    def __init__(self, folder: Path, at: Endpoint, task: str) -> None:
        self.folder = folder
        self.at = at
        self.task = task
        self.run = ""
        self.lives: list[Victim] = []
        self.phases: list[str] = []
        self.reissued = 0
        self._settled: dict[Asked, int] = {}

    @property
    def store(self) -> Store:
        return Store(self.folder / "s.db")

    @property
    def done(self) -> bool:
        return bool(self.lives) and self.lives[-1].code == 0

    @property
    def kills(self) -> int:
        return len(self.phases)

    def live(self, moment: Moment | None = None) -> Victim:
        """Begin or go on, until it ends or is killed."""
        before, written = self.at.arrived, len(self.log())
        how = ("resume", self.run) if self.run else ("run", "-w", "./chaos.toml", self.task)
        victim = Victim(self.folder, *how, moment=moment)
        self.lives.append(victim)
        self.run = self.run or self._begun()
        log = self.log()
        if victim.code == -9:
            self.phases.append(phase(log, written))
        arrived = self.at.arrived
        self.reissued += sum(key in before and arrived[key] > before[key] for key in arrived)
        # What was shown must be there, but what is there was not always shown: neither may be asked again.
        stored = {ev.fingerprint for ev in log if isinstance(ev, e.CallFinished) and ev.finish}
        for key in self._asked(stored | victim.completed):
            self._settled.setdefault(key, arrived[key])
        return victim

    def log(self) -> list[e.AnyEvent]:
        return self.store.events(self.run) if self.run else []

    def _begun(self) -> str:
        """The run that the first process left in the store, whether or not it came to show it."""
        try:
            runs = self.store.recent(2)
        except StoreError:  # it was killed before there was one
            return ""
        assert len(runs) < 2
        return runs[0].id if runs else ""

    def _asked(self, fingerprints: set[str]) -> set[Asked]:
        """The same requests as the endpoint sees them."""
        if not fingerprints:
            return set()
        records = self.store.records(self.run)
        requests = [records[key].request for key in fingerprints if key in records]
        return {asked(request.messages) for request in requests if request}

    def complaints(self, undisturbed: Run) -> list[str]:
        """All that is not as if the run had never been killed."""
        last = self.lives[-1]
        if (last.code, last.errors) != (0, "") or last.hung:
            return [f"lost: exit {last.code}{', hung' if last.hung else ''}: {last.errors}"]
        log = self.log()
        run = fold(log)
        return [
            *self._unlike(run, undisturbed),
            *self._unlogged(log),
            *self._doubled(log),
            *self._paid_twice(log),
        ]

    def _unlike(self, run: Run, undisturbed: Run) -> list[str]:
        pairs: dict[str, tuple[Any, Any]] = {
            "status": (run.status, "finished"),
            "subtasks": (run.plan.subtasks, undisturbed.plan.subtasks),
            "coverage": (run.coverage, undisturbed.coverage),
            "results": (run.results, undisturbed.results),
            "answer": (run.answer, undisturbed.answer),
        }
        return [f"{what}: {ours!r} is not {theirs!r}" for what, (ours, theirs) in pairs.items() if ours != theirs]

    def _unlogged(self, log: list[e.AnyEvent]) -> list[str]:
        kept = {event.seq: event.kind for event in log}
        found = [] if list(kept) == list(range(1, len(log) + 1)) else [f"log: {list(kept)} has gaps"]
        for victim in self.lives:
            seqs = [line["seq"] for line in victim.shown if line["seq"]]
            if seqs and seqs != list(range(seqs[0], seqs[0] + len(seqs))):
                found.append(f"log: shown out of order: {seqs}")
            lost = [line for line in victim.shown if line["seq"] and kept.get(line["seq"]) != line["kind"]]
            found += [f"log: shown, but not stored: {line}" for line in lost]
        return found

    def _doubled(self, log: list[e.AnyEvent]) -> list[str]:
        planned = Counter(event.subtask for event in log if isinstance(event, e.SubtaskPlanned))
        ids = Counter(event.call for event in log if isinstance(event, e.CallFinished))
        return [f"subtasks: planned or finished twice: {what}" for what, n in (planned + ids).items() if n > 1]

    def _paid_twice(self, log: list[e.AnyEvent]) -> list[str]:
        paid = Counter(ev.fingerprint for ev in log if isinstance(ev, e.CallFinished) and ev.finish and not ev.reused)
        found = [f"asked again: {what} was paid {n} times" for what, n in paid.items() if n > 1]
        seen = set[str]().union(*(victim.completed for victim in self.lives))
        found += [f"asked again: {what} was shown complete, and is not recorded" for what in seen - set(paid)]
        arrived = self.at.arrived
        return found + [f"asked again: {key}" for key, n in self._settled.items() if arrived[key] != n]

    @property
    def settled(self) -> int:
        """How many calls are known to be complete."""
        return len(self._settled)


def phase(log: list[e.AnyEvent], before: int) -> str:
    """Where a process was when the last event of its run's log was written, if it found so many `before`."""
    if not log[before:] or isinstance(log[-1], e.RunStarted | e.RunResumed):
        return "resume" if before else "start-up"
    run = fold(log)
    if run.status == "finished":
        return "after the end"
    roles = {event.role for event in log[before:] if isinstance(event, e.CallStarted | e.CallFinished)}
    if run.plan.state is None:
        return "plan and workers" if "worker" in roles else "plan"
    return "synthesis" if "synthesizer" in roles else "workers"
