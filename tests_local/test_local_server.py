"""One GGUF file served by a child process."""

import asyncio
import os
import subprocess
import sys
import time
from pathlib import Path

import aiohttp
import pytest

from loops import on_loop
from stretto.errors import ConfigError, RequestError
from stretto.models.local import LocalServer

HOLDS = """
import asyncio, sys
from pathlib import Path
from stretto.models.local import LocalServer

async def main():
    server = LocalServer(Path(sys.argv[1]), slots=1, context=512, threads=1)
    waiting = asyncio.create_task(server.start())
    while server.child is None:
        await asyncio.sleep(0)
    print(server.child, flush=True)
    await waiting
    print(server.base_url, flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""


def runs(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in "ZX"


def gone(pid: int, patience: float) -> bool:
    until = time.monotonic() + patience
    while runs(pid) and time.monotonic() < until:
        time.sleep(0.01)
    return not runs(pid)


def edited(model: Path, into: Path, old: bytes, new: bytes) -> Path:
    into.write_bytes(model.read_bytes().replace(old, new))
    return into


async def asked(server: LocalServer) -> str:
    body = {"messages": [{"role": "user", "content": "Say hello."}], "max_tokens": 5}
    async with aiohttp.ClientSession() as session, session.post(f"{server.base_url}/chat/completions", json=body) as r:
        return str((await r.json())["model"])


@on_loop
async def test_it_serves_while_it_is_open_and_is_gone_afterwards(smollm: Path) -> None:
    async with LocalServer(smollm, slots=2, context=1024, threads=1) as server:
        assert server.base_url.startswith("http://127.0.0.1:")
        child = server.child
        assert child
        assert await asked(server) == smollm.stem  # and not the place of the file
    assert not runs(child)


@on_loop
async def test_it_can_be_started_again_and_whoever_waits_together_waits_for_one(smollm: Path) -> None:
    server = LocalServer(smollm, slots=1, context=512, threads=1)
    await asyncio.gather(*(server.start() for _ in range(5)))
    first = server.child
    await server.stop()
    await server.stop()
    await server.start()
    assert first != server.child
    await server.stop()


def held(pid: int) -> int:
    """Kilobytes of memory that a process has to itself."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon:"))


@on_loop
async def test_who_is_not_asked_gives_its_memory_back_and_answers_again_when_it_is(smollm: Path) -> None:
    async with LocalServer(smollm, slots=2, context=4096, threads=1, idle=1) as server:
        assert server.child
        full = held(server.child)
        while held(server.child) > full - 100_000:
            await asyncio.sleep(0.05)
        assert {*await asyncio.gather(asked(server), asked(server))} == {smollm.stem}
        assert await (await server.start()).crash(0.01) == ""


@pytest.mark.parametrize("loaded", [False, True])
def test_the_child_is_gone_when_its_parent_is_killed(smollm: Path, loaded: bool) -> None:
    command = [sys.executable, "-c", HOLDS, str(smollm)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout
        child = int(parent.stdout.readline())
        if loaded:
            assert parent.stdout.readline()
        assert runs(child)
        parent.kill()
        assert gone(child, 2)


@on_loop
async def test_a_child_that_was_killed_is_told_of_and_started_once_more(smollm: Path) -> None:
    async with LocalServer(smollm, slots=1, context=512, threads=1) as server:
        for _ in range(2):
            launch = await server.start()
            assert await launch.crash(0.1) == ""
            assert server.child
            os.kill(server.child, 11)
            said = await launch.crash(2)
            assert said.startswith(f"{smollm.name}: llama.cpp has crashed (signal 11); the end of its log:\n")
            assert "listening" in said
            assert str(smollm.parent) not in said
        with pytest.raises(RequestError, match="has crashed"):
            await server.start()


def test_a_file_that_is_no_model_is_refused_before_anything_is_started(smollm: Path, tmp_path: Path) -> None:
    whole = smollm.read_bytes()
    header = whole.index(b"output_norm.weight")
    for size, why in (
        (0, "empty"),
        (3, "no GGUF file"),
        (20, "cut off after 20 bytes"),
        (header, "cut off"),
        (len(whole) // 2, f"cut off after {len(whole) // 2:,} bytes"),
    ):
        path = tmp_path / "cut.gguf"
        path.write_bytes(whole[:size])
        with pytest.raises(ConfigError, match=why):
            LocalServer(path)
    path.write_text("no model at all", encoding="utf-8")
    with pytest.raises(ConfigError, match="no GGUF file"):
        LocalServer(path)
    with pytest.raises(ConfigError, match="No such file"):
        LocalServer(tmp_path / "nothing.gguf")
    with pytest.raises(ConfigError, match="a folder"):
        LocalServer(tmp_path)


@on_loop
async def test_a_file_that_llama_cpp_refuses_is_told_of_with_the_end_of_its_log(smollm: Path, tmp_path: Path) -> None:
    odd = edited(smollm, tmp_path / "odd.gguf", b"output_norm.weight", b"output_nurm.weight")
    server = LocalServer(odd, slots=1, context=512)
    for _ in range(2):
        with pytest.raises(RequestError, match=r"(?s)odd.gguf: llama.cpp cannot load it.*output_norm.weight"):
            await server.start()


def test_what_needs_more_memory_than_there_is_is_refused_with_figures_and_a_remedy(smollm: Path) -> None:
    with pytest.raises(ConfigError, match=r"needs 1.0 GB of memory \(weights 98 MB, 4 x 8,192 .* 400 MB are free; say"):
        LocalServer(smollm, slots=4, context=8192, memory=400_000_000)
    with pytest.raises(ConfigError, match=r"50 MB are free; take a smaller file"):
        LocalServer(smollm, memory=50_000_000)


def test_the_context_is_what_the_model_was_trained_for_as_far_as_memory_goes(smollm: Path) -> None:
    assert LocalServer(smollm).context == LocalServer(smollm).model.trained == 8192
    assert LocalServer(smollm, context=100_000).context == 8192
    assert LocalServer(smollm, context=1000).context == 1000
    assert 2048 < LocalServer(smollm, memory=900_000_000).context < 8192
