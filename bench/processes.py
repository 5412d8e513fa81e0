"""The processes of a benchmark: an endpoint, and the measured ones that take turns at it."""

import contextlib
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Literal, TypeVar

import msgspec

from bench.endpoint import Stats
from bench.meter import Figures, Spec

T = TypeVar("T")
What = Literal["cpu", "wall", "memory"]

ROOT = Path(__file__).parent.parent


@contextlib.contextmanager
def endpoint(*arguments: str) -> Iterator[str]:
    """The base URL of an endpoint that lives as long as the block."""
    command = [sys.executable, "-m", "bench.endpoint", *arguments]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}/v1"
        finally:
            process.kill()


def stats(url: str) -> Stats:
    """What the endpoint at this URL has seen."""
    return fetched(url + "/stats", Stats)


def fetched(url: str, kind: type[T]) -> T:
    """What one of our own servers says at this URL."""
    with urllib.request.urlopen(url) as response:  # noqa: S310 - our own, http
        return msgspec.json.decode(response.read(), type=kind)


def measure(module: str, spec: Spec) -> Figures:
    """The figures of `python -m bench.MODULE` with this spec."""
    command = [sys.executable, "-m", f"bench.{module}", msgspec.json.encode(spec).decode()]
    done = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE)
    return msgspec.json.decode(done.stdout, type=Figures)


def turns(rounds: int, variants: Mapping[str, Callable[[], Figures]]) -> dict[str, list[Figures]]:
    """Every variant measured once a round, in turn, so that a slow minute of the machine meets all of them."""
    figures: dict[str, list[Figures]] = {name: [] for name in variants}
    for number in range(rounds):
        order = list(variants)[:: -1 if number % 2 else 1]
        for name in order:
            figures[name].append(variants[name]())
    return figures


def middle(figures: Sequence[Figures], what: What) -> float:
    """The median of one of the figures."""
    return float(median(getattr(each, what) for each in figures))


def ratio(ours: Sequence[Figures], bare: Sequence[Figures], what: What) -> float:
    """The median over the rounds of ours over bare."""
    return float(median(getattr(a, what) / getattr(b, what) for a, b in zip(ours, bare, strict=True)))
