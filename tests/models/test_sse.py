"""Server-sent events, as their standard has them and as servers write them, wherever the bytes are cut."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stretto.models.sse import DONE, Events, is_streamed

A, B = {"a": [1, {"b": "{ \n }"}]}, {"b": "\N{TEACUP WITHOUT HANDLE} x"}


def read(data: bytes, cuts: tuple[int, ...] = ()) -> list[Any]:
    events, found = Events(), []
    for start, end in zip((0, *cuts), (*cuts, len(data)), strict=True):
        found += events.feed(data[start:end])
    found += events.end()
    return [event if event == DONE else json.loads(event) for event in found]


def one(form: Any) -> bytes:
    return b"data: " + json.dumps(form).encode() + b"\n\n"


def lines(form: Any) -> bytes:
    """One event over several lines."""
    written = json.dumps(form, indent=1).encode().split(b"\n")
    return b"".join(b"data: " + line + b"\n" for line in written) + b"\n"


def over_lines(form: Any) -> bytes:
    return b"data: " + json.dumps(form, indent=1).encode() + b"\n\n"


FORMS = {
    "plain": one(A) + one(B),
    "several data lines": lines(A) + lines(B),
    "several lines of which the first is called data": over_lines(A) + over_lines(B),
    "in capitals": (one(A) + one(B)).replace(b"data: ", b"Data: "),
    "no blank line between": one(A)[:-1] + one(B)[:-1],
    "no blank line, and a word between": one(A)[:-1] + b"data: ping\n" + one(B),
    "no space": (one(A) + one(B)).replace(b"data: ", b"data:"),
    "comments and other fields": b": hi\n\n:hi\nretry: 3\n" + one(A) + b"id: 7\nevent: x\n" + one(B),
    "fields after the data": one(A)[:-1] + b"id: 7\n\n" + one(B),
    "byte order mark": b"\xef\xbb\xbf" + one(A) + one(B),
    "words that keep awake": one(A) + b"data: ping\n\ndata: null\n\ndata: 3\n\ndata:\n\ndata\n\n" + one(B),
    "a time that keeps awake": one(A) + b"data: 2024-04-27 01:35:43.686476\n\n" + one(B),
    "a list that says nothing": one(A) + b"data: []\n\n" + one(B),
    "twice its name": b"data: " + one(A) + b"data: " + one(B),
    "indented": b" " + one(A) + b"\t" + one(B),
    "bare lines of JSON": one(A)[6:] + one(B)[6:],
    "nothing ends it": (one(A) + one(B)).rstrip(),
}
ENDS = {"\\n": b"\n", "\\r\\n": b"\r\n", "\\r": b"\r"}


@given(st.sampled_from(list(FORMS)), st.sampled_from(list(ENDS)), st.data())
def test_every_form_says_the_same_wherever_it_is_cut(form: str, end: str, data: st.DataObject) -> None:
    stream = FORMS[form].replace(b"\n", ENDS[end])
    cuts = tuple(sorted(data.draw(st.sets(st.integers(0, len(stream))))))
    assert read(stream, cuts) == [A, B]
    assert read(stream, tuple(range(1, len(stream)))) == [A, B]


SAID = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
OBJECTS = st.dictionaries(st.text(max_size=5), SAID, max_size=4)
BETWEEN = [b"", b": c\n", b":c\n\n", b"event: x\n", b"id: 1\n", b"data: ping\n\n", b"retry: 1\n\n", b"\n\n"]


@given(st.lists(st.tuples(OBJECTS, st.booleans(), st.sampled_from(BETWEEN))), st.sampled_from(list(ENDS)), st.data())
def test_random_streams_are_read_whole_in_every_framing(
    said: list[tuple[dict[str, Any], bool, bytes]], end: str, data: st.DataObject
) -> None:
    stream = b"".join(between + (lines if apart else one)(form) for form, apart, between in said)
    stream = stream.replace(b"\n", ENDS[end])
    cuts = tuple(sorted(data.draw(st.sets(st.integers(0, len(stream)), max_size=8))))
    assert read(stream, cuts) == [form for form, _, _ in said]


@given(st.binary(max_size=200), st.data())
def test_no_bytes_break_the_reader_and_each_event_is_an_object(stream: bytes, data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(stream)))
    events = Events()
    for event in [*events.feed(stream[:cut]), *events.feed(stream[cut:]), *events.end()]:
        assert event == DONE or event[:1] in {b"{", b"["}
    is_streamed(stream)


@pytest.mark.parametrize("done", [b"[DONE]", b'"[DONE]"', b"data: [DONE]", b" [DONE] "])
def test_the_end_is_known_in_every_spelling(done: bytes) -> None:
    assert read(one(A) + b"event: done\ndata: " + done + b"\n\n") == [A, DONE]
    assert read(one(A) + b"data: " + done) == [A, DONE]


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"data: overloaded\n\n", "overloaded"),
        (b'data: {"error": {"code": 503}}\n\n', {"code": 503}),
        (b'data: {"code": 503}\n\n', {"code": 503}),
        (b'data: "no"\n\n', "no"),
        (b"data: \xff\n\n", "\ufffd"),
        (b"data: it is\ndata: over\n\n", "it is"),
    ],
)
def test_the_data_of_an_error_is_an_error_in_whatever_form(data: bytes, error: Any) -> None:
    assert read(b"event: error\n" + data)[0] == {"error": error}
    assert read(b"event: error\n\n" + one(A)) == [A]


def test_an_event_is_told_when_its_line_ends() -> None:
    assert Events().feed(one(A)[:-1]) != []
