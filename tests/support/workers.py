"""Workers as children, which carry what tests hand over to them."""

import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from chaos_endpoint import Endpoint
from stretto import Provider, Simulator, Workflow
from stretto.store.listing import Wanted
from stretto.store.locations import Server
from stretto.store.sqlite import Store


class Worker:
    """A worker as a child, and what it has said so far."""

    def __init__(self, server: Server, folder: Path, *flags: str, env: Mapping[str, str] | None = None) -> None:
        self._said = folder / f"worker-{random.getrandbits(32):x}.txt"
        command = [sys.executable, "-m", "stretto", "worker", "--store", server.url, *flags]
        with self._said.open("wb") as said:
            self.child = subprocess.Popen(command, stderr=said, stdout=said, cwd=folder, env=env)

    def said(self) -> str:
        return self._said.read_text()

    def says(self, text: str) -> None:
        """Wait until it has said this."""
        wait(lambda: text in self.said(), self.said)

    def signal(self, number: signal.Signals) -> None:
        self.child.send_signal(number)

    def ended(self) -> int:
        return self.child.wait(120)


def wait(ready: Callable[[], bool], said: Callable[[], str] = str, seconds: float = 300) -> None:
    until = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < until, said()
        time.sleep(0.05)


@contextmanager
def workers(
    server: Server, folder: Path, count: int = 1, *flags: str, env: Mapping[str, str] | None = None
) -> Iterator[list[Worker]]:
    """So many workers, ready to carry; whatever is left of them is killed in the end. `env`: as of `Popen`."""
    with ExitStack() as stack:
        made = []
        for _ in range(count):
            made.append(worker := Worker(server, folder, *flags, env=env))
            stack.callback(worker.child.wait)
            stack.callback(worker.child.kill)
        for worker in made:
            worker.says("Ctrl-C stops it")
        yield made


def quick(ttft: float = 0.0, **more: Any) -> Simulator:
    """A simulator that writes a reply in a moment, once it has begun."""
    return Simulator(ttft=ttft, tokens_per_second=2000, **more)


def asking(server: Server, provider: Endpoint, **more: Any) -> Workflow:
    """A workflow that any process can carry."""
    return Workflow(
        "box:plan",
        {"part": "box:work"},
        "box:write",
        store=server.url,
        providers={"box": Provider(provider.url, local=True)},
        **more,
    )


def statuses(server: Server) -> Counter[str]:
    return Counter(run.status for run in Store(server).listing(Wanted(limit=1000)))
