"""The simulator as a server, over real sockets."""

import asyncio
import json
import socket
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import pytest

from stretto import Simulator
from stretto.cli.sim import sim
from stretto.errors import ConfigError
from stretto.models.simulator import KINDS, parse_fault
from stretto.models.simulator.provider import SimulatedProvider
from stretto.server.sim import PROVIDER, listening, serve, simulator_app

SCHEMA = {
    "type": "object",
    "properties": {
        "analysis": {"type": "string"},
        "tasks": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "id": {"type": "string"},
                    "type": {"enum": ["draft", "proof"]},
                    "description": {"type": "string"},
                    "needs": {"type": "array", "items": {"type": "string"}},
                },
                "required": ["type", "description"],
            },
        },
    },
}
JSON_TYPE = {"content-type": "application/json"}


class Client:
    """A caller of one simulated server, and the counts of that server."""

    def __init__(self, session: aiohttp.ClientSession, url: str, counts: SimulatedProvider) -> None:
        self.session = session
        self.url = f"{url}/chat/completions"
        self.counts = counts

    def post(self, **body: Any) -> Any:
        return self.session.post(self.url, json=chat(**body))

    async def json(self, **body: Any) -> dict[str, Any]:
        async with self.post(**body) as response:
            return dict(await response.json())

    async def text(self, **body: Any) -> str:
        return str((await self.json(**body))["choices"][0]["message"]["content"])

    async def until_in_flight(self, calls: int) -> None:
        async with asyncio.timeout(5):
            while self.counts.in_flight != calls:
                await asyncio.sleep(0.005)


def chat(content: str = "Describe tea.", **more: Any) -> dict[str, Any]:
    return {"model": "instant", "messages": [{"role": "user", "content": content}], **more}


def served(simulator: Simulator, test: Callable[[Client], Awaitable[None]]) -> None:
    async def main() -> None:
        app = simulator_app(simulator)
        async with listening(app) as url, aiohttp.ClientSession() as session:
            await test(Client(session, url, app[PROVIDER]))

    asyncio.run(main())


def events_in(body: str) -> list[Any]:
    assert body.endswith("\n\n")
    lines = body[:-2].split("\n\n")
    assert all(line.startswith("data: ") for line in lines)
    assert lines[-1] == "data: [DONE]"
    return [json.loads(line[6:]) for line in lines[:-1]]


def test_a_plain_reply_has_text_finish_usage_and_a_request_id() -> None:
    async def test(client: Client) -> None:
        async with client.post() as response:
            body = await response.json()
            assert response.headers["x-request-id"]
            assert response.headers["x-stretto-simulated"] == "true"
        choice = body["choices"][0]
        assert body["object"] == "chat.completion"
        assert body["model"] == "instant"
        assert (choice["message"]["role"], choice["finish_reason"]) == ("assistant", "stop")
        assert choice["message"]["content"]
        assert body["usage"]["total_tokens"] == body["usage"]["prompt_tokens"] + body["usage"]["completion_tokens"]

    served(Simulator(), test)


@pytest.mark.parametrize("model", ["instant", "fast"])
def test_a_stream_says_the_same_as_the_plain_reply_event_by_event(model: str) -> None:
    async def test(client: Client) -> None:
        plain = await client.json(model=model)
        async with client.post(model=model, stream=True, stream_options={"include_usage": True}) as response:
            assert response.content_type == "text/event-stream"
            first, *middle, finish, usage = events_in(await response.text())
        assert first["choices"][0]["delta"] == {"role": "assistant", "content": ""}
        said = "".join(event["choices"][0]["delta"]["content"] for event in middle)
        assert said == plain["choices"][0]["message"]["content"]
        assert (finish["choices"][0]["delta"], finish["choices"][0]["finish_reason"]) == ({}, "stop")
        assert (usage["choices"], usage["usage"]) == ([], plain["usage"])
        assert {event["object"] for event in (first, *middle, finish, usage)} == {"chat.completion.chunk"}

    served(Simulator(length=30), test)


def test_usage_comes_only_if_it_was_asked_for_and_the_connection_can_be_used_again() -> None:
    async def test(client: Client) -> None:
        for _ in range(3):
            async with client.post(stream=True) as response:
                events = events_in(await response.text())
            assert all("usage" not in event for event in events)
            assert events[-1]["choices"][0]["finish_reason"] == "stop"
        assert client.session.connector is not None
        assert len(client.session.connector._conns) == 1

    served(Simulator(), test)


def test_a_stream_keeps_to_its_pace() -> None:
    async def test(client: Client) -> None:
        loop = asyncio.get_running_loop()
        start = loop.time()
        async with client.post(model="any-name", stream=True, max_tokens=30) as response:
            first = loop.time() - start
            events_in(await response.text())
            took = loop.time() - start
        assert first >= 0.1
        assert took >= 0.1 + 29 / 100

    served(Simulator(ttft=0.1, ttft_spread=0, tokens_per_second=100), test)


@pytest.mark.parametrize(
    "form",
    [
        {"type": "json_schema", "json_schema": {"name": "plan", "schema": SCHEMA, "strict": True}},
        {"type": "json_schema", "schema": SCHEMA},
        {"type": "json_object", "schema": SCHEMA},
    ],
)
def test_a_schema_is_taken_in_every_form_in_which_providers_take_it(form: dict[str, Any]) -> None:
    async def test(client: Client) -> None:
        tasks = json.loads(await client.text(response_format=form))["tasks"]
        assert {task["type"] for task in tasks} == {"draft", "proof"}

    served(Simulator(), test)


def test_json_mode_without_a_schema_is_answered_with_a_plan_too() -> None:
    async def test(client: Client) -> None:
        assert json.loads(await client.text(response_format={"type": "json_object"}))["tasks"]
        assert not (await client.text(response_format={"type": "text"})).startswith("{")

    served(Simulator(), test)


def test_max_tokens_cuts_the_reply_and_says_so() -> None:
    async def test(client: Client) -> None:
        body = await client.json(max_completion_tokens=7)
        assert body["choices"][0]["finish_reason"] == "length"
        assert body["usage"]["completion_tokens"] == 7

    served(Simulator(), test)


def test_the_models_are_listed() -> None:
    async def test(client: Client) -> None:
        async with client.session.get(client.url.replace("chat/completions", "models")) as response:
            body = await response.json()
        assert [model["id"] for model in body["data"]] == ["default", "fast", "instant"]

    served(Simulator(), test)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"{", "not valid JSON"),
        (b"\xff\xfe", "not valid JSON"),
        (b"[]", "must be a JSON object"),
        (b'{"messages": []}', "model"),
        (b'{"model": "x"}', "messages"),
        (b'{"model": "x", "messages": []}', "at least one"),
        (b'{"model": "x", "messages": ["hi"]}', "messages[0]"),
        (b'{"model": "x", "messages": [{"role": "king", "content": "hi"}]}', "messages[0].role"),
        (b'{"model": "x", "messages": [{"role": "user"}]}', "messages[0].content"),
        (json.dumps(chat(max_tokens=0)).encode(), "max_tokens"),
        (json.dumps(chat(n=2)).encode(), "'n'"),
        (json.dumps(chat(stream="yes")).encode(), "stream"),
        (json.dumps(chat(response_format={"type": "xml"})).encode(), "response_format"),
        (json.dumps(chat(response_format={"type": "json_schema"})).encode(), "needs a schema"),
    ],
)
def test_a_malformed_body_gets_400_and_a_message_that_names_the_place(body: bytes, says: str) -> None:
    async def test(client: Client) -> None:
        async with client.session.post(client.url, data=body, headers=JSON_TYPE) as response:
            error = (await response.json())["error"]
            assert response.status == 400
            assert says in error["message"]
            assert error["type"] == "invalid_request_error"
            assert set(error) == {"message", "type", "code", "param"}
        assert not client.counts.asked

    served(Simulator(), test)


def test_content_may_come_in_parts() -> None:
    async def test(client: Client) -> None:
        parts = [{"type": "text", "text": "Describe "}, {"type": "text", "text": "tea."}]
        whole = await client.text()
        assert await client.text(messages=[{"role": "user", "content": parts}]) == whole

    served(Simulator(), test)


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        ("429 once", 429, "rate_limit_exceeded"),
        ("quota once", 429, "insufficient_quota"),
        ("401 once", 401, "invalid_api_key"),
        ("400 once", 400, "invalid_request"),
        ("500 once", 500, "internal_error"),
        ("503 once", 503, "overloaded"),
    ],
)
@pytest.mark.parametrize("stream", [True, False])
def test_an_error_status_comes_once_with_a_body_in_the_usual_form(
    fault: str, status: int, code: str, stream: bool
) -> None:
    async def test(client: Client) -> None:
        async with client.post(stream=stream) as response:
            assert response.status == status
            assert response.headers["x-request-id"]
            assert ("retry-after" in response.headers) == fault.startswith("429")
            assert (await response.json())["error"]["code"] == code
        async with client.post(stream=stream) as response:
            assert response.status == 200

    served(Simulator(faults=(parse_fault(fault),)), test)


@pytest.mark.parametrize("stream", [True, False])
def test_a_reset_comes_before_the_headers(stream: bool) -> None:
    async def test(client: Client) -> None:
        with pytest.raises(aiohttp.ClientOSError, match="reset"):
            await client.post(stream=stream)
        async with client.post(stream=stream) as response:
            assert response.status == 200

    served(Simulator(faults=(parse_fault("reset once"),)), test)


@pytest.mark.parametrize("fault", ["disconnect once", "silence once seconds=0.2"])
@pytest.mark.parametrize("stream", [True, False])
def test_a_broken_reply_ends_in_the_middle_of_its_body(fault: str, stream: bool) -> None:
    async def test(client: Client) -> None:
        whole = bytearray()

        async def read(response: aiohttp.ClientResponse) -> None:
            while data := await response.content.readany():
                whole.extend(data)

        async with client.post(stream=stream) as response:
            with pytest.raises(aiohttp.ClientPayloadError):
                await read(response)
        assert whole
        assert b"[DONE]" not in whole
        async with client.post(stream=stream) as response:
            assert len(await response.read()) > len(whole)
        await client.until_in_flight(0)
        assert client.counts.cancelled == 0

    served(Simulator(faults=(parse_fault(fault),)), test)


@pytest.mark.parametrize("stream", [True, False])
def test_a_trickle_drips_without_a_pause_that_would_ring_and_ends_only_when_its_time_is_over(stream: bool) -> None:
    async def test(client: Client) -> None:
        loop, whole, pauses = asyncio.get_running_loop(), bytearray(), []

        async def read(response: aiohttp.ClientResponse) -> None:
            while data := await response.content.readany():
                pauses.append(loop.time())
                whole.extend(data)

        async with client.post(stream=stream) as response:
            with pytest.raises(aiohttp.ClientPayloadError):
                await read(response)
        assert 5 <= len(pauses) <= 22
        assert pauses[-1] - pauses[0] > 0.3
        assert b"finish_reason" not in whole if not stream else b'"finish_reason":"' not in whole
        await client.until_in_flight(0)
        assert not client.counts.completed

    served(Simulator(ttft=0, faults=(parse_fault("trickle once every=20ms seconds=400ms"),)), test)


@pytest.mark.parametrize("stream", [True, False])
def test_a_huge_reply_arrives_whole_and_counts_as_completed(stream: bool) -> None:
    async def test(client: Client) -> None:
        async with client.post(stream=stream) as response:
            body = await response.text()
        if stream:
            said = "".join(e["choices"][0]["delta"].get("content", "") for e in events_in(body))
        else:
            said = json.loads(body)["choices"][0]["message"]["content"]
        assert len(said) == 10_000_000
        await client.until_in_flight(0)
        assert list(client.counts.completed.values()) == [1]

    served(Simulator(faults=(parse_fault("huge once"),)), test)


@pytest.mark.parametrize("stream", [True, False])
def test_a_refusal_that_lasts_meets_every_request_until_it_is_over(stream: bool) -> None:
    async def test(client: Client) -> None:
        statuses = []
        for n in range(4):
            async with client.post(content=f"Describe tea number {n}.", stream=stream) as response:
                statuses.append(response.status)
            await asyncio.sleep(n == 1)  # a second
        assert statuses == [429, 429, 200, 200]

    served(Simulator(ttft=0, faults=(parse_fault("429 for=900ms"),)), test)


def test_a_reply_of_the_wrong_form_is_json_and_no_plan() -> None:
    async def test(client: Client) -> None:
        form = {"type": "json_schema", "json_schema": {"name": "plan", "schema": SCHEMA}}
        assert list(json.loads(await client.text(response_format=form))) == ["thoughts", "confidence", "types"]
        assert list(json.loads(await client.text())) == ["result"]

    served(Simulator(faults=(parse_fault("schema always"),)), test)


def test_a_page_of_html_and_an_empty_reply_come_as_they_do_in_life() -> None:
    async def test(client: Client) -> None:
        async with client.post(stream=True) as response:
            assert (response.status, response.content_type) == (200, "text/html")
        async with client.post(stream=True) as response:
            role, finish = events_in(await response.text())
            assert finish["choices"][0]["finish_reason"] == "stop"
            assert role["choices"][0]["delta"]["content"] == ""

    served(Simulator(faults=(parse_fault("html once"), parse_fault("empty once"))), test)


def test_the_limits_are_in_every_response_and_too_many_requests_get_429_with_retry_after() -> None:
    async def test(client: Client) -> None:
        statuses, left = [], []
        for n in range(4):
            async with client.post(content=f"Describe tea number {n}.") as response:
                statuses.append(response.status)
                left.append(response.headers["x-ratelimit-remaining-requests"])
                assert response.headers["x-ratelimit-limit-requests"] == "60"
                assert response.headers["x-ratelimit-reset-requests"].endswith("s")
                assert response.headers["x-ratelimit-limit-tokens"] == "100000"
                if response.status == 429:
                    assert response.headers["retry-after"] == "1"
                    assert 0 < int(response.headers["retry-after-ms"]) <= 1000
                    assert (await response.json())["error"]["type"] == "requests"
        assert statuses == [200, 200, 429, 429]
        assert left == ["1", "0", "0", "0"]
        assert client.counts.refused == 2

    served(Simulator(rpm=60, tpm=100_000, burst=2), test)


@pytest.mark.parametrize("stream", [True, False])
def test_a_caller_who_leaves_is_noticed_at_once_and_counted(stream: bool) -> None:
    async def test(client: Client) -> None:
        asking = asyncio.create_task(ask_for_ever(client))
        await client.until_in_flight(1)
        await asyncio.sleep(0.05)
        asking.cancel()
        await asyncio.wait([asking])
        await client.until_in_flight(0)
        assert (client.counts.cancelled, client.counts.max_in_flight) == (1, 1)

    async def ask_for_ever(client: Client) -> None:
        async with client.post(model="default", stream=stream) as response:
            await response.read()

    served(Simulator(ttft=0, tokens_per_second=0.5), test)


def test_calls_are_counted_by_fingerprint_and_many_at_once_are_all_answered() -> None:
    async def test(client: Client) -> None:
        bodies = await asyncio.gather(
            *(client.text(content=f"Describe tea {n % 20}.", model="fast") for n in range(60))
        )
        assert len(set(bodies)) == 20
        assert sorted(client.counts.asked.values()) == [3] * 20
        assert client.counts.max_in_flight > 20
        await client.until_in_flight(0)

    served(Simulator(), test)


def test_serve_says_where_it_is_and_stops_when_it_is_cancelled() -> None:
    async def main() -> None:
        url: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        serving = asyncio.create_task(serve(Simulator(), "127.0.0.1", 0, url.set_result))
        where = await url
        assert where.startswith("http://127.0.0.1:")
        assert where.endswith("/v1")
        async with aiohttp.ClientSession() as session, session.get(f"{where}/models") as response:
            assert response.status == 200
        serving.cancel()
        await asyncio.wait([serving])
        async with aiohttp.ClientSession() as session:
            with pytest.raises(aiohttp.ClientConnectorError):
                await session.get(f"{where}/models")

    asyncio.run(main())


def test_the_help_names_every_kind_of_fault_and_every_word() -> None:
    said = str(sim.help)
    assert not [kind for kind in KINDS if not kind.isdigit() and kind not in said]
    assert not [
        word for word in ("once", "twice", "always", "times", "for", "rate", "role", "match") if word not in said
    ]


def test_a_port_that_is_taken_is_a_clear_error() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=f"cannot listen on 127.0.0.1:{port}"):
            asyncio.run(serve(Simulator(), "127.0.0.1", port, print))
