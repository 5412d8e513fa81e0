"""Keys leave with requests and come back in nothing: no message, reply or record, however they are spelled or cut."""

import asyncio
import html
import json
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from urllib.parse import quote

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from beside import beside
from stretto import Provider, Role, Workflow
from stretto.calls import Chunk, Done, Text
from stretto.models.secrets import Secrets, Veil

KEY = "sk-live_Zq7/9+secret"
APART = ["", "\0", "\u200b", "\u2060", "\ufeff", "\u00ad", "\u034f", "\x1b", "\u202e", "\n", " ", "\u3164", "\ufe0f"]


def secrets() -> Secrets:
    return Secrets(
        KEY, {"X-Api-Key": "header-secret-1", "X-Title": "A harmless title"}, "http://x/v1?token=query-secret-2"
    )


def told(veil: Veil, pieces: Sequence[str]) -> str:
    chunks: list[Chunk] = [Text(piece) for piece in pieces]
    shown = [each for chunk in [*chunks, Done("stop", None, None, None)] for each in veil.take(chunk)]
    return "".join(each.text for each in shown if isinstance(each, Text))


@pytest.mark.parametrize("apart", APART)
def test_no_message_has_a_key_whatever_stands_between_its_letters(apart: str) -> None:
    written = apart.join(KEY)
    for spelled in (
        written,
        json.dumps(written),
        html.escape(written),
        quote(written),
        json.dumps(json.dumps(written)),
    ):
        shown = secrets().hidden(f"bad key {spelled}!")
        assert "[key]" in shown, spelled
        assert "secret" not in shown
        assert "s" + apart + "e" + apart + "c" not in shown


@given(
    st.text("sk-livZ \n\u200bé", max_size=30),
    st.text("sk-livZ \n\u200bé", max_size=30),
    st.sampled_from(APART),
    st.lists(st.integers(1, 80), max_size=12),
)
def test_a_reply_shows_no_key_in_however_many_pieces_it_comes(
    before: str, after: str, apart: str, cuts: list[int]
) -> None:
    whole = before + apart.join(KEY) + after
    ends = sorted({min(cut, len(whole)) for cut in cuts} | {0, len(whole)})
    pieces = [whole[start:end] for start, end in pairwise(ends)]
    shown = told(secrets().veil(), pieces)
    assert KEY[3:] not in "".join(letter for letter in shown if letter not in "".join(APART))
    assert shown.count("[key]") == 1


@given(st.lists(st.text("sk-live_Zq7/9+\\%&# \n\u200b", max_size=12), max_size=12))
def test_a_reply_without_a_key_comes_through_as_it_is(pieces: list[str]) -> None:
    assert told(secrets().veil(), pieces) == "".join(pieces)


def test_headers_that_hold_no_secret_garble_no_reply() -> None:
    assert told(secrets().veil(), ["A harmless title, not header-secret-1 and not query-", "secret-2"]) == (
        "A harmless title, not [key] and not [key]"
    )


@pytest.mark.parametrize(
    "text", ["\\" * 60_000, "s" * 60_000, "s\u200b" * 30_000, ("\u200b".join(KEY[:-1]) + " ") * 1500]
)
def test_no_text_makes_it_a_long_search(text: str) -> None:
    began = time.process_time()
    assert "[key]" not in secrets().hidden(text)
    assert time.process_time() - began < 5


def test_a_reply_that_repeats_its_key_is_neither_shown_nor_stored_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        heard = request.headers["Authorization"].removeprefix("Bearer ")
        asked = await request.json()
        plan = {"analysis": f"with {heard}", "tasks": [{"type": "w", "description": f"look at {heard}"}]}
        text = json.dumps(plan) if "tasks" in json.dumps(asked["messages"]) else f"my key is {heard}, and that is all"
        if not asked.get("stream"):
            choice = {"message": {"content": "\u200b".join(text)}, "finish_reason": "stop"}
            return web.json_response({"model": heard, "choices": [choice]}, headers={"x-request-id": heard})
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for letter in text:
            await response.write(
                b"data: " + json.dumps({"choices": [{"delta": {"content": letter}}]}).encode() + b"\n\n"
            )
        await response.write(b'data: {"choices": [{"delta": {}, "finish_reason": "stop"}]}\n\ndata: [DONE]\n\n')
        return response

    monkeypatch.setenv("MINE_KEY", KEY)
    with beside(answer) as url:
        role = Role("mine:m")
        providers = {"mine": Provider(f"{url}/v1", key_env="MINE_KEY")}
        flow = Workflow(role, {"w": role}, role, providers=providers, store=tmp_path / "runs.db")
        run = asyncio.run(flow.run("Say something"))
    # Where a read ends after them, its first three letters are shown: many keys begin alike.
    assert run.answer in {f"my key is {KEY[:letters]}[key], and that is all" for letters in range(4)}
    for file in tmp_path.glob("runs.db*"):
        if file.is_file():
            data = file.read_bytes()
            assert KEY.encode() not in data
            assert "\u200b".join(KEY).encode() not in data
    assert KEY not in repr(run) + repr(vars(flow))


def test_what_holds_secrets_tells_none_of_them() -> None:
    provider = Provider(
        "http://me:hidden@x/v1?token=hidden#hidden", headers={"X-Api-Key": "hidden"}, key_env="hidden key"
    )
    assert "hidden" not in repr(provider)
    assert "hidden" not in f"{provider!s}"
