"""The answer on a terminal as plain text: it breaks between words, in whatever pieces it comes."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from drawn import examples
from stretto.cli.words import Folding, columns_of

ANSWER = """# A heading that is longer than the terminal is wide

- an entry of a list that is longer than the line is wide, so it goes on
12. another entry, which is longer than it should be as well
```py
code = "that is much longer than the columns of this terminal"
```
~~~
more of it, which is longer than the columns of this terminal, too
~~~
| a table | that is | wider | than the | terminal | is |
    and code by its blanks, that is longer than the terminal is wide

A paragraph with a verylongword/that/cannot/be/broken/anywhere/at/all and 日本語のとても長い言葉 after it."""
FOLDED = """# A heading that is longer than the
terminal is wide

- an entry of a list that is longer than
  the line is wide, so it goes on
12. another entry, which is longer than
    it should be as well
```py
code = "that is much longer than the columns of this terminal"
```
~~~
more of it, which is longer than the columns of this terminal, too
~~~
| a table | that is | wider | than the | terminal | is |
    and code by its blanks, that is longer than the terminal is wide

A paragraph with a
verylongword/that/cannot/be/broken/anywhere/at/all
and 日本語のとても長い言葉 after it."""


def folded(text: str, columns: int, *cuts: int) -> str:
    folding, places = Folding(), [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    pieces = (text[start:end] for start, end in pairwise(places))
    return "".join(folding.take(piece, columns) for piece in pieces) + folding.end(columns)


def test_prose_breaks_between_words_and_code_and_tables_stay() -> None:
    assert folded(ANSWER, 40) == FOLDED


@given(st.lists(st.integers(0, len(ANSWER)), max_size=30))
def test_it_is_the_same_in_whatever_pieces_it_comes(cuts: list[int]) -> None:
    assert folded(ANSWER, 40, *cuts) == FOLDED


@examples(200)
@given(st.text("ab `|~-.\n\t日", max_size=80), st.integers(3, 20))
def test_no_word_is_lost_or_broken_and_a_line_is_too_wide_only_with_one_word(text: str, columns: int) -> None:
    told = folded(text, columns)
    assert told.split() == text.split()
    if not {"`", "|", "~", "\t"} & set(text) and "    " not in text:
        assert all(columns_of(line.rstrip()) <= columns or len(line.split()) <= 2 for line in told.split("\n"))


def test_what_fits_is_as_it_was() -> None:
    assert folded(ANSWER, 200) == ANSWER


def test_what_comes_after_the_end_begins_a_line() -> None:
    folding = Folding()
    assert folding.take("one two three", 9) == "one two"
    assert folding.end(9) == "\nthree"
    assert folding.take("four five six", 9) + folding.end(9) == "four five\nsix"
