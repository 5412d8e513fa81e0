"""The endpoint under use: who leaves, who waits, who is sent away, and how it ends."""

import asyncio
import codecs
import contextlib
import gzip
import json
import re
import signal
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from loops import on_loop
from places import ROOT
from serving import Client, chat, events_in, runs, served, told, workflow
from simulated import pool_of, simulator_of
from stretto import Workflow
from terminal import Begun, Terminal

SLOW: dict[str, Any] = {"ttft": 0.2, "tokens_per_second": 1000}


async def until(true: Callable[[], bool]) -> None:
    while not true():
        await asyncio.sleep(0.005)


def in_flight(asked: Workflow[Any]) -> int:
    return simulator_of(asked).in_flight if pool_of(asked).simulated else 0


# -- who leaves


@pytest.mark.parametrize("stream", [True, False])
@on_loop
async def test_a_client_that_leaves_stops_the_run_and_all_its_calls(stream: bool, tmp_path: Path) -> None:
    asked = workflow(tmp_path / "runs.db", **SLOW)
    async with served(asked) as client:
        leaving = asyncio.create_task(client.json(stream=stream))
        await until(lambda: in_flight(asked) > 0)
        leaving.cancel()
        await asyncio.wait([leaving])
        await until(lambda: in_flight(asked) == 0 and not client.service.runs.inside)
        assert not client.service.carried
    (run,) = runs(tmp_path / "runs.db")
    assert run.status == "interrupted"


@on_loop
async def test_a_client_that_leaves_while_it_waits_is_forgotten() -> None:
    asked = workflow(None, **SLOW)
    async with served(asked, most_runs=1) as client:
        first = asyncio.create_task(client.json())
        await until(lambda: client.service.runs.inside == 1)
        second = asyncio.create_task(client.json())
        await until(lambda: client.service.runs.waiting == 1)
        second.cancel()
        await until(lambda: client.service.runs.waiting == 0)
        first.cancel()
        await until(lambda: client.service.runs.inside == 0)
        assert (await client.json(max_tokens=1))["choices"]
        await asyncio.wait([first, second])


# -- who waits


@on_loop
async def test_a_stream_without_news_is_kept_alive_by_comments() -> None:
    async with (
        served(workflow(None, ttft=0.3), silence=0.05) as client,
        client.ask(stream=True) as response,
    ):
        text = await response.text()
    assert text.count(": keep-alive\n\n") >= 2
    assert told(events_in(text), "content")


@on_loop
async def test_the_first_progress_comes_before_the_plan() -> None:
    async with served(workflow(None, ttft=0.5)) as client, client.ask(stream=True) as response:
        read = b""
        while b"planning" not in read:
            read += await response.content.readany()
        assert in_flight(client.service.offer.workflows["general"]) == 1
        assert b"subtask" not in read


@on_loop
async def test_whoever_comes_too_many_is_sent_away_for_a_while() -> None:
    asked = workflow(None, **SLOW)
    async with served(asked, most_runs=1, most_waiting=1) as client:
        first, second = (asyncio.create_task(client.events()) for _ in range(2))
        await until(lambda: client.service.runs.waiting == 1)
        for stream in (True, False):
            async with client.ask(stream=stream) as response:
                assert (response.status, int(response.headers["retry-after"]) >= 1) == (429, True)
                assert (await response.json())["error"]["code"] == "server_busy"
        events = await first, await second
        assert all(told(each, "content") for each in events)
        assert told(events[1], "reasoning").startswith("waiting: 1 before this\n")


# -- what comes in badly


async def raw(client: Client, *pieces: bytes, half_close: bool = False) -> bytes:
    """What the server says to these bytes, until it closes the connection."""
    host, port = client.url.removeprefix("http://").removesuffix("/v1").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    for piece in pieces:
        writer.write(piece)
        await writer.drain()
    if half_close:
        writer.write_eof()
    said = b""
    with contextlib.suppress(ConnectionError):
        said = await reader.read()
    writer.close()
    return said


def request(body: bytes, *headers: str, path: str = "/v1/chat/completions") -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: localhost", "Connection: close", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join([*lines, "", ""]).encode("utf-8", "surrogateescape") + body


def answered(said: bytes) -> tuple[int, dict[str, Any]]:
    head, _, body = said.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)["error"]


@pytest.mark.parametrize(
    "body",
    [
        *(
            b"",
            b"hello",
            b"[]",
            b'"text"',
            b"{",
            b'{"model": "general"',
            b"\xff\xfe\x00",
            b'{"model": "\xff"}',
            b"[" * 9999,
        ),
        *(b'{"model": "general", "seed": 1e999}', b'{"model": "general", "metadata": [[-1e400]]}'),
    ],
)
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/responses"])
@on_loop
async def test_a_body_that_is_no_json_object_is_a_400(path: str, body: bytes) -> None:
    async with served() as client:
        status, error = answered(await raw(client, request(body, path=path)))
        assert (status, error["type"]) == (400, "invalid_request_error")
        assert (await client.json())["choices"]


@on_loop
async def test_a_byte_order_mark_before_a_body_is_no_part_of_it() -> None:
    async with served() as client:
        body = codecs.BOM_UTF8 + json.dumps(chat()).encode()
        assert (await raw(client, request(body))).startswith(b"HTTP/1.1 200 ")


@on_loop
async def test_a_huge_body_is_a_413_whether_its_length_is_told_or_not() -> None:
    async with served(largest=1000) as client:
        status, error = answered(await raw(client, request(b"x" * 1001)))
        assert (status, error["code"]) == (413, "request_too_large")
        chunked = b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n"
        pieces = [b"Connection: close\r\n\r\n", *[b"1ff\r\n" + b"x" * 0x1FF + b"\r\n"] * 3, b"0\r\n\r\n"]
        said = await raw(client, chunked, *pieces)
        assert answered(said)[0] == 413


def _bare(data: bytes) -> bytes:
    packing = zlib.compressobj(wbits=-15)
    return packing.compress(data) + packing.flush()


@pytest.mark.parametrize(
    ("coding", "pack"),
    [
        ("gzip", gzip.compress),
        ("X-GZIP", gzip.compress),
        ("deflate", zlib.compress),
        ("deflate", _bare),
        ("identity", bytes),
    ],
)
@on_loop
async def test_a_packed_body_is_unpacked(coding: str, pack: Callable[[bytes], bytes]) -> None:
    async with served() as client:
        body = pack(json.dumps(chat()).encode())
        assert (await raw(client, request(body, f"Content-Encoding: {coding}"))).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(
    ("coding", "body"),
    [("gzip", b"no gzip at all"), ("gzip", gzip.compress(b"{}" * 99, mtime=0)[:-9]), ("br", b"x"), ("deflate", b"x")],
)
@on_loop
async def test_a_body_that_is_not_packed_as_it_says_is_a_400(coding: str, body: bytes) -> None:
    async with served() as client:
        status, _ = answered(await raw(client, request(body, f"Content-Encoding: {coding}")))
        assert status == 400


@on_loop
async def test_a_packed_body_is_as_large_as_what_is_in_it() -> None:
    async with served(largest=1000) as client:
        status, error = answered(await raw(client, request(gzip.compress(b"x" * 10_000_000), "Content-Encoding: gzip")))
        assert (status, error["code"]) == (413, "request_too_large")


@on_loop
async def test_whoever_leaves_while_it_is_told_to_wait_leaves_no_place_behind() -> None:
    asked = workflow(None, **SLOW)
    async with served(asked, most_runs=1) as client:
        first = asyncio.create_task(client.events())
        await until(lambda: client.service.runs.inside == 1)
        for _ in range(3):
            async with client.ask(stream=True) as response:
                assert b"waiting: 1 before this" in await response.content.readuntil(b"before this")
            await until(lambda: client.service.runs.waiting == 0)
        assert told(await first, "content")
        await until(lambda: client.service.runs.inside == 0)


@on_loop
async def test_a_body_that_does_not_come_is_a_408() -> None:
    async with served(slowest=0.2) as client:
        whole = request(json.dumps(chat()).encode())
        status, error = answered(await raw(client, whole[:-1]))
        assert (status, error["code"]) == (408, "request_timeout")


@pytest.mark.parametrize(
    "bomb",
    [
        b"GET /v1/models HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 100_000 + b"\r\n\r\n",
        b"GET /v1/models HTTP/1.1\r\nHost: localhost\r\n" + b"X: x\r\n" * 5_000 + b"\r\n",
        b"GET /" + b"x" * 100_000 + b" HTTP/1.1\r\n\r\n",
        b"\x16\x03\x01 hello\r\n\r\n",
    ],
)
@on_loop
async def test_what_is_no_request_is_a_400_with_a_body(bomb: bytes) -> None:
    async with served() as client:
        said = await raw(client, bomb)
        head, _, body = said.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.")
        assert b" 400 " in head.splitlines()[0]
        assert body
        assert b"Traceback" not in body
        assert (await client.json())["choices"]


@on_loop
async def test_a_socket_that_is_closed_half_way_harms_nobody() -> None:
    async with served() as client:
        whole = request(json.dumps(chat()).encode())
        for end in (10, len(whole) // 2, len(whole) - 1, len(whole)):
            await raw(client, whole[:end], half_close=True)
        assert (await client.json())["choices"]
        await until(lambda: not client.service.runs.inside)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/chat/completions", 405),
        ("POST", "/v1/models", 405),
        ("GET", "/../../etc/passwd", 404),
        ("GET", "/v1/models/%2e%2e%2f%2e%2e%2fetc%2fpasswd", 404),
        ("GET", "/v1/models/%ff%00", 404),
        ("POST", "/v1/embeddings", 404),
    ],
)
@on_loop
async def test_an_address_that_is_none_has_a_status_and_a_body(method: str, path: str, status: int) -> None:
    async with served() as client:
        said = await raw(client, f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        assert answered(said)[0] == status


@on_loop
async def test_a_client_that_hardly_reads_holds_up_nobody_else() -> None:
    async with served(workflow(None, length=400)) as client:
        body = json.dumps(chat(stream=True)).encode()
        host, port = client.url.removeprefix("http://").removesuffix("/v1").split(":")
        slow = [await asyncio.open_connection(host, int(port), limit=1) for _ in range(5)]
        for _, writer in slow:
            writer.write(request(body))
        for reader, _ in slow:
            await reader.read(1)
        assert told(await client.events(), "content")
        for _, writer in slow:
            writer.close()
        await until(lambda: not client.service.runs.inside)


# -- how it ends


def started(terminal: Terminal, *args: str, **environ: str) -> tuple[Begun, str]:
    """A server as a child, and its base URL."""
    child = terminal.child("serve", "--port", "0", "-w", "general", *args, environ=terminal.environ | environ)
    assert child.stdout is not None
    return child, child.stdout.readline().decode().strip()


async def begun(session: aiohttp.ClientSession, url: str) -> aiohttp.ClientResponse:
    """A streamed answer of which the first worker is at work."""
    response = await session.post(f"{url}/chat/completions", json=chat(stream=True))
    read = b""
    while b"(general)" not in read:
        read += await response.content.readany()
    return response


SLOWLY = "[providers.sim]\nttft = 0.3\ntokens_per_second = 300\n"


@on_loop
async def test_ctrl_c_lets_an_answer_finish_and_takes_no_more(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path)
    terminal.write("stretto.toml", SLOWLY)
    child, url = await asyncio.to_thread(started, terminal, "-m", "sim:x")
    async with aiohttp.ClientSession() as session:
        answer = await begun(session, url)
        child.send_signal(signal.SIGINT)
        rest = (await answer.text()).splitlines()
    assert rest[-2] == "data: [DONE]"
    out, err = await asyncio.to_thread(child.communicate)
    assert (child.returncode, out) == (0, b"")
    assert b"1 answer" in err
    (run,) = runs(terminal.store)
    assert run.status == "finished"


@pytest.mark.parametrize("how", ["twice", "grace"])
@on_loop
async def test_what_cannot_finish_is_stopped_named_and_can_be_resumed(how: str, tmp_path: Path) -> None:
    terminal = Terminal(tmp_path)
    terminal.write("stretto.toml", SLOWLY)
    grace = "60s" if how == "twice" else "0.1s"
    child, url = await asyncio.to_thread(started, terminal, "-m", "sim:x", "--grace", grace)
    async with aiohttp.ClientSession() as session:
        answer = await begun(session, url)
        child.send_signal(signal.SIGTERM)
        if how == "twice":
            assert child.stderr is not None
            while b"Ctrl-C again" not in await asyncio.to_thread(child.stderr.readline):
                pass
            child.send_signal(signal.SIGINT)
        last = events_in("data: " + (await answer.text()).rpartition("data: ")[2])[-1]
    assert last["error"]["code"] == "stopped"
    _, err = await asyncio.to_thread(child.communicate)
    (run,) = runs(terminal.store)
    assert f"stretto resume {run.id}" in last["error"]["message"]
    assert f"stopped; go on with: stretto resume {run.id}\n" in err.decode()
    assert (child.returncode, run.status) == (0, "interrupted")
    done = await asyncio.to_thread(terminal, "resume", run.id)
    assert done.code == 0, done.err


def test_any_other_address_wants_a_key(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path)
    done = terminal("serve", "-w", "general", "-m", "sim:x", "--host", "::", "--port", "0")
    assert (done.code, done.out) == (3, "")
    assert "--api-key-env" in done.err
    empty = terminal("serve", "-w", "general", "-m", "sim:x", "--api-key-env", "NOBODYS_KEY")
    assert (empty.code, "NOBODYS_KEY" in empty.err) == (3, True)


def test_a_name_that_is_served_twice_is_an_error(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path)
    terminal.write("mine/general.toml", (ROOT / "src/stretto/presets/general.toml").read_text())
    done = terminal("serve", "-w", "general", "-w", "mine/general.toml", "-m", "sim:x")
    assert done.code == 3
    assert re.search(r"'general' is served already", done.err)
