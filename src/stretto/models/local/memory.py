"""What memory and which processors there are, and how much context and how many threads a model can be given of it."""

import os
from pathlib import Path

from stretto.errors import ConfigError
from stretto.models.local.gguf import ModelFile

ENOUGH = 32_768
"""Tokens of context that a slot gets at the most if nobody says how many."""
_LEAST = 2048  # tokens of context with which a slot is of use
_STEP = 256  # llama.cpp rounds a context to these
_BATCH = 512  # tokens that are computed at once
_MEGABYTE = 1_000_000


def available() -> int | None:
    """Bytes of memory that a new process can take here: of the machine, and of a container's limit; None: unknown."""
    known = [each for each in (_of_the_machine(), *_of_containers()) if each is not None]
    return min(known, default=None)


def _of_the_machine() -> int | None:
    try:
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except OSError:  # no Linux
        pass
    names = getattr(os, "sysconf_names", {})
    pages = next((name for name in ("SC_AVPHYS_PAGES", "SC_PHYS_PAGES") if name in names), None)
    return os.sysconf(pages) * os.sysconf("SC_PAGE_SIZE") if pages else None


def _of_containers() -> list[int | None]:
    """What is left of the limits of control groups, of version 2 and of version 1."""
    groups = Path("/sys/fs/cgroup")
    return [
        _left(groups / "memory.max", groups / "memory.current"),
        _left(groups / "memory/memory.limit_in_bytes", groups / "memory/memory.usage_in_bytes"),
    ]


def _left(limit: Path, used: Path) -> int | None:
    try:
        return int(limit.read_text(encoding="ascii")) - int(used.read_text(encoding="ascii"))
    except (OSError, ValueError):  # no such group, or "max"
        return None


def needed(model: ModelFile, slots: int, context: int) -> int:
    """Bytes that a model takes with so many slots of so many tokens: weights, cache, and what computing takes."""
    computing = 4 * _BATCH * model.vocabulary + 64 * _MEGABYTE
    return model.size + slots * context * model.cache + computing


def fitting(model: ModelFile, slots: int, wanted: int | None, free: int | None) -> int:
    """The tokens of context for each slot: as wanted, but not more than the model was trained for.

    By itself: as many as half of the free memory has room for, and not more than `ENOUGH`.
    """
    most = min(model.trained, wanted or ENOUGH)
    if wanted is not None or free is None:
        return most
    left = (free - needed(model, slots, 0)) // 2
    return min(most, max(_LEAST, left // max(1, slots * model.cache) // _STEP * _STEP))


def check(model: ModelFile, slots: int, context: int, free: int | None, called: str) -> None:
    """Raise `ConfigError` with all figures if so much memory is not free."""
    if free is not None and needed(model, slots, context) > free:
        raise _too_large(model, slots, context, free, called)


def _too_large(model: ModelFile, slots: int, context: int, free: int, called: str) -> ConfigError:
    cache = slots * context * model.cache
    remedy = "take a smaller file of the model (of fewer bits a weight), or close other programs"
    if needed(model, 1, min(context, _LEAST)) <= free:
        remedy = f"say less under [providers.local], for example context = {_LEAST} and parallel = 1"
    return ConfigError(
        f"{called}: needs {gigabytes(needed(model, slots, context))} of memory (weights {gigabytes(model.size)}, "
        f"{slots} x {context:,} tokens of context {gigabytes(cache)}), and {gigabytes(free)} are free; {remedy}"
    )


def gigabytes(size: int) -> str:
    """A size for people."""
    return f"{size / 1e9:,.1f} GB" if size >= 1e9 else f"{size / 1e6:,.0f} MB"


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
