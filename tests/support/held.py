"""Runs under a budget, killed at random moments while another program holds their store, or while its disk is slow.

`python tests/support/held.py KILLS SEED [FOLDER]` prints what came of it as JSON; `--slow 60` in place of a program
that holds the store: each fsync takes 60 ms more (a library that is put before the system's, so Linux and `cc`).
"""

import argparse
import asyncio
import os
import random
import re
import sqlite3
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import msgspec
from aiohttp import web
from msgspec import Struct

from forked import python, python_begun
from stretto.errors import StoreError
from stretto.store.sqlite import Store

BUDGET = Decimal("0.06")
_PRICE = (1, 10)  # dollars for a million tokens asked and answered
_SUBTASKS, _MOST = 12, 400
_SOON = 1.5  # seconds in which a reply is on the disk, on a machine that has other things to do, too
_KILLS = (2, 5)  # of one run

_CHILD = f"""
import asyncio, sys
from decimal import Decimal
import stretto
url, store, *run = sys.argv[1:]
most = {{"max_tokens": {_MOST}}}
price = stretto.Price(Decimal({_PRICE[0]}), Decimal({_PRICE[1]}))
flow = stretto.Workflow(
    stretto.Role("box:plan", options=most), {{"work": stretto.Role("box:work", about="any", options=most)}},
    stretto.Role("box:write", options=most),
    providers={{"box": stretto.Provider(url, local=True)}}, store=store,
    prices={{f"box:{{name}}": price for name in ("plan", "work", "write")}},
    limits=stretto.Limits(parallel=4, budget=Decimal("{BUDGET}")),
)
async def main():
    async with (flow.resume(run[0]) if run else flow.stream("Compare teas")) as events:
        print(events.run_id, flush=True)
        print("END", (await events.finished()).status, flush=True)
asyncio.run(main())
"""


_SLOW = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <unistd.h>
static int wait(int file, const char *name) {
    usleep(1000 * atoi(getenv("FSYNC_MS")));
    return ((int (*)(int))dlsym(RTLD_NEXT, name))(file);
}
int fsync(int file) { return wait(file, "fsync"); }
int fdatasync(int file) { return wait(file, "fdatasync"); }
"""


def slow_disk(folder: Path, milliseconds: int) -> dict[str, str]:
    """The environment in which each fsync takes so much longer."""
    library = folder / "slow.so"
    command = ["cc", "-shared", "-fPIC", "-O2", "-x", "c", "-", "-o", str(library), "-ldl"]
    subprocess.run(command, input=_SLOW, text=True, check=True)
    return {"LD_PRELOAD": str(library), "FSYNC_MS": str(milliseconds)}


class Tally(Struct):
    """What became of all runs: the most that one was charged, and what was wrong with any."""

    runs: int = 0
    kills: int = 0
    answered: int = 0
    again: int = 0
    charged: str = "0"
    complaints: list[str] = []


class Seller:
    """An endpoint that charges for what it answers; `answers`: by what was asked, when it came and was answered."""

    def __init__(self, lot: random.Random) -> None:
        self.url = ""
        self.charged = Decimal(0)
        self.answers: dict[str, list[tuple[float, float]]] = {}
        self._lot = lot

    async def answer(self, request: web.Request) -> web.Response:
        came, body = time.monotonic(), await request.json()
        said = "\n".join(str(message["content"]) for message in body["messages"])
        part = re.search(r"part \d+ of the teas", said) if body["model"] == "work" else None
        await asyncio.sleep(self._lot.uniform(0.05, 0.4))
        length = min(int(body.get("max_tokens") or _MOST), _MOST)
        self.charged += Decimal(50 * _PRICE[0] + length * _PRICE[1]) / 10**6
        self.answers.setdefault(part[0] if part else body["model"], []).append((came, time.monotonic()))
        tasks = [{"id": f"t{n}", "type": "work", "description": f"part {n} of the teas"} for n in range(_SUBTASKS)]
        text = msgspec.json.encode({"analysis": "", "tasks": tasks}).decode() if body["model"] == "plan" else "fine"
        message = {"role": "assistant", "content": text}
        usage = {"prompt_tokens": 50, "completion_tokens": length, "total_tokens": 50 + length}
        return web.json_response({"choices": [{"message": message, "finish_reason": "stop"}], "usage": usage})


@contextmanager
def selling(lot: random.Random, kind: type[Seller] = Seller) -> Iterator[Seller]:
    """A seller, in a thread of its own."""
    seller, ready, loop = kind(lot), threading.Event(), asyncio.new_event_loop()
    over = asyncio.Event()

    async def serve() -> None:
        app = web.Application()
        app.router.add_post("/v1/chat/completions", seller.answer)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        seller.url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
        ready.set()
        await over.wait()
        await runner.cleanup()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    ready.wait()
    try:
        yield seller
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join()
        loop.close()


@contextmanager
def holding(store: Path, lot: random.Random) -> Iterator[None]:
    """Another program that holds the store again and again, mostly for longer than anybody waits for it."""
    over = threading.Event()

    def hold() -> None:
        while not over.wait(lot.uniform(0, 0.4)):
            if store.exists() and store.stat().st_size:
                other = sqlite3.connect(store, isolation_level=None, timeout=5)
                other.execute("BEGIN IMMEDIATE")
                over.wait(lot.uniform(0.1, 1.5))
                other.close()

    thread = threading.Thread(target=hold)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def story(folder: Path, seed: str, kills: int, disk: Mapping[str, str] | None = None) -> Tally:
    """One run, killed so many times, and then carried to its end; `disk`: the environment of a slow one."""
    lot, tally, run, killed_at = random.Random(seed), Tally(1), "", list[float]()
    folder.mkdir()
    store = folder / "s.db"
    with selling(lot) as seller:
        command = ["-c", _CHILD, seller.url, str(store)]
        env = {**os.environ, **(disk or {})}
        with nullcontext() if disk else holding(store, lot):
            for _ in range(kills):
                died_at, run = _live([*command, *filter(None, [run])], lot.uniform(0.1, 3.0), run, env)
                if died_at is None:
                    break
                killed_at.append(died_at)
                tally.kills += 1
        last = python(*command, *filter(None, [run]), environ=env)
    if "END finished" not in last.stdout and "BudgetError" not in last.stderr:  # what a kill cut off counts as spent
        tally.complaints.append(f"lost: {last.stderr[-300:]}")
    tally.answered = sum(map(len, seller.answers.values()))
    tally.again = tally.answered - len(seller.answers)
    tally.charged = str(seller.charged)
    if seller.charged > BUDGET:
        tally.complaints.append(f"over the budget: {seller.charged}")
    for asked, times in seller.answers.items():
        # In the order in which they came: one that a kill cut off may be answered after the one in its place.
        for (came, answered), (again, _) in pairwise(sorted(times)):
            # A reply that nobody was there to hear, or to write down, is all that may be paid again.
            if not any(came <= kill < answered + _SOON for kill in killed_at):
                tally.complaints.append(f"paid again: {asked}, {again - answered:.1f} s later")
    tally.complaints = [f"{complaint} (seed {seed})" for complaint in tally.complaints]
    return tally


def _live(command: list[str], seconds: float, run: str, env: Mapping[str, str]) -> tuple[float | None, str]:
    """Begin or go on, until it is killed so many seconds after it began: when it was; None at its end. And the run."""
    with python_begun(*command, environ=env, stderr=subprocess.DEVNULL) as child:
        assert child.stdout is not None
        run = child.stdout.readline().decode().strip() or run
        timer = threading.Timer(seconds, child.kill)
        timer.start()
        died_at = None if b"END" in child.stdout.read() else time.monotonic()  # before anybody waits for the store
        timer.cancel()
    return died_at, _kept(Path(command[-1] if not run or command[-1] != run else command[-2]), run)


def _kept(store: Path, run: str) -> str:
    """The run, if anything of it is in the store already."""
    try:
        Store(store).check(run)
    except StoreError:
        return ""
    return run


def held(kills: int, seed: int, folder: Path, slow: int = 0) -> Tally:
    """One run after the other, until so many kills have been dealt."""
    tally, number = Tally(), 0
    disk = slow_disk(folder, slow) if slow else None
    while tally.kills < kills:
        share = min(kills - tally.kills, random.Random(f"{seed} {number}").randint(*_KILLS))
        one = story(folder / str(number), f"{seed}-{number}", share, disk)
        number += 1
        tally = Tally(
            tally.runs + 1,
            tally.kills + one.kills,
            tally.answered + one.answered,
            tally.again + one.again,
            max(tally.charged, one.charged, key=Decimal),
            tally.complaints + one.complaints,
        )
    return tally


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("kills", type=int)
    parser.add_argument("seed", type=int)
    parser.add_argument("folder", nargs="?")
    parser.add_argument("--slow", type=int, default=0, metavar="MS")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="stretto-held-", dir=given.folder) as place:
        print(msgspec.json.encode(held(given.kills, given.seed, Path(place), given.slow)).decode())  # noqa: T201
