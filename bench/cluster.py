"""Runs on workers: `python -m bench.cluster postgresql://…/DATABASE [--runs 60] [--soak 5000]`.

How many runs a second 1, 2 and 4 workers carry, what a call takes more than on a store file, and after how long a
watcher elsewhere hears of an event, or a killed worker's runs go on. `--soak`: so many runs, and whether memory and
connections stay what they were.
"""

import argparse
import asyncio
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, aclosing, closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

from stretto import Workflow
from stretto.cluster import Cluster
from stretto.cluster.news import notices
from stretto.cluster.queue import server_of
from stretto.store.connecting import connect
from stretto.store.listing import Wanted
from stretto.store.locations import Server, location_of
from stretto.store.postgres.tables import CHANNEL
from stretto.store.sqlite import Store

TASK = "Compare tea and coffee in 4 subtasks"
MODEL = "sim:fast"
CALLS = 6  # of a run: its plan, its subtasks, its answer


@contextmanager
def workers(server: Server, count: int) -> Iterator[list[subprocess.Popen[bytes]]]:
    """So many, ready; ended in the end, each with its CPU told to this process."""
    command = [sys.executable, "-m", "stretto", "worker", "--runs", "16", "--grace", "5", "--store", server.url]
    with ExitStack() as stack:
        children = [stack.enter_context(subprocess.Popen(command, stderr=subprocess.PIPE)) for _ in range(count)]
        for child in children:
            assert child.stderr is not None
            while b"Ctrl-C stops it" not in child.stderr.readline():
                pass
            stack.callback(child.terminate)
            stack.enter_context(drained(child))
        yield children


@contextmanager
def drained(child: subprocess.Popen[bytes]) -> Iterator[None]:
    """What a worker says is read, so that it need not wait for that."""
    assert child.stderr is not None
    thread = threading.Thread(target=child.stderr.read, daemon=True)
    thread.start()
    yield


async def submit(server: Server, count: int, model: str = MODEL) -> list[str]:
    """Hand over so many runs; their ids."""
    flow = Workflow(model, {"part": model}, model, store=server.url)
    async with Cluster(server) as cluster:
        return [await cluster.submit(flow.stream(f"{TASK} {n} {os.urandom(4).hex()}")) for n in range(count)]


async def finished(server: Server, since: str, count: int) -> None:
    """Wait until so many runs that were begun since then are over."""
    store = Store(server)
    while len(store.listing(Wanted(status="finished", since=since, limit=count + 1))) < count:  # noqa: ASYNC110 - a list tells nobody
        await asyncio.sleep(0.1)


def cpu(who: int) -> float:
    """Seconds of CPU that this process, or its children, have used."""
    used = resource.getrusage(who)
    return used.ru_utime + used.ru_stime


async def rate(server: Server, count: int, runs: int) -> tuple[float, float]:
    """Runs a second with so many workers, and their CPU a call in milliseconds."""
    since = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    await submit(server, runs)  # first, so that what is measured is carrying
    before = cpu(resource.RUSAGE_CHILDREN)
    with workers(server, count):
        began = time.perf_counter()
        await finished(server, since, runs)
        took = time.perf_counter() - began
    return runs / took, (cpu(resource.RUSAGE_CHILDREN) - before) * 1000 / (runs * CALLS)


async def alone(runs: int) -> float:
    """CPU a call of the same runs in this process, on a store file, in milliseconds."""
    with tempfile.TemporaryDirectory() as folder:
        flow = Workflow(MODEL, {"part": MODEL}, MODEL, store=Path(folder) / "runs.db")
        before = cpu(resource.RUSAGE_SELF)
        await asyncio.gather(*(flow.run(f"{TASK} {n}") for n in range(runs)))
        return (cpu(resource.RUSAGE_SELF) - before) * 1000 / (runs * CALLS)


async def latency(server: Server, runs: int) -> list[float]:
    """Milliseconds from an event, as its stamp says, until a process elsewhere has heard and read it."""
    heard, store = list[float](), Store(server)
    mine = set(await submit(server, runs))
    with workers(server, 1):
        async with aclosing(notices(server, [CHANNEL])) as told:
            async for _, said in told:
                run, _, seq = said.partition(" ")
                if run not in mine:
                    continue
                events = await asyncio.to_thread(store.events, run)
                at = datetime.fromisoformat(events[int(seq) - 1].at)
                heard.append((datetime.now(UTC) - at).total_seconds() * 1000)
                if events[-1].kind in {"run_finished", "run_failed"}:
                    mine.discard(run)
                if not mine:
                    return heard
    return heard


async def recovery(server: Server, times: int) -> list[float]:
    """Seconds from the death of a worker until each of its four runs goes on with another, as its log says."""
    took, store = list[float](), Store(server)
    for _ in range(times):
        with workers(server, 1) as (first,):
            runs = await submit(server, 4, "sim:default")
            while len([run for run in runs if _begun(store, run)]) < len(runs):  # noqa: ASYNC110 - a log tells nobody
                await asyncio.sleep(0.1)
            with workers(server, 1):
                first.kill()
                killed = datetime.now(UTC)
                while len([run for run in runs if len(_begun(store, run)) > 1]) < len(runs):  # noqa: ASYNC110
                    await asyncio.sleep(0.1)
                took += [(datetime.fromisoformat(_begun(store, run)[1]) - killed).total_seconds() for run in runs]
                async with Cluster(server) as cluster:
                    for run in runs:
                        await cluster.cancel(run)
    return took


def _begun(store: Store, run: str) -> list[str]:
    """When a run was gone on with."""
    return [event.at for event in store.events(run) if event.kind == "run_resumed"]


def memory(child: subprocess.Popen[bytes]) -> float:
    """Megabytes that a process has in memory."""
    pages = int(Path(f"/proc/{child.pid}/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6


def connections(server: Server) -> int:
    """How many connections the database has."""
    with closing(connect(server)) as db:
        return int(db.execute("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()").fetchone()[0])


async def soak(server: Server, runs: int) -> None:
    """Tell of memory and connections while so many runs are carried."""
    since, step = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"), max(runs // 10, 1)
    with workers(server, 2) as children:
        for done in range(0, runs, step):
            await submit(server, step)
            await finished(server, since, done + step)
            held = ", ".join(f"{memory(child):.0f} MB" for child in children)
            print(f"{done + step} runs: {held}, {connections(server)} connections", flush=True)


async def main(server: Server, runs: int, soaked: int) -> None:
    """Measure, and print."""
    if soaked:
        await soak(server, soaked)
        return
    plain = await alone(runs)
    print(f"on a store file, one process: {plain:.2f} ms of CPU a call")
    for count in (1, 2, 4):
        each, used = await rate(server, count, runs)
        print(f"{count} workers: {each:.1f} runs/s, {used:.2f} ms of CPU a call, their start and end included")
    gone = await recovery(server, 5)
    print(
        f"a killed worker's runs go on elsewhere after {statistics.median(gone):.2f} s (p50), {max(gone):.2f} s (worst)"
    )
    heard = statistics.quantiles(await latency(server, runs // 3), n=20)
    print(f"an event is read elsewhere after {heard[9]:.0f} ms (p50), {heard[18]:.0f} ms (p95)")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("store")
    parser.add_argument("--runs", type=int, default=60)
    parser.add_argument("--soak", type=int, default=0)
    given = parser.parse_args()
    asyncio.run(main(server_of(location_of(given.store)), given.runs, given.soak))
