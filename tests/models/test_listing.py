"""Asking endpoints for their models: over real sockets, and every way in which that fails."""

import asyncio
import json

import pytest

from endpoint import END, KEY, STREAM, Endpoint, Exchange, Script, chunk, error, http
from loops import on_loop
from stretto import Provider
from stretto.errors import AuthError, CallError, CallTimeout, ConnectError, MissingKey, ReplyError, RequestError
from stretto.models.http import Http
from stretto.models.listing import Listed, listing


async def listed(server: Endpoint, patience: float = 5.0) -> list[Listed]:
    http = Http()
    try:
        settings = Provider(server.url, "TEA_KEY")
        return await listing("tea", settings, {"TEA_KEY": KEY}, http, patience)
    finally:
        await http.close()


def body(listed: object) -> bytes:
    return http(json.dumps(listed).encode())


async def silence(_: Exchange) -> None:
    await asyncio.sleep(60)


async def endless(exchange: Exchange) -> None:
    await exchange.send(STREAM, *[chunk(b" " * 2**20)] * 20, END)


@pytest.mark.parametrize(
    ("said", "models"),
    [
        ({"data": [{"id": "b"}, {"id": "a", "context_length": 8}]}, [Listed("b"), Listed("a", 8)]),
        ([{"id": "a", "max_model_len": 9, "context_window": 0}], [Listed("a", 9)]),
        ({"data": [3, {"id": None}, {"id": ""}, {"id": "a", "context_window": True}]}, [Listed("a")]),
        ({"data": []}, []),
    ],
)
@on_loop
async def test_listings_of_every_form_are_read(said: object, models: list[Listed]) -> None:
    async with Endpoint(body(said)) as server:
        assert await listed(server) == models
        assert server.requests[0].line == "GET /v1/models HTTP/1.1"
        assert server.requests[0].headers["authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize(
    ("script", "kind", "said"),
    [
        (http(b"<html>", kind="text/html"), ReplyError, r"\(text/html\) is no list of models; check the base URL"),
        (http(b'{"data": 3}'), ReplyError, "no list of models"),
        (http(b"\xff"), ReplyError, "no list of models"),
        (endless, ReplyError, "more than 16 MB"),
        (http(b"no", "404 Not Found"), RequestError, r"404: it lists no models there; .* \(-m\)"),
        (
            http(b"", "302 Found", headers="Location: http://x.test/v2?k=1\r\n"),
            RequestError,
            "leads to http://x.test/v2;",
        ),
        (error("401 Unauthorized", f"no such key: {KEY}"), AuthError, r"no such key: \[key\] \(the key is refused"),
        (error("500 Oops", "broken"), CallError, "500 broken"),
        (b"SSH-2.0\r\n", ReplyError, "does not speak HTTP"),
    ],
)
@on_loop
async def test_what_is_wrong_there_is_said_without_the_key(script: Script, kind: type[CallError], said: str) -> None:
    async with Endpoint(script) as server:
        with pytest.raises(kind, match=said) as caught:
            await listed(server)
    assert str(caught.value).startswith(f"tea at {server.url}/models: ")
    assert KEY not in str(caught.value)


@on_loop
async def test_one_that_is_slow_is_given_up_in_time() -> None:
    async with Endpoint(silence) as server:
        with pytest.raises(CallTimeout, match=r"no list of models within 0\.1 s"):
            await listed(server, patience=0.1)


@on_loop
async def test_where_nobody_listens_that_is_said() -> None:
    async with Endpoint(b"") as server:
        pass
    with pytest.raises(ConnectError, match="nothing listens there; is the server running"):
        await listed(server)


@on_loop
async def test_without_its_key_nothing_is_sent() -> None:
    async with Endpoint(body([])) as server:
        with pytest.raises(MissingKey, match="TEA_KEY"):
            await listing("tea", Provider(server.url, "TEA_KEY"), {}, Http(), 1.0)
    assert not server.requests
