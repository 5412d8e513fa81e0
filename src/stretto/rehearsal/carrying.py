"""Carrying many trials, on as many processes as there are processors."""

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from contextlib import contextmanager

from stretto.rehearsal.conditions import Rehearsal, Variation
from stretto.rehearsal.trial import Trial, perform
from stretto.types import Limits

_ALONE = 2.0  # seconds of work that are sooner done than processes are started
_SECONDS = 6.0  # that a rehearsal takes whose number of runs nobody names
_FEWEST, _FIRST, _MOST = 5, 20, 200  # trials of each variation: at least, before one is left alone, and at most
_SHARE = 0.5  # seconds of work that a process gets at once: what Ctrl-C has to wait for
_LEAST = 0.001  # seconds that a trial takes, where the clock shows none

Progress = Callable[[int, int], None]
"""Told how many trials are done, of how many."""


def carry(
    rehearsal: Rehearsal,
    variations: Sequence[Variation],
    seeds: Sequence[int],
    progress: Progress,
    processes: int | None = None,
) -> list[list[Trial]]:
    """For each variation its trials, one a seed, in the order of the seeds; raises `ConfigError` if none can begin.

    `processes` None: one for each processor, or none at all if that is sooner done.
    """
    began = time.process_time()  # where others are busy, too, no process of ours would be quicker
    # What cannot begin is said before hundreds of them are asked for.
    found = [{seeds[0]: perform(rehearsal, variation.limits, seeds[0])} for variation in variations]
    each, whole, seeds = (time.process_time() - began) / len(variations), len(variations) * len(seeds), seeds[1:]
    at_once = max(1, min(len(seeds), round(_SHARE / max(each, _LEAST))))
    shares = [
        (index, seeds[first : first + at_once])
        for index in range(len(variations))
        for first in range(0, len(seeds), at_once)
    ]
    if processes is None:
        processes = 1 if each * whole < _ALONE else _processors()
    limits = [variation.limits for variation in variations]
    here = ((index, _perform(rehearsal, limits[index], some)) for index, some in shares)
    for index, trials in here if processes == 1 else _apart(rehearsal, limits, shares, processes):
        found[index].update(trials)
        progress(sum(map(len, found)), whole)
    return [[trials[seed] for seed in sorted(trials)] for trials in found]


def carry_enough(
    rehearsal: Rehearsal, variations: Sequence[Variation], seed: int, progress: Progress, seconds: float = _SECONDS
) -> list[list[Trial]]:
    """For each variation, the configuration as it is first, as many trials as fit into some `seconds`, up to 200.

    One that did not differ from the first in any of the first 20 runs is carried no further: it has those alone. The
    others have as many as each other. Raises `ConfigError` if none can begin.
    """
    began = time.perf_counter()
    perform(rehearsal, variations[0].limits, seed)
    each = time.perf_counter() - began
    some = max(_FEWEST, min(_FIRST, round(seconds / 2 / each / len(variations))))
    whole = len(variations) * some
    trials = carry(rehearsal, variations, range(seed, seed + some), progress)
    going = [index for index, found in enumerate(trials) if index == 0 or found != trials[0]]
    took = time.perf_counter() - began
    more = min(_MOST - some, int((seconds - took) / (took / whole) / len(going)))
    if more > 0:
        left = [variations[index] for index in going]

        def on(done: int, of: int) -> None:
            progress(whole + done, whole + of)

        further = carry(rehearsal, left, range(seed + some, seed + some + more), on)
        for index, found in zip(going, further, strict=True):
            trials[index] += found
    return trials


def _processors() -> int:
    """Those that this process may use, where that can be told."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _apart(
    rehearsal: Rehearsal, limits: Sequence[Limits], shares: Sequence[tuple[int, Sequence[int]]], processes: int
) -> Iterator[tuple[int, dict[int, Trial]]]:
    others = set(multiprocessing.active_children())
    pool = ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn"), initializer=_die_with_parent)
    try:
        jobs: dict[Future[dict[int, Trial]], int] = {}
        with _deaf():  # the processes start here
            for index, seeds in shares:
                jobs[pool.submit(_perform, rehearsal, limits[index], seeds)] = index
        for job in as_completed(jobs):
            yield jobs[job], job.result()
    except BaseException:  # Ctrl-C for example: nobody waits for what is under way
        for process in set(multiprocessing.active_children()) - others:
            process.terminate()
        raise
    finally:
        with _deaf():  # a second Ctrl-C now would leave the pool half shut, and nobody to end it
            pool.shutdown(cancel_futures=True)


def _perform(rehearsal: Rehearsal, limits: Limits, seeds: Sequence[int]) -> dict[int, Trial]:
    return {seed: perform(rehearsal, limits, seed) for seed in seeds}


@contextmanager
def _deaf() -> Iterator[None]:
    """Processes that start meanwhile never hear Ctrl-C: their parent does, and ends them."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _die_with_parent() -> None:
    """A process whose parent was killed would wait for work for ever."""
    threading.Thread(target=_outlive_nobody, daemon=True).start()


def _outlive_nobody() -> None:
    if parent := multiprocessing.parent_process():
        parent.join()
        os._exit(1)
