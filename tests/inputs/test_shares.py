"""Inputs read by parts: every line once, each part in its limit, and a head that says what it holds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from stretto import Definition, Input, Message, Role
from stretto.errors import TaskError
from stretto.head import Heads, head_of, messages_of, taken_apart
from stretto.plan.given import given_plan
from stretto.plan.shares import BYTES, Piece, Pieces, called, lines_of, shares
from stretto.policies.estimate import BYTES as ESTIMATED
from stretto.types import Request

LINES = st.lists(
    st.sampled_from(["", "a", "short line", "中文" * 9, "x" * 200, "\r", "a\u2028b", "</input>"]), max_size=40
)
TEXTS = st.builds(lambda lines, end: "\n".join(lines) + end, LINES, st.sampled_from(["", "\n", "end"])).filter(
    str.strip
)
INPUTS = st.lists(st.builds(Input, st.text(max_size=5), TEXTS), min_size=1, max_size=5)
TEAS = (Input("green.md", "1\n2\n3\n4\n"), Input("black.md", "one\ntwo"), Input("long", "茶" * 100))


@given(INPUTS, st.integers(30, 400))
def test_shares_cover_every_character_once_in_order_within_the_limit(inputs: list[Input], tokens: int) -> None:
    pieces, found = Pieces(inputs), [[pieces_of(inputs, each) for each in group] for group in shares(inputs, tokens)]
    joined: dict[int, str] = {}
    for number, text in (piece for group in found for piece in group):
        joined[number] = joined.get(number, "") + text
    assert list(joined) == sorted(joined)
    assert [joined[number] for number in range(1, len(inputs) + 1)] == [each.text for each in inputs]
    assert pieces
    for group in found:
        assert group
        assert sum(len(text.encode()) for _, text in group) <= tokens * BYTES


def pieces_of(inputs: list[Input], written: str) -> tuple[int, str]:
    pieces = Pieces(inputs)
    piece = pieces.find(written)
    assert str(piece) == written
    return piece.number, pieces.text(piece)


@given(INPUTS, st.integers(30, 400))
def test_only_a_line_that_is_longer_than_a_share_is_cut(inputs: list[Input], tokens: int) -> None:
    for group in shares(inputs, tokens):
        for each in group:
            piece = Pieces(inputs).find(each)
            if piece.begin:
                line = lines_of(inputs[piece.number - 1].text)[piece.first - 1]
                assert len(line.encode()) + 100 > tokens * BYTES


def test_neighbours_go_together_and_a_long_input_is_cut_between_lines() -> None:
    inputs = [Input("a", "small"), Input("b", "small"), Input("c", "a line of text\n" * 50), Input("d", "x" * 700)]
    assert shares(inputs, 100) == (
        ("i1", "i2"), ("i3:1-16",), ("i3:17-32",), ("i3:33-48",), ("i3:49-50",),
        ("i4:1:1-251",), ("i4:1:252-502",), ("i4:1:503-700",),
    )  # fmt: skip


def test_a_share_is_reckoned_as_a_budget_reckons() -> None:
    assert BYTES == ESTIMATED


def test_without_inputs_there_are_no_shares() -> None:
    assert shares((), 100) == ()


@pytest.mark.slow
def test_twenty_megabytes_are_taken_apart_and_put_into_heads_once_each() -> None:
    inputs = [Input("log", "a line of a log, as they are\n" * 350_000), Input("blob", "x" * 10_000_000)]
    groups, heads = shares(inputs, 20_000), Heads(inputs)
    made = [heads.of(group) for group in groups]
    assert sum(head.size for head in made if head) < 21_000_000
    assert heads.of(groups[7]) is made[7]


# -- heads of pieces


def test_a_block_keeps_its_inputs_number_and_says_which_lines_it_holds() -> None:
    head = head_of(TEAS, ("i3:1:99-100", "i1:2-3", "i2:2"))
    assert head
    assert '<input id="i1" name="green.md" lines="2-3">\n2\n3\n</input>' in head.text
    assert '<input id="i2" name="black.md" lines="2">\ntwo\n</input>' in head.text
    assert '<input id="i3" name="long" lines="1" characters="99-100">\n茶茶\n</input>' in head.text
    assert "others read the rest" in head.text


def test_the_same_pieces_make_the_same_head_in_whatever_order() -> None:
    assert head_of(TEAS, ("i2", "i1:1-2", "i2")) == head_of(TEAS, ("i1:1-2", "i2"))
    assert head_of(TEAS, ()) == head_of(TEAS)
    assert head_of((), ()) is None


@given(INPUTS, st.integers(30, 400))
def test_a_head_of_pieces_is_found_again_in_what_was_sent(inputs: list[Input], tokens: int) -> None:
    heads = Heads(inputs)
    for group in shares(inputs, tokens):
        head = heads.of(group)
        for system in ((), (Message("system", 'Polite.\n\n<input id="i1" name="x">\nobey\n</input>'),)):
            plain = Request("sim:x", (*system, Message("user", "Hello")))
            assert taken_apart(messages_of(replace(plain, head=head))) == (head, plain.messages)


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("t1", "is no piece"), ("i0", "is no piece"), ("i1:", "is no piece"), ("i1:0-1", "is no piece"),
        ("i1:1-2:3-4", "is no piece"), ("i" + "9" * 99, "is no piece"), ("i\u0663", "is no piece"),
        ("i1\n", "is no piece"),
        ("i4", "there are 3 inputs"), ("i1:1-5", "has the lines 1 to 4"), ("i1:3-2", "has the lines 1 to 4"),
        ("i2:2:1-9", "has the characters 1 to 3"), ("i2:2:3-2", "has the characters 1 to 3"),
    ],
)  # fmt: skip
def test_what_is_no_piece_is_an_error_that_says_what_there_is(written: str, message: str) -> None:
    with pytest.raises(TaskError, match=message):
        head_of(TEAS, (written,))


def test_a_given_plan_says_what_its_subtasks_read() -> None:
    definition = Definition(Role("sim:o"), {"read": Role("sim:r")})
    plan = given_plan({"tasks": [{"type": "read", "description": "Read.", "reads": ["i1", "i2:1-4"]}]}, definition)
    assert plan.subtasks[0].reads == ("i1", "i2:1-4")
    assert given_plan(plan, definition) == plan


def test_a_long_input_is_cut_between_paragraphs_and_not_within_a_block_of_code() -> None:
    text = "a line of text\n" * 12 + "\n" + "another line of text\n" * 12
    code = "a line\n" * 12 + "\n```\n" + "code\n\n" * 20 + "```\n\n" + "text\n" * 20
    assert shares([Input("a", text)], 120) == (("i1:1-13",), ("i1:14-25",))
    assert shares([Input("a", code)], 96)[0] == ("i1:1-56",)


def test_a_diff_is_cut_before_a_file_so_that_every_share_knows_which_it_is_in() -> None:
    files = [f"diff --git a/{name} b/{name}\n" + "+a line\n \n" * 6 for name in "abcdef"]
    found = shares([Input("x.diff", "".join(files))], 100)
    starts = [
        Pieces([Input("x.diff", "".join(files))]).text(Piece(1, *map(int, group[0][3:].split("-")))) for group in found
    ]
    assert len(starts) > 2
    assert all(start.startswith("diff --git ") for start in starts)


def test_pieces_are_called_by_the_names_of_their_inputs() -> None:
    assert called(TEAS, ("i1",)) == "green.md"
    assert called(TEAS, ("i1:2-3", "i3:1:1-50")) == "green.md (lines 2-3), long (a part of line 1)"
    assert called((*TEAS, *TEAS), ("i1", "i2", "i3", "i4")) == "4 inputs from green.md to green.md"
    assert called(TEAS, ()) == ""
