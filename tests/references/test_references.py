"""References in an answer: taken out while it is written, the same however it is cut, and never out of code."""

import itertools
import re
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from drawn import examples
from stretto import Input
from stretto.references import References, Unwrapped
from stretto.types import Citation

KNOWN = ("t1", "t3", "db-2", "code.solve")
INPUTS = (
    Input("notes.md", "# Notes\n\nThe quick “brown” fox\njumps over — the lazy dog.\nIt does so twice.\n"),
    Input("list.py", 'x["a"] = 1  # the first element\nprint(x["a"])\n'),
)
RICH = """# Findings [^t1]

Paris is large [^t1]. London is not.[^t3][^t1] *See* ([^t3], [^db-2]) too [^t9].
- an item `x[^t1]` and ``y ` [^t1]`` [^t1, code.solve]
- [^t3] another; `open [^t1]

| a [^t1] | b |
|---|---|
| c | d [^i1 "quick "brown" fox"] |

```regex
[^a-z][^t1]
```
[^t3]

~~~
[^t1]
 ```
~~~
The text says “the quick brown fox jumps” [^i1]. \\[^t1] [^1] [^note] [^a-z] [^i1:3-4], [^i2 "x["a"] = 1"]
巴黎很大[^t1]。伦敦不大。[^t3]

[^1]: my own
[^t1]: a definition ([^t1 and
"""


def read(*pieces: str, known: Any = KNOWN, inputs: Any = INPUTS, planned: Any = ()) -> References:
    reader = References(known, inputs, planned)
    told = "".join([*(reader.feed(piece) for piece in pieces), reader.end()])
    assert told == reader.text
    return reader


def clean(text: str, **given: Any) -> str:
    return read(text, **given).text


def passages(text: str, **given: Any) -> list[tuple[str, str]]:
    reader = read(text, **given)
    return [(reader.text[one.start : one.end], one.source) for one in reader.citations]


def state(reader: References) -> tuple[str, tuple[Citation, ...], tuple[str, ...], tuple[tuple[int, int], ...]]:
    return reader.text, reader.citations, reader.remarks, reader.fences


def pieces(text: str, places: list[int]) -> list[str]:
    edges = [0, *sorted(place % (len(text) + 1) for place in places), len(text)]
    return [text[a:b] for a, b in itertools.pairwise(edges)]


# However it is cut.


@pytest.mark.slow
def test_every_split_point_and_every_single_character_give_the_same() -> None:
    whole = state(read(RICH))
    assert state(read(*RICH)) == whole
    for place in range(len(RICH) + 1):
        assert state(read(RICH[:place], RICH[place:])) == whole


PIECES = '[^ t1 ] [^t1] [^t9] [^i1 " "] ` `` ``` ~~~ , ( ) a word. \\ - 1. | > # : … 。 [ ^ [^1] :3-4 “ ” é'
TOKENS = st.sampled_from([*PIECES.split(), "\n", "\n\n", "\r\n", " ", "  ", "- ", ", ", ' "', "word. ", "| "])


@examples(400)
@given(st.lists(TOKENS, max_size=60).map("".join), st.lists(st.integers(0, 10_000), max_size=12))
@example("`" + "a" * 390 + " [^t1] " + "b" * 20 + "`", [3, 397, 401])
@example('[^i1 "' + "x" * 395 + '"] [^t1]', [1, 2, 3, 399, 400, 401])
@example("[^" + "a" * 121 + "]" + "[^" + "t" * 120 + "]", [122, 123, 124, 246])
@example("`" * 205 + "[^t1]", [99, 100, 101, 204])
@example(" " * 130 + "```\n[^t1]", [119, 120, 121])
def test_a_text_of_odd_pieces_is_read_the_same_however_it_is_cut(text: str, places: list[int]) -> None:
    whole = state(read(text))
    assert state(read(*pieces(text, places))) == whole
    assert state(read(*text)) == whole


@examples(200)
@given(st.lists(TOKENS, max_size=40).map("".join))
def test_what_is_cited_lies_within_the_text_and_begins_and_ends_with_words(text: str) -> None:
    reader = read(text)
    for one in reader.citations:
        assert 0 <= one.start <= one.end <= len(reader.text)
        assert reader.text[one.start : one.end].strip() == reader.text[one.start : one.end]


@examples(200)
@given(st.lists(TOKENS.filter(lambda token: not re.search("[ti][19]", token)), max_size=40).map("".join))
def test_a_text_that_refers_to_nothing_of_ours_stays_to_the_byte(text: str) -> None:
    assert clean(text) == text


def test_only_what_may_become_a_reference_is_kept_back() -> None:
    reader = References(KNOWN)
    shown = [reader.feed(piece) for piece in ("One", " two", " ", "[", "^t1", "]", ".", " [^", "x y", " z")]
    assert shown == ["One", " two", "", "", "", "", ".", "", "", ""]
    assert reader.end() == " [^x y z"
    long = References(KNOWN)
    assert long.feed('Say [^i1 "' + "w" * 380) == "Say"
    assert long.feed("w" * 30).startswith(' [^i1 "www')


def test_a_restart_forgets_everything() -> None:
    reader = References(KNOWN)
    reader.feed("```\nSomething [^t1] [^t9")
    reader.restart()
    assert reader.feed("Paris [^t1].") + reader.end() == "Paris."
    assert [one.source for one in reader.citations] == ["t1"]
    assert reader.remarks == ()


# What is one of ours.


@pytest.mark.parametrize(
    "text",
    [
        "[^t1]",
        "[^ t1 ]",
        "[^t1][^t3]",
        "[^t1] [^t3]",
        "[^t1], [^t3]",
        "[^t1, t3]",
        "[^t1; t3]",
        "[^t1,^t3]",
        "([^t1])",
        "([^t1], [^t3])",
        "[^T1]",
        "[^t1.]",
        "[^db-2]",
        "[^code.solve]",
        "[^t1: the comparison]",
        '[^t1 "words"]',
        '[^i1 "words" t1]',
        "[^t1 t3]",
    ],
)
def test_every_way_to_write_a_reference_is_understood_and_leaves_no_gap(text: str) -> None:
    assert clean(f"It is so {text}. And on {text} it goes") == "It is so. And on it goes"


def test_an_unknown_reference_goes_and_is_told_once() -> None:
    reader = read("A [^t9]. B [^t9]. C [^t1, t12]. D [^i7]. E [^db-9].")
    assert reader.text == "A. B. C. D. E."
    assert [one.source for one in reader.citations] == ["t1"]
    assert [remark.split()[0] for remark in reader.remarks] == ["[^t9]", "[^t12]", "[^i7]", "[^db-9]"]


def test_a_subtask_without_a_result_is_no_source_and_the_remark_says_why() -> None:
    reader = read("A [^weather].", known=("t1",), planned=("t1", "weather"))
    assert (reader.text, reader.citations) == ("A.", ())
    assert reader.remarks == ("[^weather] was removed: weather has no result",)


@pytest.mark.parametrize(
    "text",
    [
        "Own [^1] and [^note].\n\n[^1]: its own\n[^note]: as well\n",
        "A class [^a-z] and [^ ] and [^] and [^\\d]+ and [^t1",
        "Escaped \\[^t1] and x[^2]",
        "`[^t1]` and `` ` [^t1] `` and\n`over a\nline [^t1]` too",
        "```\n[^t1]\n```",
        "   ```py\n[^t1]\n`` `\n   ```` \nx",
        "~~~ [^t1]\n```\n[^t1]\n~~~\nx",
        "- ```\n  [^t1]\n  ```\n> ~~~\n> [^t1]\n> ~~~\nx",
        "```\nnever closed [^t1]\n",
        '[^i1 "no end of it',
    ],
)
def test_code_and_the_answers_own_footnotes_stay_to_the_byte(text: str) -> None:
    reader = read(text)
    assert (reader.text, reader.citations, reader.remarks) == (text, (), ())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a stray ` tick [^t1].", "a stray ` tick."),
        ("a stray ` tick [^t1].\n\nnext ` [^t1]", "a stray ` tick.\n\nnext `"),
        ("- a stray ` tick [^t1]\n- next ` [^t1]", "- a stray ` tick\n- next `"),
        ("```not a fence``` [^t1]", "```not a fence```"),
        ("`" + "x" * 500 + " [^t1] `", "`" + "x" * 500 + " `"),
        ("[^t1]: its words", "t1: its words"),
        ("[^7]", "[^7]"),
        ("[^t1] Begins", "Begins"),
        ("- [^t1] Begins", "- Begins"),
        ("A line\r\nends [^t1]\r\n", "A line\r\nends\r\n"),
        ("[a link [^t1]](https://x.y/[^t1])", "[a link](https://x.y/)"),
        ("<!-- [^t1] --> $x^2$ [^t1]", "<!-- --> $x^2$"),
        ("Paris\xa0[^t1].", "Paris."),
        ("巴黎（[^t1]）很大", "巴黎很大"),
        ("f([^t1] and more)", "f(and more)"),
        ("[[^t1]]", "[]"),
        ("`a`[^t1]`b`", "`a` `b`"),
        ("[^t1]```\n[^t1]\n```", "```\n[^t1]\n```"),
        ("[^[^t1]]", "[^]"),
        ("[^t1][^t3]", ""),
        ("[^t1]\n[^t3]\n", "\n\n"),
    ],
)
def test_around_a_reference_the_text_stays_what_it_was(text: str, expected: str) -> None:
    assert clean(text) == expected


def test_a_number_is_a_reference_only_where_a_subtask_is_called_so() -> None:
    assert clean("A [^1] [^2]", known=("1",)) == "A [^2]"


def test_an_input_goes_before_a_subtask_of_its_name() -> None:
    (one,) = read("A [^i1].", known=("i1",)).citations
    assert one.name == "notes.md"


# The passage that a reference supports.


@pytest.mark.parametrize(
    ("text", "passage"),
    [
        ("One. Paris is large [^t1]. Two.", "Paris is large."),
        ("One. Paris is large.[^t1] Two.", "Paris is large."),
        ("One. Paris is large. [^t1] Two.", "Paris is large."),
        ("One! “Paris is large.” [^t1]", "“Paris is large.”"),
        ("Paris, e.g. the old part, has 2.1 million [^t1]", "Paris, e.g. the old part, has 2.1 million"),
        ("By Dr. J. Smith, in the U.S. Senate [^t1].", "By Dr. J. Smith, in the U.S. Senate."),
        ("1. One.\n2. Two is it [^t1]", "Two is it"),
        ("- [ ] Two is it [^t1]", "Two is it"),
        ("## A title [^t1]\n", "A title"),
        ("> quoted [^t1]", "quoted"),
        ("| a | the cell [^t1] | c |", "the cell"),
        ("一。巴黎很大[^t1]。三。", "巴黎很大。"),
        ("一。巴黎很大。[^t1]三。", "巴黎很大。"),
        ("पहला। पेरिस बड़ा है[^t1]। तीसरा।", "पेरिस बड़ा है।"),
        ("هل هي كبيرة؟ باريس كبيرة [^t1].", "باريس كبيرة."),
        ("[^t1] Paris is large. Two.", "Paris is large."),
        ("One.\n\nParis is large.\n\n[^t1]\n\nTwo.", "Paris is large."),
        ("One.\n```\ncode\n```\n[^t1]\n", "```\ncode\n```"),
        ("| a | b |\n|---|---|\n| c | d |\n\n[^t1]", "| c | d |"),
        ("Title\n=====\n[^t1]", "Title"),
        ("A line\r\nParis is large [^t1]\r\n", "Paris is large"),
        ("One. **Paris is large [^t1].** Two", "**Paris is large.**"),
        ("It is (so they say [^t1]), *and*", "It is (so they say)"),
        ("Paris is *large[^t1]* and red", "Paris is *large*"),
        ("Large [^t1] *and red*", "Large"),
        ("[^t1]", ""),
    ],
)
def test_the_passage_is_what_the_reference_stands_at_the_end_of(text: str, passage: str) -> None:
    assert passages(text) == [(passage, "t1")]


def test_references_at_one_place_share_the_passage_and_are_each_cited_once() -> None:
    assert passages("One. Two [^t1][^t3] [^t1], [^db-2].") == [("Two.", each) for each in ("t1", "t3", "db-2")]


# Sizes nobody writes.


@pytest.mark.slow
@pytest.mark.parametrize(
    "text",
    [
        "[^" * 50000,
        "`" + "[^" * 50000,
        '[^t1 "' * 15000,
        "([^t1" * 15000,
        "a [^t1] " * 10000,
        "[^t1]\n" * 10000,
        "` [^t1] " * 10000,
        "`" * 100000,
        "| a [^t1] " * 10000,
        "1\n" * 30000,
        "." * 100000,
        "." + ")" * 100000,
        "…)" * 50000,
    ],
    ids=["open", "code", "quotes", "enclosed", "many", "lines", "ticks", "run", "row", "digits", "dots", "end", "ends"],
)
def test_a_long_text_is_read_in_time_linear_in_it(text: str) -> None:
    reader = read(text)  # a quadratic reader would not come to an end
    assert len(reader.citations) <= 2_000
    assert len(reader.remarks) <= 21


def test_remarks_are_few_short_and_without_anything_a_terminal_obeys() -> None:
    text = "".join(f'A [^i1 "none of \x1b[31m such words {number} {"x" * 300}"]. ' for number in range(100))
    remarks = read(text).remarks
    assert len(remarks) == 21
    assert all(len(remark) <= 240 and remark.isprintable() for remark in remarks)


@pytest.mark.slow
@pytest.mark.parametrize("piece", [" ", "`", "x", "``` "])
def test_a_line_without_end_in_a_fence_is_not_looked_at_again_for_each_letter(piece: str) -> None:
    text, shown = piece * (400_000 // len(piece)), Unwrapped()
    told = shown.feed("```markdown\n") + "".join(shown.feed(letter) for letter in text) + shown.end()
    assert told == text
