"""What is known of a model: asked where a server tells, remembered, recorded with the run, never in the way."""

import asyncio
import json
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from endpoint import END, STREAM, Endpoint, Exchange, chunk, delta, http, plain, sse
from loops import on_loop
from models import plan_of
from stores import fill, rows
from stretto import Limits, Provider, Role, Run, Workflow
from stretto.errors import CallError, StoreError
from stretto.models.http import Http
from stretto.models.listing import contexts
from stretto.models.providers import KNOWN, is_here
from stretto.store.known import Remembered, remember, remembered
from stretto.store.schema import connect
from stretto.store.sqlite import Store
from stretto.store.tables import VERSION
from stretto.types import Known
from stretto.types.definitions import definition_of

NOT_FOUND = http(b'{"error": "no such path"}', "404 Not Found")
MODELS = {"data": [{"id": "qwen", "object": "model"}, {"id": "other", "object": "model"}]}
Routes = Mapping[str, Any]


def serving(
    routes: Routes, chat: Callable[[Exchange], bytes] | None = None, *, head: bytes = b""
) -> Callable[[Exchange], Any]:
    """A server that answers some paths (`GET /props`) with JSON, and chat completions by `chat`."""

    async def answer(exchange: Exchange) -> None:
        path = exchange.line.removesuffix(" HTTP/1.1")
        if path.startswith("POST /v1/chat/completions") and chat:
            said = chat(exchange)
            stream = STREAM.replace(b"\r\n", b"\r\n" + head, 1)
            await exchange.send(stream, chunk(said), END) if said.startswith(b"data:") else await exchange.send(said)
        elif path in routes:
            await exchange.send(http(json.dumps(routes[path]).encode()))
        else:
            await exchange.send(NOT_FOUND)

    return answer


async def asked(routes: Routes, models: tuple[str, ...] = ("qwen",), patience: float = 5.0) -> dict[str, int]:
    async with Endpoint(serving(routes)) as server:
        web = Http()
        try:
            told = await contexts("box", Provider(server.url), models, {}, web, patience)
            return {model: known.context for model, known in told.items() if known.context}
        finally:
            await web.close()


@pytest.mark.parametrize(
    ("routes", "context"),
    [
        ({"GET /v1/models": {"data": [{"id": "qwen", "max_model_len": 8192}, {"id": "other"}]}}, 8192),  # vLLM
        ({"GET /v1/models": {"data": [{"id": "/a/path.gguf", "meta": {"n_ctx": 512, "n_ctx_train": 32768}}]}}, 512),
        (  # llama.cpp, before its list said so
            {
                "GET /v1/models": {"data": [{"id": "/a/path.gguf", "meta": {"n_ctx_train": 32768}}]},
                "GET /props": {"default_generation_settings": {"n_ctx": 4096}, "total_slots": 4},
            },
            4096,
        ),
        (  # Ollama, with the model loaded
            {
                "GET /v1/models": MODELS,
                "GET /api/ps": {"models": [{"model": "qwen:latest", "context_length": 2048}]},
                "POST /api/show": {"parameters": "num_ctx 9999", "model_info": {"qwen2.context_length": 32768}},
            },
            2048,
        ),
        (
            {
                "GET /v1/models": MODELS,
                "GET /api/ps": {"models": []},
                "POST /api/show": {"parameters": "temperature 0.7\nnum_ctx                   16384"},
            },
            16384,
        ),
        (
            {
                "GET /v1/models": MODELS,
                "GET /api/ps": {"models": []},
                "POST /api/show": {"model_info": {"qwen2.context_length": 32768}},
            },
            4096,
        ),
        (
            {
                "GET /v1/models": MODELS,
                "GET /api/v0/models": {
                    "data": [
                        {"id": "other"},
                        {"id": "qwen", "max_context_length": 32768, "loaded_context_length": 7000},
                    ]
                },
            },
            7000,
        ),
        ({"GET /v1/models": MODELS, "GET /api/v0/models": {"data": [{"id": "qwen", "max_context_length": 99}]}}, None),
        ({"GET /v1/models": MODELS, "GET /props": ["no"], "GET /api/ps": {"models": 3}}, None),
        ({"GET /v1/models": MODELS}, None),
    ],
)
@on_loop
async def test_a_local_server_says_what_it_was_started_or_has_loaded_the_model_with(
    routes: Routes, context: int | None
) -> None:
    assert await asked(routes) == ({} if context is None else {"qwen": context})


@on_loop
async def test_a_server_that_lists_no_models_is_asked_nothing_more() -> None:
    async with Endpoint(NOT_FOUND) as server:
        web = Http()
        with pytest.raises(CallError):
            await contexts("box", Provider(server.url), ["qwen"], {}, web, 5.0)
        await web.close()
        assert [request.line for request in server.requests] == ["GET /v1/models HTTP/1.1"]


@pytest.mark.parametrize(
    ("provider", "here"),
    [
        (Provider("http://127.0.0.1:8080/v1"), True),
        (Provider("http://localhost/v1"), True),
        (Provider("http://[::1]:8080/v1"), True),
        (Provider("http://box.lan/v1", local=True), True),
        (Provider("http://192.168.1.5:8080/v1"), False),
        (KNOWN["together"], False),
    ],
)
def test_a_server_on_this_machine_is_known_by_its_address_or_by_what_is_said_of_it(
    provider: Provider, here: bool
) -> None:
    assert is_here(provider) is here


def chatting(*, context: int = 4096, words: int = 200) -> Callable[[Exchange], bytes]:
    """A model that plans two subtasks and answers in so many words; every five bytes are a token to it."""

    def chat(exchange: Exchange) -> bytes:
        prompt = " ".join(message["content"] for message in exchange.body["messages"])
        tokens = len(prompt.encode()) // 5
        if tokens > context:
            message = (
                f"request ({tokens} tokens) exceeds the available context size ({context} tokens), try increasing it"
            )
            error = {"code": 400, "message": message, "type": "exceed_context_size_error", "n_ctx": context}
            return http(json.dumps({"error": error}).encode(), "400 Bad Request")
        text = (
            plan_of("One.", "Two.")
            if "response_format" in exchange.body
            else "".join(f"{n:04d} " for n in range(words))
        )
        usage = {"prompt_tokens": tokens, "completion_tokens": words}
        if exchange.body["stream"]:
            return sse(delta(content=text), delta("stop"), {"choices": [], "usage": usage})
        return plain(text, usage=usage)

    return chat


def flow(server: Endpoint, store: Path | None, *, name: str = "llamacpp", **facts: Any) -> Workflow:
    """At a server whose kind is told by its `name`."""
    model, providers = f"{name}:qwen", {name: Provider(server.url)}
    return Workflow(model, {"part": model}, Role(model, **facts), providers=providers, store=store)


def known(run: Run) -> dict[str, Known]:
    return definition_of(run.workflow).known


ROUTES = {"GET /v1/models": {"data": [{"id": "qwen", "meta": {"n_ctx": 4096}}]}}


@on_loop
async def test_what_is_known_is_recorded_with_the_run_and_kept_in_the_store(tmp_path: Path) -> None:
    store = tmp_path / "s.db"
    async with Endpoint(serving(ROUTES, chatting())) as server:
        run = await flow(server, store).run("Compare teas.")
        assert known(run) == {"llamacpp:qwen": Known(4096)}
        kept = remembered(store)[server.url, "qwen"].known
        assert kept.context == 4096
        assert kept.bytes == pytest.approx(5, abs=0.1)
        again = await flow(server, store).run("Compare coffees.")
    assert known(again) == {"llamacpp:qwen": kept}


@on_loop
async def test_a_server_of_which_nobody_knows_its_kind_is_asked_for_replies_alone() -> None:
    async with Endpoint(serving(ROUTES, chatting())) as server:
        run = await flow(server, None, name="box").run("Compare teas.")
    assert (run.status, known(run)) == ("finished", {})
    assert {request.line for request in server.requests} == {"POST /v1/chat/completions HTTP/1.1"}


@on_loop
async def test_a_server_that_shows_its_kind_is_asked_once_while_the_run_goes_on_and_at_the_next_one(
    tmp_path: Path,
) -> None:
    async with Endpoint(serving(ROUTES, chatting(), head=b"Server: llama.cpp\r\n")) as server:
        run = await flow(server, tmp_path / "s.db", name="box").run("Compare teas.")
        plan, models, *others = server.requests
        assert "chat" in plan.line
        assert "max_tokens" not in plan.body or plan.body["max_tokens"] > 4096
        assert models.line.startswith("GET /v1/models")
        assert {request.body["max_tokens"] for request in others} == {2048}  # of the workers, and of the answer
        kept = remembered(tmp_path / "s.db")[server.url, "qwen"].known
        assert (known(run), kept.context) == ({}, 4096)
        assert kept.bytes == pytest.approx(5, abs=0.1)
        again = await flow(server, tmp_path / "s.db", name="box").run("Compare coffees.")
    assert known(again) == {"box:qwen": kept}


@on_loop
async def test_who_goes_on_with_a_run_keeps_to_what_it_began_with(tmp_path: Path) -> None:
    store = tmp_path / "s.db"
    async with Endpoint(serving(ROUTES, chatting())) as server:
        made = flow(server, store)
        async with made.plan("Compare teas.") as events:
            begun = await events.finished()
        remember(store, {(server.url, "qwen"): Known(999, 1.5)})
        async with made.resume(begun.id) as events:
            assert known(await events.finished()) == {"llamacpp:qwen": Known(4096)}
        async with made.rerun(begun.id) as events:
            assert known(await events.finished()) == {"llamacpp:qwen": Known(4096)}


@on_loop
async def test_a_server_that_does_not_answer_in_time_is_no_hindrance() -> None:
    async def slow(exchange: Exchange) -> None:
        if "chat" not in exchange.line:
            await asyncio.sleep(60)
        await serving({}, chatting())(exchange)

    async with Endpoint(slow) as server:
        run = await flow(server, None).run("Compare teas.")
    assert (run.status, known(run)) == ("finished", {})


@on_loop
async def test_a_refusal_for_length_is_kept_for_later_runs_and_replayed_alike(tmp_path: Path) -> None:
    store = tmp_path / "s.db"
    async with Endpoint(serving({}, chatting(context=900, words=700))) as server:
        made = flow(server, store)
        run = await made.run("Compare teas.")
        assert run.coverage.condensed
        assert [call.finished.error_type for call in run.calls if call.finished and call.finished.error] == [
            "ContextError"
        ]
        assert remembered(store)[server.url, "qwen"].known.context == 900
        later = await flow(server, store).run("Compare coffees.")
        assert not [call for call in later.calls if call.finished and call.finished.error]
    async with made.replay(run.id) as events:
        again = await events.finished()
    assert (again.answer, again.coverage, again.results) == (run.answer, run.coverage, run.results)
    assert events.differences == []


@on_loop
async def test_workers_at_a_local_server_are_streamed_and_bounded_but_their_requests_stay_what_they_are(
    tmp_path: Path,
) -> None:
    async with Endpoint(serving(ROUTES, chatting())) as server:
        run = await flow(server, tmp_path / "s.db").run("Compare teas.")
        bodies = [request.body for request in server.requests if "chat" in request.line]
    assert all(body["stream"] for body in bodies)
    plan, *others = bodies
    assert 4096 // 8 <= plan["max_tokens"] < 4096
    assert {body["max_tokens"] for body in others} == {2048}
    records = Store(tmp_path / "s.db").records(run.id)
    assert all("max_tokens" not in record.request.options for record in records.values() if record.request)


@on_loop
async def test_a_limit_of_the_user_stays_and_one_that_is_refused_is_left_out() -> None:
    def limit(body: Any) -> Any:
        return body.get("max_tokens", body.get("max_completion_tokens"))

    def refuses(exchange: Exchange) -> bytes:
        if limit(exchange.body) not in {None, 77}:
            return http(b'{"error": {"message": "max_tokens is not allowed here"}}', "400 Bad Request")
        return chatting()(exchange)

    async with Endpoint(serving(ROUTES, refuses)) as server:
        run = await flow(server, None, options={"max_tokens": 77}).run("Compare teas.")
        bodies = [request.body for request in server.requests if "chat" in request.line]
    assert run.status == "finished"
    *ours, users = map(limit, bodies)
    assert [each is None for each in ours] == [False, False, *[True] * (len(ours) - 2)]  # by either name, then without
    assert users == 77


@on_loop
async def test_a_reply_that_meets_a_limit_which_nobody_asked_for_says_so() -> None:
    def long(exchange: Exchange) -> bytes:
        if "response_format" in exchange.body:
            return chatting()(exchange)
        return sse(delta(content="So much."), delta("length"))

    async with Endpoint(serving(ROUTES, long)) as server:
        run = await flow(server, None).run("Compare teas.")
    assert {result.outcome for result in run.results.values()} == {"truncated"}
    assert "where max_tokens is not" in (run.results["t1"].error or "")
    assert run.coverage.answer == "truncated"


@on_loop
async def test_under_a_budget_of_tokens_the_limit_is_no_longer_than_the_budget_allows() -> None:
    async with Endpoint(serving(ROUTES, chatting())) as server:
        made = flow(server, None)
        made.definition = replace(made.definition, limits=Limits(tokens=20_000))
        await made.run("Compare teas.")
        bodies = [request.body for request in server.requests if "chat" in request.line]
    assert all(body["max_tokens"] <= 4096 for body in bodies)


# The store


def test_a_store_of_format_2_gets_its_table_and_keeps_its_runs(tmp_path: Path) -> None:
    import random

    path = tmp_path / "s.db"
    fill(path, [rows("01K0001", random.Random(1))])
    with closing(sqlite3.connect(path, isolation_level=None)) as db:  # as it was written by the release before
        db.execute("DROP TABLE models")
        db.execute("DROP TABLE carriers")
        db.execute("DROP TABLE idempotency")
        db.execute("DROP TABLE aside")
        db.execute("PRAGMA user_version = 2")
    assert remembered(path) == {}
    assert Store(path).run("01K0001").status == "finished"
    with closing(connect(path, create=False)) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (VERSION,)
    remember(path, {("http://a/v1", "m"): Known(4096, 3.5)})
    assert remembered(path)["http://a/v1", "m"].known == Known(4096, 3.5)


def test_what_is_remembered_is_the_latest_and_a_damaged_row_is_not_there(tmp_path: Path) -> None:
    path, place = tmp_path / "s.db", ("http://a/v1", "m")
    assert remembered(path) == {}
    remember(path, {place: Known(4096)})
    remember(path, {place: Known(8192, 4.0)})
    assert isinstance(remembered(path)[place], Remembered)
    assert remembered(path)[place].known == Known(8192, 4.0)
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("UPDATE models SET context = 8193")
    assert remembered(path) == {}


def test_a_file_that_is_no_store_is_told_of(tmp_path: Path) -> None:
    (tmp_path / "s.db").write_text("no store at all, but longer than nothing")
    with pytest.raises(StoreError):
        remembered(tmp_path / "s.db")


@on_loop
async def test_of_runs_that_begin_together_one_asks_a_server_and_all_know() -> None:
    async with Endpoint(serving(ROUTES, chatting())) as server:
        made = flow(server, None)
        runs = await asyncio.gather(*(made.run(f"Compare teas {number}.") for number in range(5)))
        asked_for = [request.line for request in server.requests if "chat" not in request.line]
    assert [known(run) for run in runs] == [{"llamacpp:qwen": Known(4096)}] * 5
    assert asked_for == ["GET /v1/models HTTP/1.1"]


@on_loop
async def test_a_run_that_is_stopped_while_it_asks_leaves_that_to_the_next() -> None:
    asked = asyncio.Event()

    async def slow_at_first(exchange: Exchange) -> None:
        if "chat" not in exchange.line and not asked.is_set():
            asked.set()
            await asyncio.sleep(60)
        await serving(ROUTES, chatting())(exchange)

    async with Endpoint(slow_at_first) as server:
        made = flow(server, None)
        first = asyncio.create_task(made.run("Compare teas."))
        await asked.wait()
        second = asyncio.create_task(made.run("Compare coffees."))
        await asyncio.sleep(0)
        first.cancel()
        assert known(await second) == {"llamacpp:qwen": Known(4096)}
        await asyncio.wait([first])
