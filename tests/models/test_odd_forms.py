"""Replies whose text, error or end stands in another place than it should: it is found there, or said plainly."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from endpoint import (
    SCHEMA,
    Endpoint,
    Exchange,
    ask,
    asking,
    call,
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
from stretto.calls import Notice, Reasoning, Text
from stretto.errors import (
    AuthError,
    CallError,
    ContextError,
    CutError,
    EmptyReply,
    QuotaError,
    RateLimited,
    ReplyError,
    RequestError,
    ServerError,
)
from stretto.models.error_forms import error_inside, status_inside
from stretto.models.loosely import several
from stretto.models.refusals import refusal
from stretto.models.reply import Reply
from stretto.models.wire import pieces_of, read

PIECES = [delta(content="As"), delta(content="sam"), delta("stop")]


def whole(body: Any) -> bytes:
    return http(json.dumps(body).encode())


async def fails(script: Any, asked: Any = None) -> CallError:
    with pytest.raises(CallError) as caught:
        await hear(script, asked)
    return caught.value


# Parts


@pytest.mark.parametrize(
    ("content", "text", "thoughts"),
    [
        ([{"type": "text", "text": "As"}, {"type": "text", "content": "sam"}], "Assam", ""),
        ([{"type": "text", "value": "Assam"}], "Assam", ""),
        ([{"type": "refusal", "refusal": "No."}], "No.", ""),
        ([{"type": "reasoning.text", "text": "Hm"}, {"type": "text", "text": "Assam"}], "Assam", "Hm"),
        ([{"type": "reasoning", "summary": [{"type": "summary_text", "text": "Hm"}]}, "Assam"], "Assam", "Hm"),
        ([{"text": "Hm", "thought": True}, {"text": "Assam"}], "Assam", "Hm"),
        (
            [{"type": "redacted_thinking", "data": "x"}, {"type": "tool_use", "input": {"text": "no"}}, "Assam"],
            "Assam",
            "",
        ),
        ({"a": "b", "type": "x"}, '{"a":"b","type":"x"}', ""),
        ({"title": "T", "text": "Assam"}, '{"title":"T","text":"Assam"}', ""),
        ([{"type": "work", "description": "Do."}], '[{"type":"work","description":"Do."}]', ""),
        ("Assam", "Assam", ""),
    ],
)
@on_loop
async def test_parts_are_told_from_what_the_model_wrote(content: Any, text: str, thoughts: str) -> None:
    heard = await hear(plain(content))
    assert (heard.text, heard.thoughts) == (text, thoughts)


@on_loop
async def test_lists_in_lists_without_end_are_no_text_and_no_crash() -> None:
    deep = b"[" * 900 + b'"Assam"' + b"]" * 900
    body = b'{"choices": [{"message": {"content": ' + deep + b'}, "finish_reason": "stop"}]}'
    assert type(await fails(http(body))) is EmptyReply


# Bodies


@pytest.mark.parametrize(
    "body",
    [
        {"code": 200, "msg": "ok", "data": reply()},
        json.dumps(reply()),
        {"choices": reply()["choices"][0]},
        {"choices": [{"index": 0, "delta": None, "content": "Assam", "finish_reason": "stop"}]},
        PIECES,
        [reply()],
        {**reply(), "error": {"code": 0, "message": ""}},
        {**reply(), "error": {"message": None, "type": None}, "base_resp": {"status_code": 0, "status_msg": "success"}},
        {**reply(), "error": "null", "errors": [], "message": ""},
    ],
)
@on_loop
async def test_a_reply_is_found_in_its_envelope(body: Any) -> None:
    assert (await hear(whole(body))).text == "Assam"


@pytest.mark.parametrize(
    "stream",
    [
        b"".join(b"data: " + json.dumps(each).encode() for each in PIECES) + b"data: [DONE]\n\n",
        b"data: " + b"".join(json.dumps(each).encode() for each in PIECES) + b"\n\ndata: [DONE]\n\n",
        b"".join(b"data: " + json.dumps(each).encode() + b",\n\n" for each in PIECES),
        b"data: " + json.dumps(PIECES).encode() + b"\n\n",
        sse({"choices": [{"index": "0", "delta": {"content": "As"}}]}, *PIECES[1:]),
    ],
)
@on_loop
async def test_several_objects_in_one_event_are_all_read(stream: bytes) -> None:
    assert (await hear(streamed(stream))).text == "Assam"


def test_what_is_torn_is_not_taken_for_several() -> None:
    assert several(b'{"a": 1}{"b": ') == []
    assert several(b'{"a": 1} and {"b": 2}') == []


@pytest.mark.parametrize("name", ["finish_reason", "finishReason", "stop_reason"])
@on_loop
async def test_a_reply_that_was_cut_short_is_known_by_any_name_of_its_reason(name: str) -> None:
    choice = {"message": {"content": "Assam"}, name: "max_tokens"}
    assert (await hear(whole({"choices": [choice]}))).done.finish == "length"
    assert (await hear(whole({"choices": [{**choice, name: 7}]}))).done.finish == "stop"


# What tools would be called with


CALLS = [
    {"tool_calls": [{"function": {"name": "reply", "arguments": '{"a": "Assam"}'}}]},
    {"tool_calls": [{"function": {"name": "reply", "arguments": {"a": "Assam"}}}]},
    {
        "tool_calls": [{"index": [0], "function": {"arguments": "nothing"}}],
        "function_call": {"arguments": '{"a": "Assam"}'},
    },
]


@pytest.mark.parametrize("said", CALLS)
@on_loop
async def test_json_that_is_a_tools_arguments_is_the_reply_where_json_is_asked_for(said: Any) -> None:
    body = {"choices": [{"message": {"content": None, **said}, "finish_reason": "tool_calls"}]}
    heard = await hear(whole(body), call(schema=SCHEMA))
    assert json.loads(heard.text) == {"a": "Assam"}
    assert heard.done.finish == "stop"
    assert type(await fails(whole(body))) is EmptyReply


@on_loop
async def test_a_tools_arguments_come_in_pieces() -> None:
    def piece(index: int, text: str) -> Any:
        return delta(tool_calls=[{"index": index, "function": {"arguments": text}}])

    events = [piece(0, '{"a": '), piece(1, "no"), piece(0, '"Assam"}'), delta("tool_calls")]
    assert (await hear(streamed(sse(*events)), call(schema=SCHEMA))).text == '{"a": "Assam"}'
    told = [delta(content="Let me look."), *events]
    assert (await hear(streamed(sse(*told)), call(schema=SCHEMA))).text == "Let me look."


# Errors


@pytest.mark.parametrize(
    ("body", "kind", "says"),
    [
        ({"base_resp": {"status_code": 1008, "status_msg": "insufficient balance"}}, QuotaError, "balance"),
        ({"base_resp": {"status_code": 1002, "status_msg": "rate limit"}}, RateLimited, "rate limit"),
        ({"error_code": 18, "error_msg": "Open api qps request limit reached"}, RateLimited, "qps"),
        ({"error": {"code": "1302", "message": "Rate limit reached for requests"}}, RateLimited, "Rate limit"),
        ({"errors": [{"code": 10000, "message": "Authentication error"}]}, AuthError, "Authentication"),
        ({"code": "Overheated", "message": "Tea is out"}, ServerError, "Tea is out"),
        ({"throttlingException": {"message": "Too many requests"}}, RateLimited, "Too many"),
        ({"validationException": {"message": "No such tea"}}, RequestError, "No such tea"),
        ({"ErrorCode": "INTERNAL_FAILURE_FROM_MODEL", "Message": "No tea"}, ServerError, "No tea"),
        ({"code": "Throttling.RateQuota", "message": "Requests limit exceeded"}, RateLimited, "limit"),
        ({"error": {"code": "1302", "message": "您当前使用该API的并发数过高"}}, RateLimited, "并发"),
        ({"message": {"role": "assistant", "content": "Assam"}}, ReplyError, "no chat completion but Ollama's"),
        ({"content": [{"text": "Assam"}], "usage": {"input_tokens": 9}}, ReplyError, "but Anthropic's own interface"),
        ({"output": [{"type": "message"}], "usage": {"input_tokens": 9}}, ReplyError, "but OpenAI's Responses"),
    ],
)  # fmt: skip
@on_loop
async def test_an_error_in_a_good_status_is_known_by_its_words(body: Any, kind: type[CallError], says: str) -> None:
    failed = await fails(whole(body))
    assert type(failed) is kind
    assert says in str(failed)


@pytest.mark.parametrize(
    ("event", "whose"),
    [
        ({"type": "message_start", "message": {"id": "m", "content": []}}, "Anthropic's own interface"),
        ({"candidates": [{"content": {"parts": [{"text": "Assam"}]}}]}, "Gemini's own interface"),
        ({"message": {"role": "assistant", "content": "Assam"}, "done": False}, "Ollama's own interface"),
        ({"type": "response.output_text.delta", "delta": "Assam"}, "OpenAI's Responses"),
    ],
)
@on_loop
async def test_a_stream_of_another_interface_is_told_as_that_unless_it_turns_out_to_be_ours(
    event: Any, whose: str
) -> None:
    failed = await fails(streamed(sse(event, event)))
    assert type(failed) is ReplyError
    assert f"no chat completion but {whose}" in str(failed)
    assert type(await fails(streamed(sse(event, delta(content="As"))))) is CutError
    assert (await hear(streamed(sse(event, delta("stop", content="Assam"))))).text == "Assam"


@on_loop
async def test_an_error_that_is_a_line_of_its_own_in_a_stream_is_an_error() -> None:
    told = b'error: {"code": 400, "message": "exceeds the available context size (4096 tokens)"}\n\n'
    failed = await fails(streamed(sse(delta(content="As"), done=False) + told))
    assert type(failed) is ContextError
    assert "4,096" in str(failed)


@on_loop
async def test_an_error_of_a_provider_in_the_midst_of_a_stream_is_told() -> None:
    broken = {"choices": [], "base_resp": {"status_code": 1013, "status_msg": "unknown error"}}
    assert "unknown error" in str(await fails(streamed(sse(delta(content="As"), broken))))


@on_loop
async def test_a_model_that_may_not_be_streamed_is_asked_for_whole_replies() -> None:
    no = error("400 Bad Request", "Your organization must be verified to stream this model.", param="stream")

    def play(exchange: Exchange) -> Any:
        return exchange.send(no if exchange.body["stream"] else plain())

    async with Endpoint(play) as server, asking(server) as model:
        heard = [await ask(model), await ask(model)]
        assert [each.text for each in heard] == ["Assam", "Assam"]
        assert [each.body["stream"] for each in server.requests] == [True, False, False]
        assert "stream_options" not in server.requests[1].body
    assert sum(isinstance(each, Notice) for each in heard[0].chunks) == 1


@on_loop
async def test_a_schema_refused_by_who_is_behind_a_gateway_is_asked_for_in_the_next_way() -> None:
    raw = json.dumps({"error": {"message": "Invalid parameter: response_format"}})
    no = error("400 Bad Request", "Provider returned error", metadata={"raw": raw})

    def play(exchange: Exchange) -> Any:
        return exchange.send(no if "json_schema" in json.dumps(exchange.body) else plain('{"a": "b"}'))

    assert (await hear(play, call(schema=SCHEMA))).text == '{"a": "b"}'


@pytest.mark.parametrize(
    ("headers", "says"),
    [
        ("", "does not say where to"),
        ("Location: /v1/chat/completions\r\n", "to itself"),
        ("Location: https://known.com:x@unknown.com/v1\r\n", "to https://unknown.com/v1"),
        ("Location: javascript:alert(1)\r\n", "no place to ask"),
    ],
)
@on_loop
async def test_a_redirect_to_nowhere_says_so(headers: str, says: str) -> None:
    assert says in str(await fails(http(b"", "302 Found", headers=headers)))


@on_loop
async def test_what_is_wrong_with_an_answer_is_said() -> None:
    assert "content-encoding" in str(await fails(http(b"x", headers="Content-Encoding: br\r\n")))


# Whatever it is

WORDS = [
    "type",
    "text",
    "content",
    "error",
    "errors",
    "message",
    "code",
    "base_resp",
    "metadata",
    "raw",
    "choices",
    "data",
    "tool_calls",
    "function",
    "arguments",
    "index",
    "delta",
    "finish_reason",
    "summary",
    "thought",
]
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-9, 9)
    | st.floats(allow_nan=False)
    | st.sampled_from(["", "text", '{"a": 1}']),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=4),
    max_leaves=12,
)


@given(VALUES, VALUES, VALUES)
def test_no_form_of_a_reply_or_an_error_makes_a_reader_raise(content: Any, side: Any, body: Any) -> None:
    assert all(isinstance(piece, Text | Reasoning) for piece in pieces_of(content))
    choice = {"delta": {"content": content, "tool_calls": side, "function_call": side}, "finish_reason": side}
    told = Reply("x:tea", json=True)
    told.take(read(json.dumps({"choices": [choice, side], "usage": side, "error": side}).encode()))
    for form in (body, {"error": body}, {"errors": body, "base_resp": side}, {"error": {"metadata": {"raw": body}}}):
        data = json.dumps(form).encode()
        several(data)
        refusal(400, {}, data.decode(), "x:tea")
        if (error_told := error_inside(data)) is not None:
            assert 400 <= status_inside(error_told) < 600
