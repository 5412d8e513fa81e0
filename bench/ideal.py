"""The best a run could do: the same delays and arrivals, and a scheduler that costs nothing."""

import heapq
from collections.abc import Sequence

from bench.job import Job, arrivals, delays


def makespan(job: Job, parallel: int) -> float:
    """Seconds of the whole job if each subtask starts, in the plan's order, once it is planned and a place is free.

    The plan's own call holds one of the `parallel` places until the plan is written, as it does in a run.
    """
    return _finish(arrivals(job), delays(job), [0.0] * (parallel - 1) + [job.span], job)


def plan_first(job: Job, parallel: int) -> float:
    """The same with a barrier: no subtask starts before the plan is whole."""
    return _finish([job.span] * job.workers, delays(job), [0.0] * parallel, job)


def limited(job: Job, per_second: float, *, barrier: bool = False) -> float:
    """Seconds of the job if every request, the plan's too, needs a token of a bucket that holds one second's worth."""
    planned = [job.span] * job.workers if barrier else arrivals(job)
    sent = _admitted([0.0, *planned], per_second)
    ended = max(start + delay for start, delay in zip(sent[1:], delays(job), strict=True))
    return _admitted([0.0, *planned, max(ended, job.span)], per_second)[-1] + job.join


def _finish(planned: Sequence[float], lengths: Sequence[float], places: list[float], job: Job) -> float:
    """When the answer is there, if subtasks take `places` (each the time from which it is free) in order."""
    heapq.heapify(places)
    ended = job.span
    for start, length in zip(planned, lengths, strict=True):
        end = max(start, heapq.heappop(places)) + length
        heapq.heappush(places, end)
        ended = max(ended, end)
    return ended + job.join


def _admitted(wanted: Sequence[float], per_second: float) -> list[float]:
    """When each request goes out, in order; the bucket is full at the beginning."""
    size = max(1.0, per_second)
    tokens, now, sent = size, 0.0, []
    for time in wanted:
        time = max(time, now)  # noqa: PLW2901 - never before the one in front
        tokens = min(size, tokens + (time - now) * per_second)
        now = time + max(0.0, (1 - tokens) / per_second)
        tokens = max(0.0, tokens - 1)
        sent.append(now)
    return sent
