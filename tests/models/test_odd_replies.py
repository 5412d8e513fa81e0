"""Replies of odd forms over real sockets: what the model said is kept, and what is said beside it is never an error."""

import asyncio
import json
import resource
import sys
import textwrap
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from endpoint import (
    END,
    SCHEMA,
    STREAM,
    Endpoint,
    Exchange,
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
from models import listen
from places import SUPPORT
from stretto import Usage
from stretto.calls import Done, Notice, Text
from stretto.engine.results import result_of
from stretto.errors import (
    CallError,
    CutError,
    EmptyReply,
    ReplyError,
    RequestError,
    ServerError,
    UnfitReply,
)
from stretto.models.reply import LARGEST, Reply
from stretto.models.wire import read
from stretto.policies.retry import Retry

TOKENS = {"prompt_tokens": 9, "completion_tokens": 4}


async def fails(script: Any, asked: Any = None, **provider: Any) -> CallError:
    with pytest.raises(CallError) as caught:
        await hear(script, asked, **provider)
    return caught.value


def whole(body: Any) -> bytes:
    return http(json.dumps(body).encode())


# What stands around a reply


@pytest.mark.parametrize(
    ("before", "behind"),
    [("", "0"), ("", "\n\nnull"), ("<br />\n<b>Notice</b>: no tea\n", ""), (")]}',\n", ""), ("", "\\n\\ndata: [DONE]")],
)
@on_loop
async def test_what_a_server_writes_around_a_body_is_no_part_of_it(before: str, behind: str) -> None:
    heard = await hear(http(f"{before}{json.dumps(reply('Assam'))}{behind}".encode()))
    assert (heard.text, heard.done.finish) == ("Assam", "stop")


@on_loop
async def test_a_body_that_was_cut_is_no_reply_whatever_stands_before_it() -> None:
    assert isinstance(await fails(http(f"null {json.dumps(reply('Assam'))[:-9]}".encode())), CutError)
    assert isinstance(await fails(http(b'{"tea": 1} null')), CutError)


@pytest.mark.parametrize("reason", ["MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "server_shutdown"])
@on_loop
async def test_a_reply_that_its_server_broke_off_is_none(reason: str) -> None:
    assert isinstance(await fails(plain("Ass", reason)), CutError)


# Where a reply ends


@on_loop
async def test_a_finish_reason_on_every_piece_is_no_end() -> None:
    async def play(exchange: Exchange) -> None:
        await exchange.send(STREAM, chunk(sse(delta("stop", role="assistant", content=""), done=False)))
        for text in ("Assam", " tea"):
            await asyncio.sleep(1.2)  # longer than usage is waited for
            await exchange.send(chunk(sse(delta("stop", content=text), done=False)))
        await exchange.send(chunk(sse({"choices": [], "usage": TOKENS}, done=False)), END)

    heard = await hear(play)
    assert (heard.text, heard.done.finish, heard.done.usage) == ("Assam tea", "stop", Usage(9, 4))


@on_loop
async def test_a_connection_that_breaks_is_a_cut_where_a_finish_reason_is_no_end() -> None:
    async def play(exchange: Exchange) -> None:
        await exchange.send(STREAM, chunk(sse(delta("stop", content="As"), delta("stop", content="sam"), done=False)))
        exchange.reset()

    assert type(await fails(play)) is CutError


@on_loop
async def test_usage_and_the_end_of_a_stream_are_an_end_without_a_finish_reason() -> None:
    events = delta(content="Assam"), {"choices": [], "usage": TOKENS}
    assert (await hear(streamed(sse(*events)))).done == Done("stop", Usage(9, 4), "m-1", "r-7")
    assert type(await fails(streamed(sse(*events, done=False)))) is CutError
    assert (await hear(plain(finish=None))).done.finish == "stop"


@pytest.mark.parametrize("text", ["Assam", "Assam is more", ""])
@on_loop
async def test_a_message_after_its_pieces_is_not_said_twice(text: str) -> None:
    last = {"choices": [{"message": {"role": "assistant", "content": text}, "finish_reason": "stop"}]}
    assert (await hear(streamed(sse(delta(content="As"), delta(content="sam"), last)))).text == "Assam"


@on_loop
async def test_a_stream_may_consist_of_messages() -> None:
    pieces = [{"choices": [{"message": {"content": text}}]} for text in ("As", "sam")]
    assert (await hear(streamed(sse(*pieces, delta("stop"))))).text == "Assam"


@on_loop
async def test_of_several_choices_one_is_the_reply() -> None:
    def piece(index: int, text: str, finish: str | None = None) -> Any:
        return {"index": index, "delta": {"content": text}, "finish_reason": finish}

    apart = [{"choices": [piece(n, text)]} for text in ("As", "sam") for n in (0, 1)]
    ends = [{"choices": [piece(n, "", "stop")]} for n in (1, 0)]
    assert (await hear(streamed(sse(*apart, *ends)))).text == "Assam"
    together = [{"choices": [piece(0, text), piece(1, "No")]} for text in ("As", "sam")]
    assert (await hear(streamed(sse(*together, {"choices": [piece(0, "", "stop")]})))).text == "Assam"


KEEPS = ["tool_calls", "function_call", "unknown", "OTHER", "pause_turn", "FINISH_REASON_STOP", "tea"]
LIMITS = ["max_tokens", "MAX_OUTPUT_TOKENS", "model_context_window_exceeded", "token_limit", "incomplete", "max_len"]
BROKEN = ["network_error", "insufficient_system_resource", "abort", "time_limit", "cancelled", "overloaded", "load"]


@pytest.mark.parametrize(("reason", "means"), [*[(r, "stop") for r in KEEPS], *[(r, "length") for r in LIMITS]])
@on_loop
async def test_the_text_of_a_reply_is_kept_for_whatever_reason_it_ended(reason: str, means: str) -> None:
    heard = await hear(plain(finish=reason))
    assert (heard.text, heard.done.finish) == ("Assam", means)


@pytest.mark.parametrize("reason", BROKEN)
@on_loop
async def test_a_reply_that_a_provider_could_not_finish_is_a_cut(reason: str) -> None:
    for script in (plain(finish=reason), streamed(sse(delta(content="As"), delta(reason)))):
        failed = await fails(script)
        assert type(failed) is CutError
        assert reason in str(failed)


@pytest.mark.parametrize("reason", ["safety", "CONTENT_FILTER", "sensitive", "image_safety", "refusal"])
@on_loop
async def test_what_a_filter_stopped_keeps_its_reason(reason: str) -> None:
    assert (await hear(plain(None, reason))).done.finish == reason.lower()


@on_loop
async def test_a_reply_that_only_repeats_itself_counts_as_cut_short() -> None:
    assert result_of("t1", (await hear(plain(finish="repetition"))).done.finish, "Assam").outcome == "truncated"


@pytest.mark.parametrize("reason", ["tool_calls", "unknown", "stop"])
@on_loop
async def test_no_text_is_an_empty_reply_that_says_why(reason: str) -> None:
    calls = [{"type": "function", "function": {"name": "tea", "arguments": "{}"}}]
    body = {"choices": [{"message": {"content": None, "tool_calls": calls}, "finish_reason": reason}]}
    failed = await fails(whole(body))
    assert type(failed) is EmptyReply
    assert ("tool_calls" in str(failed)) == (reason == "tool_calls")


@pytest.mark.parametrize(
    "body",
    [
        {"object": "chat.completion", "choices": None},
        {"object": "chat.completion", "id": "x"},
        {"choices": []},
        {"choices": [None], "usage": TOKENS},
        {"usage": TOKENS},
    ],
)
@on_loop
async def test_a_completion_without_choices_is_an_empty_reply_or_a_cut(body: Any) -> None:
    assert type(await fails(whole(body))) in {EmptyReply, CutError}


@on_loop
async def test_an_error_in_a_choice_is_an_error() -> None:
    choice = {"message": {"content": "As"}, "finish_reason": "error", "error": {"code": 502, "message": "died"}}
    for script in (whole({"choices": [choice]}), streamed(sse(delta(content="As"), {"choices": [choice]}))):
        failed = await fails(script)
        assert (type(failed), failed.status) == (ServerError, 502)


# What is said, in whatever form


@pytest.mark.parametrize(
    "choice",
    [
        {"message": {"content": "Assam"}},
        {"delta": [], "message": {"content": "Assam"}},
        {"delta": "", "message": {"content": "Assam"}},
        {"delta": {}, "message": {"content": "Assam"}},
        {"delta": {"content": "Assam"}, "message": None},
        {"message": "Assam"},
        {"text": "Assam"},
        {"message": {"content": {"text": "Assam"}}},
        {"message": {"content": {"type": "text", "text": {"value": "Assam", "annotations": []}}}},
        {"message": {"content": [{"type": "text", "text": {"value": "As"}}, {"type": "output_text", "text": "sam"}]}},
        {"message": {"content": ["As", "sam", {"type": "image_url", "image_url": {"url": "x"}}, None]}},
        {"message": {"content": [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "Assam"}]}},
        {"message": {"content": [{"type": "reasoning", "text": "hm"}, "Assam"]}},
        {"message": {"content": "Assam", "refusal": [], "reasoning": {"text": "hm"}, "tool_calls": "no"}},
        {"message": {"content": "Assam"}, "finish_reason": {"type": "stop"}},
        {"message": {"content": "Assam"}, "finish_reason": 1},
        {"message": {"content": "Assam"}, "index": "0", "logprobs": []},
    ],
)
@on_loop
async def test_the_text_is_found_in_whatever_form_it_has(choice: Any) -> None:
    body = {"model": "m-1", "choices": [{"finish_reason": "stop", **choice}]}
    for form in (body, {**body, "choices": {"0": body["choices"][0]}}, {**body, "choices": [None, *body["choices"]]}):
        heard = await hear(whole(form))
        assert (heard.text, heard.done.finish) == ("Assam", "stop")


@pytest.mark.parametrize(("content", "text"), [({"tea": 1}, '{"tea":1}'), (42, "42"), (0.5, "0.5")])
@on_loop
async def test_a_value_in_the_place_of_a_text_is_its_json(content: Any, text: str) -> None:
    assert (await hear(plain(content))).text == text


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(["9", "-1", "1e99"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
TOP = ("id", "object", "created", "model", "usage", "x_groq", "system_fingerprint", "service_tier", "prompt_logprobs")
SIDE = ("index", "logprobs", "usage", "finish_reason", "stop_reason", "content_filter_results")
COUNTS = ("prompt_tokens", "completion_tokens", "prompt_tokens_details", "completion_tokens_details", "total_tokens")


def some(names: tuple[str, ...]) -> st.SearchStrategy[dict[str, Any]]:
    return st.dictionaries(st.sampled_from(names), JSON)


@given(some(TOP), some(SIDE), st.none() | some(COUNTS), some(("role", "tool_calls", "annotations", "audio")))
def test_whatever_stands_in_side_fields_the_text_is_read(top: Any, side: Any, counts: Any, message: Any) -> None:
    side = {name: value for name, value in side.items() if name != "finish_reason" or not isinstance(value, str)}
    body = {**top, "choices": [{"finish_reason": "stop", **side, "message": {**message, "content": "Assam"}}]}
    body = body if counts is None else {**body, "usage": counts}
    taken = Reply("x:tea")
    chunks = [*taken.take(read(json.dumps(body).encode())), *taken.end(whole=True)]
    assert [c.text for c in chunks if isinstance(c, Text)] == ["Assam"]
    done = chunks[-1]
    assert isinstance(done, Done)
    assert done.finish == "stop"
    assert done.model is None or isinstance(done.model, str)
    assert done.usage is None or all(
        0 <= count <= 10**12 for count in (done.usage.input_tokens, done.usage.output_tokens)
    )


@pytest.mark.parametrize(
    ("usage", "known"),
    [
        ({"prompt_tokens": "9", "completion_tokens": "4"}, Usage(9, 4)),
        ({"prompt_tokens": 9.0, "completion_tokens": 4.0}, Usage(9, 4)),
        ({**TOKENS, "prompt_tokens_details": []}, Usage(9, 4)),
        ({**TOKENS, "prompt_tokens_details": {"cached_tokens": 0.5}}, Usage(9, 4, 1)),
        ({**TOKENS, "completion_tokens_details": {"reasoning_tokens": "3", "x": 1}}, Usage(9, 4, 0, 3)),
        ({"prompt_tokens": 9.5, "completion_tokens": 4}, Usage(10, 4)),
        ({"prompt_tokens": -1, "completion_tokens": 4}, None),
        ({"prompt_tokens": 10**30, "completion_tokens": 4}, None),
        ({"prompt_tokens": float("nan"), "completion_tokens": 4}, None),
        ({"total_tokens": 13}, None),
        ("", None),
        ([], None),
    ],
)
@on_loop
async def test_usage_that_cannot_be_read_is_unknown(usage: Any, known: Usage | None) -> None:
    assert (await hear(plain(usage=usage))).done.usage == known


@pytest.mark.parametrize(
    "odd", ["1" * 5000, "1e999", "NaN", "[" * 3000 + "]" * 3000, '"\\ud800"', '"' + "\\\\" * 50_000 + '"']
)
@pytest.mark.parametrize("name", ["model", "created", "usage"])
@on_loop
async def test_a_value_no_reader_takes_harms_nobody(odd: str, name: str) -> None:
    body = json.dumps(reply(**{name: "ODD"})).replace('"ODD"', odd)
    if odd.startswith("["):  # nested too deeply for any reader: an error, and no crash
        assert (await fails_or_text(http(body.encode()))) in {"Assam", "CutError"}
    else:
        assert (await hear(http(body.encode()))).text == "Assam"


async def fails_or_text(script: Any) -> str:
    try:
        return (await hear(script)).text
    except CallError as failed:
        return type(failed).__name__


# Thought and reply


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
@on_loop
async def test_json_that_is_called_a_thought_is_the_reply_where_json_is_asked_for(field: str) -> None:
    pieces = [delta(**{field: text}) for text in ('{"a": ', '"tea"}\n')]
    heard = await hear(streamed(sse(*pieces, delta("stop"))), call(schema=SCHEMA))
    assert heard.text == '{"a": "tea"}'
    for asked in (call(), call(schema=SCHEMA)):
        words = streamed(sse(delta(**{field: 'Hm. {"a": 1}'}), delta("stop")))
        failed = await fails(words, asked)
        assert type(failed) is EmptyReply
        assert "thoughts" in str(failed)
    both = streamed(sse(*pieces, delta("stop", content='{"a": "b"}')))
    assert (await hear(both, call(schema=SCHEMA))).text == '{"a": "b"}'


# What the model wrote is refused


UNFIT = [
    ("Tool choice is none, but model called a tool", "tool_use_failed"),
    ("Failed to generate JSON. Please adjust your prompt. See 'failed_generation'.", "json_validate_failed"),
    ("Failed to validate JSON.", None),
    ("Parsing failed.", "output_parse_failed"),
]  # fmt: skip


@pytest.mark.parametrize(("message", "code"), UNFIT)
@on_loop
async def test_a_schema_whose_reply_is_refused_is_asked_for_in_the_next_way_by_this_call_alone(
    message: str, code: str | None
) -> None:
    refused = error("400 Bad Request", message, code=code, failed_generation='{"a": 1')
    scripts = (refused, refused, plain("{}"), plain("{}"))
    async with Endpoint(*scripts) as server, asking(server) as model:
        retried = Retry(model, 4, jitter=lambda *_: 0.0)
        heard = await listen(retried, call(schema=SCHEMA))
        await ask(model, call(schema=SCHEMA))
        told = [chunk.event.reason for chunk in heard if isinstance(chunk, Notice)]
        assert [message in reason for reason in told] == [True, True]  # what may be paid is never asked in secret
        forms = [request.body.get("response_format", {}).get("type") for request in server.requests]
    assert forms == ["json_schema", "json_object", None, "json_schema"]


@on_loop
async def test_a_reply_refused_in_the_middle_of_its_stream_is_asked_for_in_the_next_way_by_the_next_try() -> None:
    bad = {"error": {"message": "Failed to validate JSON.", "code": "json_validate_failed", "status_code": 400}}
    events = sse(delta(content='{"a'), done=False) + b"event: error\n" + sse(bad, done=False)
    async with Endpoint(streamed(events), plain("{}")) as server, asking(server) as model:
        asked = call(schema=SCHEMA)
        with pytest.raises(UnfitReply):
            await ask(model, asked)
        await ask(model, asked)
        forms = [request.body["response_format"]["type"] for request in server.requests]
    assert forms == ["json_schema", "json_object"]


@on_loop
async def test_without_a_schema_what_is_refused_may_pass_the_next_time() -> None:
    async with Endpoint(error("400 Bad", "no", code="tool_use_failed"), plain()) as server, asking(server) as model:
        with pytest.raises(UnfitReply):
            await ask(model)
        assert (await ask(model)).text == "Assam"
    assert type(await fails(error("498 Custom", "Flex tier capacity exceeded"))) is ServerError


# Errors


@on_loop
async def test_a_path_that_is_none_is_said_in_one_call() -> None:
    said = "Unexpected endpoint or method. (POST /chat/completions). Returning 200 anyway"
    for script in (whole({"error": said}), whole({"error": {"message": said}}), error("404 Not Found", said)):
        failed = await fails(script)
        assert (type(failed), failed.status) == (RequestError, 404)
        assert "/v1" in str(failed)


@pytest.mark.parametrize("size", [9_000, 60_000])
@on_loop
async def test_long_headers_are_read(size: int) -> None:
    assert (await hear(http(json.dumps(reply()).encode(), headers=f"x-policy: {'x' * size}\r\n"))).text == "Assam"


@pytest.mark.parametrize("body", ["<title>", "\\", ".", "retry in 1", "context ", "<", "&#0", "specified a"])
@on_loop
async def test_no_error_body_stops_the_loop(body: str) -> None:
    loop, body = asyncio.get_running_loop(), body * (60_000 // len(body))
    for kind, data in (("text/html", f"<html>{body}"), ("text/plain", body)):
        for status in ("500 Oops", "400 Bad", "200 OK"):
            started = loop.time()
            await fails(http(data.encode(), status, kind))
            assert loop.time() - started < 5


@on_loop
async def test_a_whole_body_counts_though_its_headers_told_a_greater_length() -> None:
    async def play(exchange: Exchange) -> None:
        body = json.dumps(reply()).encode()
        await exchange.send(http(body).replace(b"Length: %d" % len(body), b"Length: %d" % (len(body) + 5)))
        exchange.close()

    assert (await hear(play)).text == "Assam"


# Size


@on_loop
async def test_a_body_without_measure_is_refused_before_it_is_held() -> None:
    async def endless(exchange: Exchange) -> None:
        piece = chunk(b"x" * 2**20)
        await exchange.send(STREAM.replace(b"text/event-stream", b"application/json"), *[piece] * 300)

    async def one_line(exchange: Exchange) -> None:
        await exchange.send(STREAM, chunk(b"data: {"), *[chunk(b"x" * 2**20)] * 300)

    async def begun_again(exchange: Exchange) -> None:
        await exchange.send(STREAM, *[chunk((b"data: {" + b"x" * 500 + b"\n") * 2**11)] * 300)

    waits = (b": " + b"still at it " * 80 + b"\n\n") * 1000
    squeezed = zlib.compressobj(wbits=31)
    bomb = [chunk(piece) for piece in (squeezed.compress(waits) for _ in range(60)) if piece]

    async def nothing_said(exchange: Exchange) -> None:
        await exchange.send(STREAM, *[chunk(waits)] * 300)

    async def packed(exchange: Exchange) -> None:
        await exchange.send(STREAM.replace(b"\r\n\r\n", b"\r\nContent-Encoding: gzip\r\n\r\n"), *bomb)

    for failed in await asyncio.gather(*map(fails, (endless, one_line, begun_again, nothing_said, packed))):
        assert type(failed) is ReplyError
        assert "more than 32 MB" in str(failed)


def test_a_reply_without_measure_is_kept_up_to_there() -> None:
    taken, body = Reply("x:tea"), read(json.dumps(delta(content="tea " * 2**20)).encode())
    pieces = 0
    while not taken.full:
        taken.take(body)
        pieces += 1
    assert pieces == LARGEST // 2**22 + 1
    done = taken.end()[-1]
    assert isinstance(done, Done)
    assert result_of("t1", done.finish, "tea").outcome == "truncated"
    assert "32 MB" in str(result_of("t1", done.finish, "tea").error)


# File descriptors


FULL = """
import asyncio, resource, sys
sys.path.insert(0, {tests!r})
from endpoint import call
from stretto.calls import Done
from stretto.models.chat import Endpoints
from stretto.models.providers import Provider

async def main():
    endpoints = Endpoints(30.0)
    model = endpoints.model("x:tea", "tea", Provider({url!r}), None)
    async def one():
        return [c async for c in model.stream(call())][-1]
    await one()
    resource.setrlimit(resource.RLIMIT_NOFILE, (24, {hard}))
    said = await asyncio.gather(*(one() for _ in range(60)))
    print(sum(isinstance(each, Done) for each in said))
    await endpoints.close()

asyncio.run(main())
"""


@on_loop
async def test_calls_wait_for_file_descriptors_and_then_go_on() -> None:
    async def slow(exchange: Exchange) -> None:
        await exchange.send(b"", plain(), pause=0.05)

    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    async with Endpoint(slow) as server:
        code = textwrap.dedent(FULL).format(tests=str(SUPPORT), url=server.url, hard=hard)
        run = [sys.executable, "-c", code]
        child = await asyncio.create_subprocess_exec(*run, stdout=-1, stderr=-1)
        out, err = await child.communicate()
        assert (out.decode().strip(), err.decode()) == ("60", "")
        assert server.peak < 24


# Who says it, and when


@on_loop
async def test_what_others_say_in_a_stream_is_no_answer_unless_nothing_else_is_said() -> None:
    asked, tool = delta(role="user", content="Name a tea."), delta(role="tool", content="a secret")
    said = [delta(role="assistant", content="As"), tool, delta(role="assistant", content="sam"), delta("stop")]
    assert (await hear(streamed(sse(asked, *said)))).text == "Assam"
    assert (await hear(streamed(sse(delta(role="user", content="Assam"), delta("stop"))))).text == "Assam"


@on_loop
async def test_behind_its_end_a_stream_says_nothing_but_its_usage() -> None:
    ended = sse(delta(content="Assam"), delta("stop"))
    more = sse(delta(content=" and milk"), {"choices": [], "usage": TOKENS})
    heard = await hear(streamed(ended + more))
    assert (heard.text, heard.done.usage) == ("Assam", Usage(9, 4))
