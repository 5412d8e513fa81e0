"""Streams whose pieces repeat what was said before: the text stands once, and nothing else is taken for one of them."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from endpoint import delta, hear, sse, streamed
from loops import on_loop
from stretto.models.growing import Growing

TEXT = "The tea that is meant is Assam, of course."


def said(pieces: list[str], *, finished: bool = False) -> str:
    growing, text = Growing(), ""
    for number, piece in enumerate(pieces, 1):
        again, new = growing.new(piece, last=finished and number == len(pieces))
        text = new if again else text + new
    return growing.whole() or text


def test_pieces_that_each_hold_all_so_far_are_one_text() -> None:
    steps = [TEXT[:at] for at in range(1, len(TEXT) + 1)]
    assert said(steps) == TEXT
    assert said([*steps, TEXT, TEXT]) == TEXT
    assert said(steps[7::9]) == steps[7::9][-1]
    assert said([TEXT[:20], TEXT]) == TEXT
    assert said([*steps[:30], TEXT[:29] + "was Assam"]) == TEXT[:29] + "was Assam", "its end was revised"


def test_a_last_piece_that_holds_the_whole_text_says_nothing_new() -> None:
    pieces = [TEXT[at : at + 10] for at in range(0, len(TEXT), 10)]
    assert said([*pieces, TEXT], finished=True) == TEXT
    assert said([*pieces, TEXT]) == TEXT + TEXT, "nothing says that it is the last"


@given(st.text(alphabet="ab-= \n", max_size=60), st.lists(st.integers(0, 60), max_size=12))
def test_pieces_of_a_text_are_that_text(text: str, cuts: list[int]) -> None:
    edges = sorted({0, len(text), *(min(cut, len(text)) for cut in cuts)})
    pieces = [text[a:b] for a, b in itertools.pairwise(edges)]
    assert said(pieces) == text


@on_loop
async def test_a_gateway_that_repeats_the_text_in_every_event_is_read_once_with_its_thoughts() -> None:
    thoughts = [delta(reasoning_content="Hm, is it"[:at]) for at in (2, 5, 9)]
    steps = [delta(content=TEXT[:at]) for at in (5, 11, 30, len(TEXT))]
    heard = await hear(streamed(sse(*thoughts, *steps, delta("stop", content=TEXT))))
    assert (heard.text, heard.done.finish) == (TEXT, "stop")
    heard = await hear(streamed(sse(delta(content=TEXT[:20]), delta("stop", content=TEXT))))
    assert heard.text == TEXT
