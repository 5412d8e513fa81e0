"""Thought is taken out of replies, wherever the stream is cut."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stretto.calls import Chunk, Reasoning, Text, Transcript
from stretto.models.thinking import ThinkFilter

CASES = {
    "<think>Hm, < or >?</think>\n\nAssam": "Assam",
    "\n<thinking>Hm\n</thinking> Assam <think> is a tag": "Assam <think> is a tag",
    "<think>a</think><think>b</think>Assam\n": "Assam\n",
    "Hm, tea?\n</think>\n\n\nAssam": "Assam",
    "Hm, tea?</thinking>  \r\n Assam": "Assam",
    "A block is `<think>\nso\n</think>\n` and that is all.": "A block is `<think>\nso\n</think>\n` and that is all.",
    "<think>a</think>It ends with\n</think>\nas said.": "It ends with\n</think>\nas said.",
    "One writes </think> at its end.": "One writes </think> at its end.",
    " Assam < Darjeeling": " Assam < Darjeeling",
    "<thi": "<thi",
    "<think>never closed": "",
    "<think>a</think>\n\n": "",
    "": "",
}


def heard(pieces: list[str]) -> tuple[str, str]:
    transcript, sorter = Transcript(), ThinkFilter()
    chunks: list[Chunk] = [chunk for piece in pieces for chunk in sorter.feed(piece)] + sorter.end()
    for chunk in chunks:
        transcript.take(chunk)
        assert not isinstance(chunk, Text | Reasoning) or chunk.text
    return transcript.text, "".join(c.text for c in chunks if isinstance(c, Reasoning))


@given(st.sampled_from(list(CASES)), st.data())
def test_every_split_gives_the_same_text(reply: str, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.sets(st.integers(0, len(reply)))))
    pieces = [reply[a:b] for a, b in zip([0, *cuts], [*cuts, len(reply)], strict=True)]
    assert heard(pieces)[0] == CASES[reply]


@pytest.mark.parametrize("reply", CASES)
def test_one_character_at_a_time_gives_the_same_text(reply: str) -> None:
    assert heard(list(reply))[0] == CASES[reply]


@given(st.text(alphabet="ab <>\n", max_size=40), st.data())
def test_text_without_tags_passes_unchanged(text: str, data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(text)))
    assert heard([text[:cut], text[cut:]]) == (text, "")


def test_thought_is_kept_apart() -> None:
    assert heard(["<th", "ink>Hm", "m</thi", "nk>As", "sam"]) == ("Assam", "Hmm")
