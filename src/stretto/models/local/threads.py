"""How many threads a model may compute with, so that it does not stand in its own way."""

import os


def idle() -> int | None:
    """One for each processor that nobody uses just now, and one in any case; None: all, as llama.cpp counts them.

    llama.cpp's threads wait for each other in a loop after every step, so one that gets no processor holds up all: on
    two busy processors a model of 0.5B wrote 0.2 tokens a second with two threads, and 4.3 with one.
    """
    if not hasattr(os, "getloadavg"):  # Windows
        return None
    busy = round(os.getloadavg()[0])
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    # Two processors may be one core: where some are busy, not more than half of them is a safe number.
    return max(1, min(processors - busy, -(-processors // 2))) if busy else None
