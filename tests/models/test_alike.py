"""Events that differ in their text alone are read together, and say what they say one by one."""

import json
from itertools import takewhile
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from endpoint import delta, hear, sse, streamed
from loops import on_loop
from stretto.models.alike import Alike
from stretto.models.wire import read

LETTERS = st.text(st.sampled_from("ab \\\"'<>[]/{}:,\n\u00e9\u25c1😀"), max_size=12)
PIECES = st.lists(LETTERS | st.sampled_from(["<think>", "</think>", "```"]), min_size=1, max_size=30)


def events(pieces: list[str], **more: Any) -> list[bytes]:
    return [json.dumps({**delta(content=piece), **more}).encode() for piece in pieces]


def alike(event: bytes) -> Alike:
    known = Alike()
    known.learn(event, read(event))
    return known


@given(PIECES, st.booleans())
def test_the_texts_of_events_of_one_form_are_those_up_to_one_that_says_nothing(pieces: list[str], usage: bool) -> None:
    first, *others = events(["tea", *pieces], **({"usage": None} if usage else {}))
    assert alike(first).texts(others, 0) == list(takewhile(bool, pieces))


def test_what_has_another_form_is_not_among_them() -> None:
    first, second = events(["tea", "Assam"])
    known = alike(first)
    for other in (
        json.dumps(delta("stop", content="x")),
        json.dumps(delta(content="x", reasoning="y")),
        json.dumps({**delta(content="x"), "error": "no"}),
        second.decode().replace('"Assam"', '"Assam", "role": "user"'),
        second.decode().replace('"Assam"', "null"),
        second.decode().replace('"Assam"', '"Assam'),
    ):
        assert known.texts([second, other.encode()], 0) in ([], ["Assam"]), other
    assert known.texts([second.replace(b"Assam", b"\xff")], 0) == []
    assert known.texts([b"[DONE]", second], 1) == ["Assam"]
    odd = second.replace(b"Assam", b'Assam", "role": "user')  # which is found only when all are read
    assert known.texts([second] * 9 + [odd] + [second] * 9, 0) == ["Assam"] * 9


def test_an_event_that_says_more_than_a_text_is_no_form() -> None:
    (second,) = events(["Assam"])
    for first in (delta("stop", content="x"), delta(reasoning="x"), {**delta(content="x"), "usage": {"a": 1}}, {}):
        assert alike(json.dumps(first).encode()).texts([second], 0) == []


def test_where_each_event_has_a_form_of_its_own_none_is_learned_any_more() -> None:
    known = Alike()
    for number in range(20):
        (event,) = events(["x"], padding="p" * number)
        known.learn(event, read(event))
    assert known.texts([event], 0) == []


@settings(max_examples=20)
@given(PIECES)
def test_a_reply_is_the_same_in_one_read_and_event_by_event(pieces: list[str]) -> None:
    @on_loop
    async def said() -> None:
        told = sse(delta(role="assistant", content=""), *events(["Tea", " is", *pieces, "."]), delta("stop"))
        at_once, one_by_one = await hear(streamed(told)), await hear(streamed(told, len(told) // 15))
        assert (at_once.text, at_once.thoughts, at_once.done) == (one_by_one.text, one_by_one.thoughts, one_by_one.done)

    said()
