"""Footnotes: numbers behind the passages, a list below, and Markdown that is still what it was."""

import re

from hypothesis import given
from hypothesis import strategies as st

from drawn import examples
from stretto import Input
from stretto.references import References, footnotes
from stretto.types import Citation

INPUT = Input("docs/a.md", "One line.\nThe quick brown fox.\n")


def noted(text: str) -> str:
    reader = References(("t1", "t2"), [INPUT])
    reader.feed(text)
    reader.end()
    return footnotes(reader.text, reader.citations, {"t1": "compare: Compare the two", "t2": "test: Test it"})


def body(text: str) -> str:
    return noted(text).partition("\n\n---\n\n")[0]


def test_numbers_go_by_first_use_and_the_list_says_what_they_mean() -> None:
    quoted = 'Both [^t2][^i1 "the quick brown fox"]. None [^i1 "the slow brown fox"].'
    assert noted(f"A fox [^t2]. A dog [^t1]. {quoted} Here [^i1:1-2].") == (
        "A fox. [1] A dog. [2] Both. [1][3] None. [4] Here. [5]\n\n---\n\n"
        "- [1] t2: test: Test it\n"
        "- [2] t1: compare: Compare the two\n"
        '- [3] docs/a.md, line 2: "The quick brown fox"\n'
        '- [4] docs/a.md: "the slow brown fox" (not found in the file)\n'
        "- [5] docs/a.md, lines 1-2"
    )


def test_an_answer_without_citations_is_as_it_was() -> None:
    assert footnotes("As ``` it was \n\n", ()) == "As ``` it was \n\n"


def test_code_tables_lists_and_links_stay_what_they_are() -> None:
    assert body("```py\nx = 1\n```\n[^t1]\n\nEnd [^t2].") == "```py\nx = 1\n```\n[1]\n\n\nEnd. [2]"
    assert body("| a [^t1] | b |\n|---|---|\n| c | d |\n\n[^t2]") == "| a [1] | b |\n|---|---|\n| c | d [2] |"
    assert body("- one [^t1]\n- two [^t2]\n") == "- one [1]\n- two [2]"
    assert body("See https://x.y/z [^t1] and [a link](https://x.y) [^t2].").startswith(
        "See https://x.y/z [1] and [a link]"
    )
    assert body("A page [^t1](http://x.y) says [^t2][x].\n\n[x]: http://x.y").startswith(
        "A page [1] (http://x.y) says [2] [x]."
    )
    assert body("# Title [^t1]\n\nText") == "# Title [1]\n\nText"


def test_a_block_of_code_left_open_is_closed_before_the_list() -> None:
    assert noted("So [^t1]:\n~~~~py\nx = 1").startswith("So [1]:\n~~~~py\nx = 1\n~~~~\n\n---\n\n- [1] t1")


def test_numbers_do_not_mix_with_those_the_answer_has_itself() -> None:
    assert body("As shown in [3], so [^t1].") == "As shown in [3], so. [4]"


def test_an_answer_that_is_only_references_has_a_list() -> None:
    assert noted("[^t1][^t2]").startswith("[1][2]\n\n---\n\n- [1] t1")


def test_what_a_model_wrote_is_one_line_in_the_list() -> None:
    one = Citation(0, 1, "i1", name="a\x1b[31m\nb", quote="x\n" * 500)
    *_, line = footnotes("A", [one]).split("\n")
    assert line.isprintable()
    assert len(line) < 450


TOKENS = st.sampled_from(
    [
        "word ",
        "End. ",
        "[^t1]",
        "[^t2]",
        "\n",
        "\n\n",
        "```\n",
        "~~~\n",
        "| a [^t1] | b |\n",
        "- ",
        "`",
        "`x`",
        "# ",
        "> ",
    ]
)


@examples(300)
@given(st.lists(TOKENS, max_size=40).map("".join))
def test_footnotes_only_add_numbers_and_leave_code_and_cells_alone(text: str) -> None:
    reader = References(("t1", "t2"))
    clean = reader.feed(text) + reader.end()
    result = footnotes(clean, reader.citations)
    for start, end in reader.fences:
        assert clean[start:end].rstrip() in result
    assert result.count("|") == clean.count("|")
    if reader.citations:
        above = result.rpartition("\n\n---\n\n")[0]
        without = re.sub(r"\[\d+\]", "", above)
        assert re.sub(r"[\s`~]", "", without) == re.sub(r"[\s`~]", "", clean)
        assert References(()).feed(above + "\n") is not None
