"""What a user gets when something goes wrong: every fault in every place, over real sockets."""

import asyncio
import contextlib
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence

import msgspec
from msgspec import Struct

from bench.faulty import Paid
from bench.processes import ROOT, fetched
from bench.table import Part, Row, Setting
from stretto import Limits, Provider, Workflow
from stretto.errors import StrettoError
from stretto.runs import Run

_WORKERS = 10
_TASK = f"Describe tea in {_WORKERS} subtasks."
_PLACES = ("orchestrator", "one worker", "all workers", "synthesizer")
_OF_A_PLAN = ("malformed", "fenced")
_HUGE = "huge once"  # the last
_FIRST, _OTHERS = 27, 34  # widths of columns


class Times(Struct, frozen=True):
    """Seconds: of one whole call, of silence in a stream, of the refusals that last, and of a whole run at most."""

    call: float
    silence: float
    refusing: float
    run: float = 60.0


class Told(Struct, frozen=True):
    """What a run came to: what the user gets, and after how many seconds."""

    run: Run
    error: str | None
    seconds: float

    @property
    def gets(self) -> str:
        """What the user gets, in words."""
        if self.error:
            return f"no answer: {self.error}"
        coverage = self.run.coverage
        planned, done = len(self.run.results), coverage.counts.get("done", 0)
        said = "answered, " + (f"all {done}" if done == planned else f"{done} of {planned}")
        said += ", plan cut" if coverage.plan != "complete" else ""
        return said + (", itself cut" if coverage.answer != "complete" else "")

    def cell(self, undisturbed: float) -> str:
        """With the seconds beyond the undisturbed run if there is an answer, else with those until it failed."""
        when = f"at {self.seconds:.1f}" if self.error else f"{self.seconds - undisturbed:+.1f}"
        return f"{self.gets}, {when} s"


def rows(setting: Setting) -> Part:
    """The matrix, a line for each fault; then how many completed calls were paid twice, which must be none."""
    times = Times(6, 1, 5) if setting.quick else Times(8, 2, 20)
    with _endpoints([""]) as (url,):
        asyncio.run(_told(url, times))  # imports and first connections are not the fault's
        usual = asyncio.run(_told(url, times))
    place = usual.run.plan.subtasks[-1].description.partition(" for this task")[0]
    yield f"\nundisturbed: {usual.gets}, in {usual.seconds:.1f} s"
    yield f"a call is asked 4 times at most and may take {times.call:g} s, a stream be silent for {times.silence:g} s\n"
    yield _line("fault", *_PLACES, "twice")
    total = runs = 0
    for fault, told, twice in _matrix(_faults(times), place, times):
        yield _line(fault, *(told[at].cell(usual.seconds) if at in told else "" for at in _PLACES), str(twice))
        total, runs = total + twice, runs + len(told)
    yield ""
    yield Row(f"completed calls paid twice, in {runs} disturbed runs", str(total), "", float(total), 0.0)


def _faults(times: Times) -> list[str]:
    both = ("reset", "disconnect", "silence", "trickle every=250ms", "empty", "truncated", "schema")
    return [
        "429 once", f"429 for={times.refusing:g}s", "500 twice", "500 always", f"500 for={times.refusing:g}s",
        *(f"{kind} {when}" for kind in both for when in ("once", "always")),
        "html once", "malformed always", "fenced always", _HUGE,
    ]  # fmt: skip


def _matrix(faults: Sequence[str], place: str, times: Times) -> Iterator[tuple[str, Mapping[str, Told], int]]:
    """Each fault with what it comes to in every place, and what was paid twice; all runs at once, each at its own."""
    where = dict(zip(_PLACES, ("orchestrator", f"worker match='{place}'", "worker", "synthesizer"), strict=True))
    cells = [(fault, at) for fault in faults for at in (_PLACES[:1] if fault.startswith(_OF_A_PLAN) else _PLACES)]
    with _endpoints([f"{fault} role={where[at]}" for fault, at in cells]) as urls:
        told = dict(zip(cells, asyncio.run(_all(cells, urls, times)), strict=True))
        paid = {cell: fetched(url + "/stats", Paid) for cell, url in zip(cells, urls, strict=True)}
    for fault in faults:
        here = {at: told[fault, at] for at in _PLACES if (fault, at) in told}
        yield fault, here, sum(paid[fault, at].twice for at in here)


@contextlib.contextmanager
def _endpoints(faults: Sequence[str]) -> Iterator[list[str]]:
    """The base URLs of endpoints with these faults, in one process that lives as long as the block."""
    command = [sys.executable, "-m", "bench.faulty", msgspec.json.encode(faults).decode()]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        try:
            yield msgspec.json.decode(process.stdout.readline(), type=list[str])
        finally:
            process.kill()


async def _all(cells: Sequence[tuple[str, str]], urls: Sequence[str], times: Times) -> list[Told]:
    """Every run; ten megabytes keep a processor busy, so those have it to themselves, one after the other."""
    together = [url for (fault, _), url in zip(cells, urls, strict=True) if fault != _HUGE]
    told = await asyncio.gather(*(_told(url, times) for url in together))
    return [*told, *[await _told(url, times) for url in urls[len(together) :]]]


async def _told(url: str, times: Times) -> Told:
    """One run at this endpoint."""
    provider = Provider(url, first_byte=times.call, silence=times.silence)
    flow = Workflow(
        "bench:tea",
        {"part": "bench:tea"},
        "bench:tea",
        limits=Limits(timeout=times.call),
        providers={"bench": provider},
    )
    start, error = time.perf_counter(), None
    async with flow.stream(_TASK) as events:
        try:
            async with asyncio.timeout(times.run):
                await events.finished()
        except (StrettoError, TimeoutError) as raised:
            error = "given up" if isinstance(raised, TimeoutError) else type(raised).__name__
        return Told(events.run, error, time.perf_counter() - start)


def _line(*cells: str) -> str:
    first, *others, last = cells
    return " ".join([first.ljust(_FIRST), *(cell.ljust(_OTHERS) for cell in others), last.rjust(5)])
