"""A chat-completions endpoint over real sockets, in every mood an endpoint can have."""

import asyncio
import gzip
import json
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drawn import examples
from endpoint import (
    END,
    KEY,
    SCHEMA,
    STREAM,
    Endpoint,
    Exchange,
    Heard,
    Script,
    ask,
    asking,
    call,
    chunk,
    delta,
    error,
    hear,
    http,
    plain,
    reply,
    sse,
    streamed,
)
from loops import on_loop
from stretto import Message, Usage, events
from stretto.calls import Done, Notice, Reasoning, Sent, Text
from stretto.errors import (
    AuthError,
    CallError,
    CallTimeout,
    ConnectError,
    CutError,
    EmptyReply,
    QuotaError,
    RateLimited,
    ReplyError,
    RequestError,
    ServerError,
    Unreachable,
)
from stretto.events import CallFinished, RunDegraded

TOKENS = {"prompt_tokens": 9, "completion_tokens": 4}
USAGE = {**TOKENS, "prompt_tokens_details": {"cached_tokens": 3}}
TEA = sse(
    delta(role="assistant", content=""),
    delta(reasoning="Hm. "),
    delta(reasoning_content="So."),
    delta(content="As"),
    delta(content="säm 🍵"),
    delta("stop"),
    {"model": "m-1", "choices": [], "usage": USAGE},
)


async def fails(script: Script, asked: Any = None, **provider: Any) -> CallError:
    with pytest.raises(CallError) as caught:
        await hear(script, asked, **provider)
    return caught.value


# Streams


@given(st.integers(1, 40), st.booleans(), st.booleans(), st.booleans())
@examples(15)
def test_a_stream_says_the_same_in_every_chunking(size: int, crlf: bool, comments: bool, tight: bool) -> None:
    data = TEA.replace(b"\n\n", b"\n\n: ping\n\nevent: x\nid: 4\n") if comments else TEA
    data = data.replace(b"data: ", b"data:") if tight else data
    data = data.replace(b"\n", b"\r\n") if crlf else data
    heard = asyncio.run(hear(streamed(data, size)))
    assert (heard.text, heard.thoughts) == ("Assäm 🍵", "Hm. So.")
    assert heard.done == Done("stop", Usage(9, 4, 3), "m-1", "r-7")


@on_loop
async def test_the_first_chunk_says_that_the_request_left() -> None:
    assert isinstance((await hear(streamed(TEA))).chunks[0], Sent)


@on_loop
async def test_each_piece_is_passed_on_when_it_comes() -> None:
    go = asyncio.Event()

    async def play(exchange: Exchange) -> None:
        await exchange.send(STREAM, chunk(sse(delta(content="As"), done=False)))
        await go.wait()
        await exchange.send(chunk(sse(delta("stop", content="sam"))), END)

    async with Endpoint(play) as server, asking(server) as model:
        heard = []
        async for c in model.stream(call()):
            heard.append(c)
            if c == Text("As"):
                go.set()
    assert Text("sam") in heard


@on_loop
async def test_a_missing_done_marker_is_no_cut() -> None:
    assert (await hear(streamed(sse(delta("stop", content="Assam"), done=False)))).text == "Assam"


@on_loop
async def test_a_last_line_without_its_newline_counts() -> None:
    assert (await hear(streamed(sse(delta("stop", content="Assam"), done=False).rstrip()))).text == "Assam"


@pytest.mark.parametrize("done", [True, False])
@on_loop
async def test_a_stream_without_a_finish_reason_is_a_cut(done: bool) -> None:
    assert isinstance(await fails(streamed(sse(delta(content="Ass"), done=done))), CutError)


@pytest.mark.parametrize("reason", ["error", "abort"])
@on_loop
async def test_a_reply_the_provider_broke_off_is_a_cut(reason: str) -> None:
    assert isinstance(await fails(streamed(sse(delta(content="Ass"), delta(reason)))), CutError)


@pytest.mark.parametrize(
    ("said", "means"), [("eos", "stop"), ("end_turn", "stop"), ("model_length", "length"), ("STOP", "stop")]
)
@on_loop
async def test_other_names_of_a_finish_reason_mean_the_same(said: str, means: str) -> None:
    assert (await hear(plain(finish=said))).done.finish == means


@on_loop
async def test_lines_of_a_megabyte_and_replies_of_ten_are_read_whole() -> None:
    text = "tea " * 250_000
    heard = await hear(streamed(sse(*(delta(content=text) for _ in range(3)), delta("stop")), 100_000))
    assert heard.text == text * 3
    assert (await hear(plain(text * 10))).text == text * 10


@on_loop
async def test_a_gzipped_reply_is_read() -> None:
    packed = gzip.compress(json.dumps(reply("Assam")).encode())
    assert (await hear(http(packed, headers="Content-Encoding: gzip\r\n"))).text == "Assam"


# Usage


@pytest.mark.parametrize(
    ("last", "usage"),
    [
        ({"choices": [], "usage": USAGE}, Usage(9, 4, 3)),
        ({"choices": [], "x_groq": {"usage": USAGE}}, Usage(9, 4, 3)),
        ({"choices": [{"delta": {}, "usage": USAGE}]}, Usage(9, 4, 3)),
        ({"choices": [], "usage": {**TOKENS, "prompt_cache_hit_tokens": 2}}, Usage(9, 4, 2)),
        ({"choices": [], "usage": {**TOKENS, "completion_tokens_details": {"reasoning_tokens": 1}}}, Usage(9, 4, 0, 1)),
        ({"choices": [], "usage": None}, None),
        ({"choices": [], "usage": {}}, None),
        ({"choices": [], "usage": {"prompt_tokens": 9}}, None),
        ({"choices": [], "usage": {"prompt_tokens": 0, "completion_tokens": 0}}, None),
    ],
)  # fmt: skip
@on_loop
async def test_usage_is_found_where_it_is_and_unknown_is_never_zero(last: Any, usage: Usage | None) -> None:
    assert (await hear(streamed(sse(delta("stop", content="Assam"), last)))).done.usage == usage


# Whole replies


@pytest.mark.parametrize("stream", [True, False])
@on_loop
async def test_a_plain_reply_is_read_also_where_a_stream_was_asked_for(stream: bool) -> None:
    heard = await hear(plain("Assam", usage=USAGE), call(stream=stream))
    assert (heard.texts, heard.done) == (["Assam"], Done("stop", Usage(9, 4, 3), "m-1"))


@pytest.mark.parametrize("kind", ["text/plain", "text/event-stream", "application/octet-stream"])
@on_loop
async def test_json_under_another_name_is_read(kind: str) -> None:
    assert (await hear(http(json.dumps(reply("Assam")).encode(), kind=kind))).text == "Assam"


@on_loop
async def test_events_under_another_name_are_read() -> None:
    assert (await hear(http(b"\xef\xbb\xbf" + TEA, kind="text/plain"))).text == "Assäm 🍵"


@on_loop
async def test_a_stream_that_begins_with_a_byte_order_mark_loses_nothing() -> None:
    assert (await hear(streamed(b"\xef\xbb\xbf" + sse(delta("stop", content="Assam"))))).text == "Assam"


@on_loop
async def test_content_may_be_a_list_of_parts() -> None:
    thinking = {"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]}
    message = {"content": [thinking, {"type": "text", "text": "As"}, {"type": "text", "text": "sam"}]}
    body = {"choices": [{"message": message, "finish_reason": "stop"}]}
    heard = await hear(http(json.dumps(body).encode()))
    assert (heard.text, heard.thoughts) == ("Assam", "Hm.")


@on_loop
async def test_the_text_of_a_refusal_is_passed_on() -> None:
    body = {"choices": [{"message": {"content": None, "refusal": "I won't."}, "finish_reason": "stop"}]}
    assert (await hear(http(json.dumps(body).encode()))).text == "I won't."


@on_loop
async def test_think_blocks_are_no_text() -> None:
    heard = await hear(streamed(sse(*(delta(content=c) for c in "<think>Hm</think>\n\nAssam"), delta("stop"))))
    assert (heard.text, heard.thoughts) == ("Assam", "Hm")


@pytest.mark.parametrize("text", ["", " \n", None, "<think>only this</think>"])
@on_loop
async def test_a_finished_reply_without_text_is_an_error_of_its_own(text: str | None) -> None:
    assert isinstance(await fails(plain(text)), EmptyReply)


@on_loop
async def test_no_text_within_the_limit_is_a_truncated_reply() -> None:
    assert (await hear(plain("", "length"))).done.finish == "length"


@on_loop
async def test_a_request_id_survives_any_bytes() -> None:
    heard = await hear(http(json.dumps(reply()).encode(), headers="x-request-id: r-\udcff\r\n"))
    assert heard.done.request_id == "r-\ufffd"


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("bad", [b"As\xff\xfesam", rb"As\ud83dsam", rb"As\udc00sam"])
@on_loop
async def test_broken_text_becomes_replacement_characters(bad: bytes, stream: bool) -> None:
    body = json.dumps(delta("stop", content="TEXT") if stream else reply("TEXT")).encode().replace(b"TEXT", bad)
    heard = await hear(streamed(sse(body)) if stream else http(body), call(stream=stream))
    assert heard.text.removeprefix("As").removesuffix("sam") in {"\ufffd", "\ufffd\ufffd"}
    heard.text.encode()


# What is no reply


@pytest.mark.parametrize(
    ("script", "kind", "says"),
    [
        (http(b"<!doctype html><title>Sign in</title>", kind="text/html"), ReplyError, "check the base URL"),
        (http(b"<html>", kind="application/json"), ReplyError, "check the base URL"),
        (http(b"<html><title>Gone</title>", "404 Not Found", "text/html"), RequestError, "an HTML page (Gone)"),
        (http(b"<html><title>Bad gateway</title>", "502 Bad Gateway", "text/html"), ServerError, "Bad gateway"),
        (http(b""), CutError, "empty"),
        (http(b"", kind="text/html"), CutError, "empty"),
        (http(b'{"choices": [{"mess'), CutError, "cannot be read"),
        (http(b'{"status": "ok"}'), ReplyError, "no chat completion"),
        (http(b'"ok"'), CutError, "cannot be read"),
        (http(b'{"error": {"message": "no such thing", "code": 404}}'), RequestError, "no such thing"),
        (http(b'{"error": "sold out"}'), ServerError, "sold out"),
        (http(b'[{"error": {"message": "slow down", "code": 429}}]'), RateLimited, "slow down"),
        (http(b'{"object": "error", "message": "bad key", "code": 401}'), AuthError, "bad key"),
        (http(b'{"detail": "Not Found"}'), ServerError, "Not Found"),
        (http(b'{"error": {"message": "slow", "type": "rate_limit_error"}}'), RateLimited, "slow"),
        (http(b'{"error": {"message": "no", "code": "insufficient_quota"}}'), QuotaError, "no"),
        (b"SSH-2.0-OpenSSH_9.6\r\n", ReplyError, "does not speak HTTP"),
    ],
)
@on_loop
async def test_what_is_no_reply_gets_its_own_error(script: Script, kind: type[CallError], says: str) -> None:
    failed = await fails(script)
    assert type(failed) is kind
    assert says in str(failed)


@pytest.mark.parametrize(
    ("event", "kind"),
    [
        ({"error": {"message": "overloaded", "code": 503}}, ServerError),
        ({"error": {"message": "slow down", "type": "rate_limit_exceeded"}}, RateLimited),
        ({"error": "sold out"}, ServerError),
        ({"object": "error", "message": "no tea", "code": 400}, RequestError),
    ],
)
@on_loop
async def test_an_error_inside_a_stream_is_an_error(event: Any, kind: type[CallError]) -> None:
    assert type(await fails(streamed(sse(delta(content="As"), event)))) is kind


@on_loop
async def test_empty_errors_and_strange_events_are_passed_over() -> None:
    events = [{"type": "ping"}, {**delta(content="Assam"), "error": None}, {**delta("stop"), "error": {}}]
    assert (await hear(streamed(sse(*events)))).text == "Assam"


@on_loop
async def test_a_redirect_is_not_followed_and_says_where_to() -> None:
    moved = http(b"", "308 Permanent Redirect", headers=f"Location: /v2/chat/completions?k={KEY}\r\n")
    async with Endpoint(moved) as server, asking(server) as model:
        with pytest.raises(RequestError, match=f"http://127.0.0.1:{server.port}/v2$"):
            await ask(model)
        assert len(server.requests) == 1


# The network


def connection_lost(*pieces: bytes, hard: bool) -> Script:
    async def play(exchange: Exchange) -> None:
        await exchange.send(*pieces)
        exchange.reset() if hard else exchange.close()

    return play


@pytest.mark.parametrize("hard", [True, False])
@on_loop
async def test_a_connection_lost_before_the_headers_is_a_connect_error(hard: bool) -> None:
    assert type(await fails(connection_lost(hard=hard))) is ConnectError


@pytest.mark.parametrize("hard", [True, False])
@on_loop
async def test_a_connection_lost_in_the_body_is_a_cut(hard: bool) -> None:
    part = chunk(sse(delta(content="As"), done=False))
    assert type(await fails(connection_lost(STREAM, part, hard=hard))) is CutError
    assert type(await fails(connection_lost(plain()[:-9], hard=hard), call(stream=False))) is CutError


@on_loop
async def test_an_error_whose_body_breaks_off_keeps_its_status() -> None:
    cut = error("429 Too Many Requests", "slow down", "Retry-After: 3\r\n")[:-5]
    failed = await fails(connection_lost(cut, hard=False))
    assert (type(failed), failed.retry_after) == (RateLimited, 3.0)


@on_loop
async def test_an_error_body_in_two_packets_is_read_whole() -> None:
    async def play(exchange: Exchange) -> None:
        whole = error("400 Bad Request", "tea is out")
        await exchange.send(whole[:-20], whole[-20:], pause=0.05)

    assert str(await fails(play)).endswith("400 tea is out")


@on_loop
async def test_a_refused_connection_and_an_unknown_host_are_connect_errors() -> None:
    async with Endpoint(b"") as server:
        pass
    for url in (server.url, "http://no-such-host.invalid/v1"):
        async with asking(server, base_url=url) as model:
            with pytest.raises(ConnectError, match="cannot connect to"):
                await ask(model)


async def silence(_: Exchange) -> None:
    await asyncio.sleep(60)


@on_loop
async def test_tls_that_is_there_or_not_against_the_url_is_told_with_what_to_write() -> None:
    async def plainly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async def alert(exchange: Exchange) -> None:
        await exchange.send(b"\x15\x03\x03\x00\x02\x02\x46")
        exchange.close()

    async with Endpoint(alert) as server, asking(server) as model:
        with pytest.raises(ReplyError, match=r"does not speak HTTP .*whether it is https:// there"):
            await ask(model)
        async with await asyncio.start_server(plainly, "127.0.0.1", 0) as other:
            port = other.sockets[0].getsockname()[1]
            async with asking(server, base_url=f"https://127.0.0.1:{port}/v1") as secure:
                with pytest.raises(RequestError, match="does not speak TLS; write http://"):
                    await ask(secure)


@on_loop
async def test_silence_before_the_first_byte_ends_the_call() -> None:
    assert "no reply within 0.1 s" in str(await fails(silence, first_byte=0.1))

    async def headers_only(exchange: Exchange) -> None:
        await exchange.send(STREAM)
        await asyncio.sleep(60)

    assert type(await fails(headers_only, first_byte=0.1)) is CallTimeout


@on_loop
async def test_silence_within_a_stream_ends_the_call() -> None:
    async def play(exchange: Exchange) -> None:
        await exchange.send(STREAM, chunk(sse(delta(content="As"), done=False)))
        await asyncio.sleep(60)

    failed = await fails(play, silence=0.1)
    assert type(failed) is CallTimeout
    assert "nothing came for 0.1 s" in str(failed)


@on_loop
async def test_a_slow_reader_is_not_taken_for_a_silent_server() -> None:
    async def play(exchange: Exchange) -> None:
        pieces = [chunk(sse(delta(content=text), done=False)) for text in ("As", "s")]
        await exchange.send(STREAM, *pieces, pause=0.02)
        await asyncio.sleep(0.4)  # while the reader is busy with the second piece
        await exchange.send(chunk(sse(delta("stop", content="am"))) + END)

    async with Endpoint(play) as server, asking(server, silence=0.2) as model:
        heard = []
        async for c in model.stream(call()):
            heard.append(c)
            if isinstance(c, Text):
                await asyncio.sleep(0.3)
        assert Heard(heard).text == "Assam"


@pytest.mark.parametrize("stream", [True, False])
@on_loop
async def test_a_reply_that_drips_ends_with_the_time_of_the_whole_call(stream: bool) -> None:
    async def play(exchange: Exchange) -> None:
        head = STREAM + chunk(sse(delta(content="As"), done=False)) if stream else plain()[:-30]
        await exchange.send(head, *([chunk(b": ping\n") if stream else b" "] * 20), pause=0.05)

    failed = await fails(play, call(stream=stream), seconds=0.3, silence=5.0)
    assert type(failed) is CallTimeout
    assert "not finished within 0.3 s" in str(failed)


@on_loop
async def test_a_plain_call_may_be_silent_longer_than_a_streamed_one() -> None:
    async def play(exchange: Exchange) -> None:
        await exchange.send(b"", plain(), pause=0.15)

    assert (await hear(play, call(stream=False), first_byte=0.05, silence=0.05)).text == "Assam"


@on_loop
async def test_an_unanswered_handshake_ends_with_the_time_to_connect() -> None:
    async with Endpoint(b"") as server, asking(server, base_url=server.url.replace("http", "https"), connect=0.2) as m:
        with pytest.raises(Unreachable, match="no connection in time"):
            await ask(m)


LAST_WORDS = [
    (sse(delta("stop", content="Assam")), 2.5),
    (sse(delta(content="Assam"), delta("stop"), done=False), 4.5),
    (sse(delta("stop", content="Assam"), done=False), 7.5),  # more may follow what came beside text
]
"""A stream up to its finish reason, and how long what pings for ten seconds more is waited for."""


@on_loop
async def test_nothing_after_the_finish_reason_can_hang_a_call() -> None:
    async def took(events: bytes) -> float:
        async def pings(exchange: Exchange) -> None:
            await exchange.send(STREAM, chunk(events))
            await exchange.send(*[chunk(b": ping\n\n")] * 200, pause=0.05)

        started = asyncio.get_running_loop().time()
        assert (await hear(pings)).text == "Assam"
        return asyncio.get_running_loop().time() - started

    seconds = await asyncio.gather(*(took(events) for events, _ in LAST_WORDS))
    assert [took < most for took, (_, most) in zip(seconds, LAST_WORDS, strict=True)] == [True] * 3, seconds


@on_loop
async def test_a_connection_that_breaks_after_the_finish_reason_harms_nobody() -> None:
    part = chunk(sse(delta("stop", content="Assam"), done=False))
    assert (await hear(connection_lost(STREAM, part, hard=True))).text == "Assam"


# Cancelling


async def waits_for_headers(_: Exchange) -> None:
    await asyncio.sleep(60)


async def waits_in_body(exchange: Exchange) -> None:
    await exchange.send(STREAM, chunk(sse(delta(content="As"), done=False)))
    await asyncio.sleep(60)


async def waits_in_plain_body(exchange: Exchange) -> None:
    await exchange.send(plain()[:-9])
    await asyncio.sleep(60)


async def waits_in_error(exchange: Exchange) -> None:
    await exchange.send(error("500 Oops", "x")[:-9])
    await asyncio.sleep(60)


@pytest.mark.parametrize("script", [waits_for_headers, waits_in_body, waits_in_plain_body, waits_in_error])
@on_loop
async def test_cancelling_closes_the_connection_at_once(script: Script) -> None:
    async with Endpoint(script) as server, asking(server) as model:
        task = asyncio.create_task(ask(model))
        while not server.in_flight:
            await asyncio.sleep(0.005)
        await asyncio.sleep(0.03)
        task.cancel()
        async with asyncio.timeout(0.3):
            await server.left.wait()
        with pytest.raises(asyncio.CancelledError):
            await task


@on_loop
async def test_cancelling_while_connecting_closes_the_connection_at_once() -> None:
    async with Endpoint(b"") as server, asking(server, base_url=server.url.replace("http", "https")) as model:
        task = asyncio.create_task(ask(model))
        while not server.open:
            await asyncio.sleep(0.005)
        task.cancel()
        async with asyncio.timeout(0.3):
            await server.left.wait()
        with pytest.raises(asyncio.CancelledError):
            await task


@on_loop
async def test_closing_the_stream_early_closes_the_connection_at_once() -> None:
    async with Endpoint(waits_in_body) as server, asking(server) as model:
        stream = model.stream(call())
        async for c in stream:
            if isinstance(c, Text):
                break
        await stream.aclose()
        async with asyncio.timeout(0.3):
            await server.left.wait()


# Connections


@pytest.mark.parametrize("stream", [True, False])
@on_loop
async def test_calls_one_after_the_other_use_one_connection(stream: bool) -> None:
    async def late_end(exchange: Exchange) -> None:
        await exchange.send(STREAM, chunk(TEA), END, pause=0.001)

    async with Endpoint(late_end if stream else plain()) as server, asking(server) as model:
        for _ in range(50):
            await ask(model, call(stream=stream))
        assert (len(server.requests), server.connections) == (50, 1)


@pytest.mark.parametrize("stream", [True, False])
@on_loop
async def test_a_request_leaves_on_another_connection_where_the_server_has_closed_the_last(stream: bool) -> None:
    async def leaves(exchange: Exchange) -> None:
        await exchange.send(*((STREAM, chunk(TEA), END) if stream else (plain(),)))
        exchange.close()

    async with Endpoint(leaves) as server, asking(server) as model:
        for _ in range(20):
            assert (await ask(model, call(stream=stream))).text
            await asyncio.sleep(0)  # it is closed by now, and the loop has yet to hear of it
        assert (len(server.requests), server.connections) == (20, 20)


@on_loop
async def test_a_request_of_megabytes_goes_out_whole_and_with_its_length_on_another_connection_too() -> None:
    async def leaves(exchange: Exchange) -> None:
        await exchange.send(plain())
        exchange.close()

    told = "Which of these teas? " + "t\u00e9 \U0001f375 " * 300_000
    async with Endpoint(leaves) as server, asking(server) as model:
        for _ in range(4):
            assert (await ask(model, call(messages=(Message("user", told),)))).text
            await asyncio.sleep(0)  # it is closed by now, and the loop has yet to hear of it
    assert [each.body["messages"][0]["content"] == told for each in server.requests] == [True] * 4
    assert not any("transfer-encoding" in each.headers for each in server.requests)


@on_loop
async def test_a_rate_limited_call_keeps_its_connection() -> None:
    async with Endpoint(error("429 Too Many", "slow"), plain()) as server, asking(server) as model:
        with pytest.raises(RateLimited):
            await ask(model)
        await ask(model)
        assert server.connections == 1


@on_loop
async def test_three_hundred_calls_overlap() -> None:
    everyone = asyncio.Event()

    async def play(exchange: Exchange) -> None:
        if server.in_flight == 300:
            everyone.set()
        await everyone.wait()
        await exchange.send(plain())

    async with Endpoint(play) as server, asking(server) as model:
        await asyncio.gather(*(ask(model) for _ in range(300)))
        assert server.peak == 300


# Adapting


@pytest.mark.parametrize(
    ("refusals", "forms"),
    [
        (["Invalid schema for response_format 'reply': In context=(): no"], ["json_schema"] * 2),
        (["'response_format' of type 'json_schema' is not supported"] * 2, ["json_schema"] * 2 + ["json_object"]),
        (["No response format `json_schema` here."] * 3, ["json_schema", "json_schema", "json_object", None]),
    ],
)  # fmt: skip
@on_loop
async def test_a_schema_is_asked_for_in_ever_plainer_ways_and_that_is_remembered(
    refusals: list[str], forms: list[str | None]
) -> None:
    scripts = [error("400 Bad Request", message) for message in refusals]
    async with Endpoint(*scripts, plain("{}")) as server, asking(server, schema="strict") as model:
        heard = await ask(model, call(schema=SCHEMA))
        assert not [c for c in heard.chunks if isinstance(c, Notice)]
        await ask(model, call(schema=SCHEMA))
        asked = [r.body.get("response_format", {}).get("type") for r in server.requests]
    assert asked == [*forms, forms[-1]]


@on_loop
async def test_a_refused_temperature_is_left_out_with_one_notice() -> None:
    no = error("400 Bad Request", "`temperature` is deprecated for this model.", type="invalid_request_error")

    def play(exchange: Exchange) -> Any:
        return exchange.send(no if "temperature" in exchange.body else plain())

    async with Endpoint(play) as server, asking(server) as model:
        replies = await asyncio.gather(*(ask(model, call(temperature=0.2)) for _ in range(5)))
        replies.append(await ask(model, call(temperature=0.2)))
        notices = [c.event for heard in replies for c in heard.chunks if isinstance(c, Notice)]
        assert "temperature" not in server.requests[-1].body
    said = "x:tea: option temperature is refused and left out"
    assert notices == [RunDegraded(policy="dialect", code="dialect", reason=said)]


@on_loop
async def test_a_temperature_out_of_range_is_an_error() -> None:
    no = "Invalid 'temperature': decimal above maximum value. Expected a value <= 2, but got 20 instead."
    assert type(await fails(error("400 Bad Request", no), call(temperature=20))) is RequestError


@on_loop
async def test_the_other_name_of_max_tokens_and_missing_stream_options_are_learned() -> None:
    no = "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."
    extra = {"detail": [{"type": "extra_forbidden", "loc": ["body", "stream_options"], "msg": "Extra inputs"}]}
    refused = http(json.dumps(extra).encode(), "422 Unprocessable")
    scripts = (error("400 Bad", no), refused, plain())
    async with Endpoint(*scripts) as server, asking(server, key="x") as model:
        await ask(model, call(max_tokens=5))
        await ask(model, call(max_tokens=5))
        for request in server.requests[-2:]:
            assert request.body["max_completion_tokens"] == 5
            assert not {"max_tokens", "stream_options"} & set(request.body)
        assert len(server.requests) == 4


@on_loop
async def test_a_refusal_in_the_middle_of_a_reply_is_not_asked_again() -> None:
    bad = {"error": {"message": "response_format: json_schema is unavailable now", "code": 400}}
    async with Endpoint(streamed(sse(delta(content="{"), bad))) as server, asking(server) as model:
        with pytest.raises(RequestError):
            await ask(model, call(schema=SCHEMA))
        assert len(server.requests) == 1


@on_loop
async def test_words_in_the_name_of_a_model_adapt_nothing() -> None:
    async with Endpoint(error("400 Bad", "no")) as server, asking(server, label="x:json_schema") as model:
        with pytest.raises(RequestError):
            await ask(model, call(schema=SCHEMA))
        assert len(server.requests) == 1


# Secrets

ECHOES: dict[str, Callable[[str], bytes]] = {
    "plain": lambda auth: error("401 Unauthorized", f"bad key {auth}"),
    "escaped": lambda auth: http(json.dumps({"error": auth.replace("/", "\\/")}).encode(), "401 No"),
    "unicode": lambda auth: http(
        ('{"error": "' + "".join(f"\\u{ord(c):04x}" for c in auth) + '"}').encode(), "403 Forbidden"
    ),
    "in a long message": lambda auth: error("400 Bad", "x" * 985 + auth),
    "broken JSON": lambda auth: http(json.dumps({"error": auth})[:-1].encode(), "500 Oops"),
    "with 200": lambda auth: http(json.dumps({"error": {"message": auth}}).encode()),
    "no completion": lambda auth: http(json.dumps({"you": auth}).encode()),
    "cut JSON": lambda auth: http(json.dumps({"choices": auth})[:-1].encode()),
    "HTML": lambda auth: http(
        f"<html><title>{auth.replace('&', '&amp;').replace(chr(34), '&quot;')}</title>".encode(), "403 No", "text/html"
    ),
    "Location": lambda auth: http(b"", "302 Found", headers=f"Location: https://x.test/{auth}/v1\r\n"),
    "content type": lambda auth: http(b"tea", kind=f"text/{auth}"),
    "request id": lambda auth: http(b"{}", "500 Oops", headers=f"x-request-id: {auth}\r\n"),
}


@pytest.mark.parametrize("echo", ECHOES)
@pytest.mark.parametrize("header", ["authorization", "x-team"])
@on_loop
async def test_no_error_repeats_a_key_or_a_secret_header(
    echo: str, header: str, caplog: pytest.LogCaptureFixture
) -> None:
    def play(exchange: Exchange) -> Any:
        return exchange.send(ECHOES[echo](exchange.headers[header]))

    failed = await fails(play, headers={"X-Team": "tea-party-9876"})
    told = f"{failed} {failed.request_id} {failed!r} {failed.__cause__!r} {failed.__context__!r} {caplog.text}"
    for secret in (KEY, KEY[4:-4], "1234567890", "tea-party-9876"):
        assert secret not in told
    encoded = events.encode(CallFinished(call="c", role="worker", subtask=None, fingerprint="f", model="m", error=told))
    assert b"1234567890" not in encoded


@on_loop
async def test_a_short_key_garbles_no_message() -> None:
    failed = await fails(error("400 Bad", "max_tokens: x is extra"), key="x")
    assert str(failed).endswith("400 max_tokens: [key] is extra")


@on_loop
async def test_the_query_of_a_base_url_is_sent_and_never_told() -> None:
    async with (
        Endpoint(error("400 Bad", "no sig=hush&v=2")) as server,
        asking(server, base_url=server.url + "?sig=hush&v=2") as model,
    ):
        with pytest.raises(RequestError) as caught:
            await ask(model)
        assert server.requests[0].line.startswith("POST /v1/chat/completions?sig=hush&v=2 ")
    assert "hush" not in str(caught.value)


@on_loop
async def test_ones_own_authorization_header_replaces_the_key() -> None:
    async with Endpoint(plain()) as server, asking(server, headers={"authorization": "Token abc"}) as model:
        await ask(model)
        assert server.requests[0].headers["authorization"] == "Token abc"


# Proxies and certificates


@on_loop
async def test_a_proxy_from_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    async with Endpoint(plain()) as proxy:
        monkeypatch.setenv("http_proxy", f"http://me:pass@127.0.0.1:{proxy.port}")
        monkeypatch.setenv("no_proxy", "coffee.test")
        async with asking(proxy, base_url="http://tea.test/v1") as model:
            await ask(model)
        assert proxy.requests[0].line == "POST http://tea.test/v1/chat/completions HTTP/1.1"
        assert proxy.requests[0].headers["proxy-authorization"].startswith("Basic ")
        async with asking(proxy) as model:  # not for a server on this machine
            await ask(model)
        assert proxy.requests[1].line == "POST /v1/chat/completions HTTP/1.1"
        async with asking(proxy, base_url="http://coffee.test/v1") as model:  # not for a host that no_proxy names
            with pytest.raises(ConnectError, match=r"cannot connect to coffee\.test"):
                await ask(model)
        assert len(proxy.requests) == 2


@on_loop
async def test_a_proxy_that_refuses_is_named_without_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    refused = b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"
    async with Endpoint(refused) as proxy:
        monkeypatch.setenv("https_proxy", f"http://me:hush@127.0.0.1:{proxy.port}")
        monkeypatch.delenv("no_proxy", raising=False)
        async with asking(proxy, base_url="https://tea.test/v1") as model:
            with pytest.raises(ConnectError, match="the proxy answers 407") as caught:
                await ask(model)
        assert proxy.requests[0].line.startswith("CONNECT tea.test:443")
    assert "hush" not in f"{caught.value} {caught.value.__cause__!r}"


@on_loop
async def test_a_netrc_that_knows_the_host_changes_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "netrc").write_text("default login me password hush\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    async with Endpoint(plain()) as server, asking(server) as model:
        await ask(model)
        assert server.requests[0].headers["authorization"] == f"Bearer {KEY}"


@on_loop
async def test_a_certificate_nobody_vouches_for_is_refused_clearly() -> None:
    import ssl

    with tempfile.TemporaryDirectory() as folder:
        made = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        made += ["-subj", "/CN=localhost", "-keyout", f"{folder}/key", "-out", f"{folder}/cert"]
        await asyncio.to_thread(subprocess.run, made, check=True, capture_output=True)
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(f"{folder}/cert", f"{folder}/key")
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0, ssl=tls)
    async with server, Endpoint(b"") as other:
        url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        async with asking(other, base_url=url) as model:
            with pytest.raises(RequestError, match=r"the certificate is refused: .*(self.signed|verify failed)"):
                await ask(model)
        async with asking(other, base_url=other.url.replace("http", "https"), connect=0.2) as model:
            with pytest.raises(Unreachable):
                await ask(model)


def test_what_a_heard_reply_is() -> None:
    """The helper of these tests tells text from thought."""
    heard = Heard([Sent(), Reasoning("Hm"), Text("Assam"), Done("stop")])
    assert (heard.text, heard.thoughts, heard.texts) == ("Assam", "Hm", ["Assam"])
