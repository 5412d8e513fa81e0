"""Replies in other encodings than they should be, and letters that are cut in two on the way."""

import gzip
import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from endpoint import call, delta, hear, http, reply, sse, streamed
from loops import on_loop
from stretto.models.growing import Halves
from stretto.models.loosely import decoded


def whole(text: str, encoding: str, kind: str = "application/json") -> bytes:
    return http(json.dumps(reply(text), ensure_ascii=False).encode(encoding), kind=kind)


@pytest.mark.parametrize(
    ("text", "encoding", "kind"),
    [
        ("Thé déjà bu, 5 €", "cp1252", "application/json"),
        ("Thé déjà bu", "latin-1", "application/json; charset=ISO-8859-1"),
        ("Thé déjà bu", "utf-8", "application/json; charset=ISO-8859-1"),
        ("茶很好", "gbk", "application/json; charset=gbk"),
        ("Чай", "utf-8", "application/json; charset=windows-1251"),
        ("Чай", "cp1251", "application/json; charset=windows-1251"),
        ("Thé", "utf-16", "application/json"),
        ("Thé", "latin-1", "application/json; charset=nonsense"),
    ],
)
@on_loop
async def test_a_reply_is_read_in_what_it_is_encoded_in(text: str, encoding: str, kind: str) -> None:
    assert (await hear(whole(text, encoding, kind), call(stream=False))).text == text


@on_loop
async def test_a_stream_in_latin_1_too() -> None:
    events = (delta(content="Thé d"), delta(content="éjà"), delta("stop"))
    lines = b"".join(b"data: " + json.dumps(each, ensure_ascii=False).encode("latin-1") + b"\n\n" for each in events)
    assert (await hear(streamed(lines))).text == "Thé déjà"


@on_loop
async def test_a_body_whose_proxy_lost_the_word_that_it_is_compressed() -> None:
    body = json.dumps(reply("Assam")).encode()
    assert (await hear(http(gzip.compress(body)))).text == "Assam"
    assert (await hear(http(gzip.compress(gzip.compress(body))))).text == "Assam"


def event(content: bytes) -> bytes:
    return b'data: {"choices":[{"index":0,"delta":{"content":"' + content + b'"}}]}\n\n'


@pytest.mark.parametrize(
    ("pieces", "text"),
    [
        ([rb"tea \ud83d", rb"\ude00!"], "tea 😀!"),
        ([b"tea \xf0\x9f", b"\x98\x80!"], "tea 😀!"),
        ([b"\xe8\x8c", b"\xb6\xe5\xbe\x88"], "茶很"),
        ([rb"tea \ud83d", b" and milk"], "tea \ufffd and milk"),
        ([rb"tea \ud83d"], "tea \ufffd"),
    ],
)
@on_loop
async def test_a_letter_that_is_cut_in_two_between_events_is_one(pieces: list[bytes], text: str) -> None:
    lines = b"".join(map(event, pieces))
    assert (await hear(streamed(lines + sse(delta("stop"))))).text == text


@given(st.text(), st.data())
def test_a_text_is_the_same_wherever_its_bytes_are_cut(text: str, data: st.DataObject) -> None:
    raw, halves = text.encode(), Halves()
    cuts = sorted(data.draw(st.sets(st.integers(0, len(raw)))))
    edges = [0, *cuts, len(raw)]
    pieces = [raw[a:b].decode("utf-8", "surrogateescape") for a, b in itertools.pairwise(edges)]
    assert "".join(map(halves.whole, pieces)) + halves.end() == text


@given(st.binary())
def test_any_bytes_are_a_text(raw: bytes) -> None:
    assert decoded(raw) == decoded(raw).encode("utf-8", "replace").decode()
