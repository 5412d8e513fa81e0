"""The answer as rendered Markdown while it is written."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drawn import examples, whole
from stretto.cli.live.lines import cells
from stretto.cli.live.page import Page

ANSWER = """# Title of it

Some **bold** text with `code`, List<String> & <b>html</b>, [a link](https://x.y/z) and <https://bare.example>.

<details>
is not hidden
</details>

![a picture](http://img/x.png)

1. one
2. two, with a text that goes over the edge of the terminal and further
   - nested

   a paragraph in it
3. three

```python
def leap(y: int) -> bool:

    return y % 4 == 0 and (y % 100 != 0 or y % 400 == 0)
```

| year | leap | why |
|---:|:--|---|
| 2000 | yes | divisible by 400, and so it is a leap year |
| 1900 | no | averyveryveryverylongwordindeed |

> quoted

---

Last: 日本語
"""
PAGE = """Title of it

Some bold text with code, List<String> &
<b>html</b>, a link (https://x.y/z) and
https://bare.example.

<details> is not hidden </details>

a picture (http://img/x.png)

 1 one
 2 two, with a text that goes over the edge of
   the terminal and further
    • nested
   a paragraph in it
 3 three

def leap(y: int) -> bool:

    return y % 4 == 0 and (y % 100 != 0 or y %
400 == 0)

year  leap  why
────────────────────────────────────────────────
2000  yes   divisible by 400, and so it is a
            leap year
1900  no    averyveryveryverylongwordindeed

▌ quoted

------------------------------------------------

Last: 日本語
"""


def written(answer: str, width: int, *, each: int = 1, colours: bool = False) -> str:
    """The page when the answer comes in pieces of so many letters, and is looked at after each."""
    page, told = Page(colours=colours), ""
    for at in range(0, len(answer), each):
        page.take(answer[at : at + each])
        page.open(width, 10)
        told += page.settled(width)
    return told + page.end(width)


def test_every_kind_of_block_is_rendered_and_no_word_is_left_out() -> None:
    assert written(ANSWER, 48, each=len(ANSWER)) == PAGE


@pytest.mark.slow
@pytest.mark.parametrize("each", whole([1, 2, 7, 100], [7, 100]))
def test_an_answer_in_pieces_makes_the_same_page_as_the_whole(each: int) -> None:
    assert written(ANSWER, 48, each=each) == PAGE


def test_a_block_is_settled_once_and_only_when_the_next_one_has_begun() -> None:
    page = Page(colours=False)
    page.take("One\ntwo\n\n")
    assert page.settled(40) == ""
    page.take("Three")
    assert page.settled(40) == ""  # which might still be anything
    page.take(" is\n")
    assert page.settled(40) == "One two\n"
    assert page.open(40, 10) == ["", "Three is"]
    assert page.settled(40) == ""
    assert page.end(40) == "\nThree is\n"


def test_a_table_without_room_for_its_columns_becomes_a_list_of_its_rows() -> None:
    told = written(ANSWER, 19, each=len(ANSWER))
    assert "year: 2000\nleap: yes\nwhy: divisible by\n" in told


def test_of_an_open_block_only_the_end_is_shown_that_fits() -> None:
    page = Page(colours=False)
    page.take("```\n" + "".join(f"line {number}\n" for number in range(1000)))
    assert page.open(40, 3) == ["line 997", "line 998", "line 999"]
    page.restart()
    assert page.open(40, 3) == []


@pytest.mark.slow
def test_code_is_coloured_without_blanks_behind_it() -> None:
    told = written(ANSWER, 60, each=whole(1, 7), colours=True)
    assert "\x1b[" in told
    assert not re.search(r"[ \t]+(\x1b\[[\d;]*m)*$", told, re.MULTILINE)


MARKUP = st.lists(
    st.sampled_from(
        [
            "# ", "- ", "1. ", "> ", "    ", "```", "`", "**", "|", "|-|-|", "\n", "\n\n", "a", "word ", "![x](y)",
            "[x](y)", "<b>", "<!--", "---", "日本", "🎉", "\\", "~~", "[x]: y", "*", "\t", "   ", "https://x.y",
        ]
    ),
    max_size=40,
).map("".join)  # fmt: skip


@examples(200)
@given(MARKUP, st.integers(3, 60), st.integers(1, 20))
def test_whatever_is_written_is_rendered_within_the_page(text: str, width: int, each: int) -> None:
    for line in written(text, width, each=each).splitlines():
        assert cells(line) <= width


@examples(200)
@given(MARKUP, st.integers(1, 20))
def test_what_is_settled_is_what_the_whole_would_have_shown(text: str, each: int) -> None:
    letters = re.sub(r"\W+", "", written(text, 60, each=len(text) or 1))
    assert re.sub(r"\W+", "", written(text, 60, each=each)) == letters
