"""Answers in Markdown, rendered: what is meant well looks well, and nothing acts or fetches."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safety import HOSTILE, Reading
from stretto.views.markdown import MOST, as_html, rendered


def test_headings_code_tables_and_links_are_rendered() -> None:
    page = Reading(rendered("# A\n\n```python\n1 < 2\n```\n\n| a |\n|---|\n| b |\n\n[c](https://example.com/?a=1&b=2)"))
    assert {"h1", "pre", "code", "table", "td", "a"} <= {name for name, _ in page.elements}
    assert "1 < 2" in page.text
    (link,) = [element for name, element in page.elements if name == "a"]
    leads = {"href": "https://example.com/?a=1&b=2", "target": "_blank", "rel": "noopener noreferrer"}
    assert link == leads


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_a_model_wrote_acts_when_it_is_rendered(text: str) -> None:
    assert Reading(rendered(text)).wrong == []
    assert Reading(rendered(f"- > {text}\n\n[a]: {text}\n\n[a] <{text}>")).wrong == []


@given(
    st.lists(st.sampled_from([*HOSTILE, "\n", "](", "<", "`", "[a]: ", "javascript:", "data:", "\t", "|", "&#x3c;"]))
)
def test_no_mixture_of_it_does_either(pieces: list[str]) -> None:
    assert Reading(rendered("".join(pieces))).wrong == []


def test_no_image_is_fetched() -> None:
    page = Reading(rendered("![secret](https://evil.example/?q=1) ![a][b]\n\n[b]: https://evil.example/b.png"))
    assert "img" not in {name for name, _ in page.elements}


def test_a_very_long_answer_is_shown_to_a_point_and_says_so() -> None:
    page = Reading(as_html("word " * 100_000))
    assert f"{500_000 - MOST:,} more characters" in page.text
