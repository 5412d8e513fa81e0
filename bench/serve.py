"""`stretto serve`: how soon a run is heard of, and what a single call through the door costs beside asking directly."""

import contextlib
import http.client
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import msgspec

from bench import crowd, pieces
from bench.processes import ROOT
from bench.table import Part, Row, Setting, ms

_TASK = {"messages": [{"role": "user", "content": "Compare tea and coffee in 2 subtasks"}]}
_STRETTO = [sys.executable, "-m", "stretto"]


def rows(setting: Setting) -> Part:
    """Streamed runs one after the other, and single calls in turn with the same ones asked directly."""
    store = {"STRETTO_STORE": str(setting.folder / "serve.db"), "HOME": str(setting.folder)}
    with (
        _started(["sim", "--port", "0", "--ttft", "0", "--tokens-per-second", "1000000"], store) as (sim, _),
        _started(
            ["serve", "-w", "general", "-m", "vllm:x", "--port", "0"], {**store, "VLLM_BASE_URL": f"http://{sim}/v1"}
        ) as (serve, process),
    ):
        times = [_first_byte(serve) for _ in range(setting.rounds(20, 100))]
        yield Row("first byte of progress of a streamed run, p50", ms(median(times)), "", median(times) / 0.02, 1)
        yield Row("the same, p99", ms(quantiles(times, n=100)[98]))
        yield from _through_the_door(sim, serve, process.pid, setting)
    with (
        _started(["sim", "--port", "0", "--ttft", "0.2", "--tokens-per-second", "80"], store) as (sim, _),
        _started(
            ["serve", "-w", "general", "-m", "vllm:x", "--port", "0", "--max-runs", "256", "--parallel", "2000"],
            {**store, "VLLM_BASE_URL": f"http://{sim}/v1"},
        ) as (serve, process),
    ):
        yield from crowd.rows(serve, process.pid, setting)
    roles = [
        each
        for role in ("orchestrator=vllm:plan", "workers=vllm:work", "synthesizer=vllm:join")
        for each in ("-m", role)
    ]
    with (
        _listening("bench.stamped") as (stamped, _),
        _started(
            ["serve", "-w", "general", *roles, "--port", "0", "--max-runs", "256", "--parallel", "2000"],
            {**store, "VLLM_BASE_URL": f"http://{stamped}/v1"},
        ) as (serve, _),
    ):
        yield from pieces.rows(stamped, serve, setting)


def _through_the_door(sim: str, serve: str, process: int, setting: Setting) -> Part:
    """Single calls in turn: asked directly, through the least hop that there is, and through the door.

    Then through a hop that keeps the same rows: that is the floor, what a call through the door costs if nothing else
    is done. Not in the same turn, for who waits for the disk right behind another waits twice as long.
    """
    kept = str(setting.folder / "hop.db")
    with (
        _listening("bench.hop", f"http://{sim}/v1") as (hop, hopping),
        _listening("bench.hop", f"http://{sim}/v1", kept) as (keep, keeping),
    ):
        bare, least = _Caller(sim, "x"), _Caller(hop, "x")
        hopped, added, idle, spent = _in_turn(bare, least, _Caller(serve, "vllm:x"), (hopping.pid, process), setting)
        _, stored, _, floor = _in_turn(bare, least, _Caller(keep, "x"), (hopping.pid, keeping.pid), setting)
    yield Row(
        "a single call through the door: latency added, p50 (bare: a hop)", ms(added), ms(hopped), added / 0.003, 1
    )
    yield Row("the same through a hop that streams and keeps the same rows", ms(stored), ms(hopped))
    yield Row("the same: CPU of the server a call", ms(spent), ms(idle), spent / 0.001, 1)
    yield Row("the same: CPU of a hop that streams and keeps the same rows", ms(floor), ms(idle))


def _in_turn(
    bare: "_Caller", hop: "_Caller", other: "_Caller", processes: tuple[int, int], setting: Setting
) -> tuple[float, float, float, float]:
    """Seconds that the hop and the other add to a bare call, in the middle; and CPU of these processes a call."""
    callers = bare, hop, other
    for caller in callers:
        caller.call()
    count, before = setting.rounds(100, 1000), [_cpu(each) for each in processes]
    taken = [tuple(caller.call() for caller in callers) for _ in range(count)]
    hopped, added = (median(each[way] - each[0] for each in taken) for way in (1, 2))
    idle, spent = ((_cpu(each) - was) / count for each, was in zip(processes, before, strict=True))
    return hopped, added, idle, spent


@contextlib.contextmanager
def _started(arguments: list[str], environ: dict[str, str]) -> Iterator[tuple[str, "subprocess.Popen[str]"]]:
    """A server of ours as a child, and its host and port."""
    command = [*_STRETTO, *arguments]
    settings: dict[str, Any] = {"cwd": ROOT / "bench", "env": {**os.environ, **environ}, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, **settings) as process:
        assert process.stdout
        try:
            yield process.stdout.readline().strip().removeprefix("http://").removesuffix("/v1"), process
        finally:
            process.terminate()


@contextlib.contextmanager
def _listening(module: str, *arguments: str) -> Iterator[tuple[str, "subprocess.Popen[str]"]]:
    """A server of the benchmark's as a child, and its host and port."""
    command = [sys.executable, "-m", module, *arguments]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        try:
            yield f"127.0.0.1:{int(process.stdout.readline())}", process
        finally:
            process.terminate()


def _first_byte(address: str) -> float:
    """Seconds until a streamed run says what it does."""
    connection = http.client.HTTPConnection(address)
    body = msgspec.json.encode({"model": "general", "stream": True, **_TASK})
    began = time.perf_counter()
    connection.request("POST", "/v1/chat/completions", body)
    response = connection.getresponse()
    while b"planning" not in response.readline():
        pass
    taken = time.perf_counter() - began
    response.read()
    connection.close()
    return taken


class _Caller:
    """Asks one call after the other over one connection."""

    def __init__(self, address: str, model: str) -> None:
        self._connection = http.client.HTTPConnection(address)
        self._model = model
        self._number = 0

    def call(self) -> float:
        """Seconds of one call; no two ask the same."""
        self._number += 1
        messages = [{"role": "user", "content": f"Name tea number {self._number}."}]
        body = msgspec.json.encode({"model": self._model, "max_tokens": 20, "messages": messages})
        began = time.perf_counter()
        self._connection.request("POST", "/v1/chat/completions", body)
        response = self._connection.getresponse()
        response.read()
        assert response.status == 200, response.status
        return time.perf_counter() - began


def _cpu(process: int) -> float:
    """Seconds of the processor that a process has spent."""
    fields = Path(f"/proc/{process}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
