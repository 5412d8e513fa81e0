"""The plan reader: every subtask at the moment it closes, whatever surrounds it and however the text is cut."""

import itertools
import json
import re
import sys
from collections import Counter
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from stretto.plan.item import Broken, Draft
from stretto.plan.reader import PlanReader

GOOD = '{"type": "g", "description": "good"}'
DIRTY = r"""Sure, here's the "plan {as JSON: ```json
{"analysis": "Say \"tasks\": [ \\ and \"}\" \u00e9\ud83d\ude00", "tasks"  : [
  {"id": "a", "type": "plan", "description": "Braces } ] { [ and \"quotes\"}, \"x\": {\"\\", "needs": []},
  {"type": "code/solve", "description": "\ud83d\ude00 \\\"x\\\" \ud800", "needs": ["a"],},
  {"type": "test", "description": "A 5" disk", "x": {"type": "n", "y": [{"id": 1}, "{"]}},
  {"type": "test", "description": "open, {
   "type" : "test", "description": "say "hi", then go" }, "stray", 7,
  {"type": "test"}, // a comment
  {"type": "test", "description": "two
lines	and don\'t", "needs": "a"}
]}
``` and that's "all" {"tasks": [{"type": "no", "description": "no"}]}"""

Item = Draft | Broken


def read(*pieces: str) -> tuple[list[Item], list[Item], PlanReader]:
    reader = PlanReader()
    told = [item for piece in pieces for item in reader.feed(piece)]
    return told, reader.end(), reader


def plan(*elements: str) -> str:
    return '{"analysis": "why", "tasks": [' + ", ".join(elements) + "]}"


def drafts(text: str) -> list[Draft]:
    return [item for item in read(text)[0] if isinstance(item, Draft)]


def only(element: str) -> Item:
    """What becomes of an element between good ones, which must not suffer."""
    told, left, reader = read(plan(GOOD, element, GOOD, GOOD))
    assert [*told[:1], *told[2:]] == [Draft("g", "good")] * 3
    assert (left, reader.state) == ([], "closed")
    return told[1]


def cut(text: str, places: list[int]) -> list[str]:
    edges = [0, *sorted(place % (len(text) + 1) for place in places), len(text)]
    return [text[a:b] for a, b in itertools.pairwise(edges)]


# Clean plans.


def test_a_subtask_is_handed_over_by_the_very_character_that_closes_it() -> None:
    reader, text, told = PlanReader(), plan(GOOD, GOOD, '{"type": "a", "description": "ends in {", "x": {}}'), []
    for place, character in enumerate(text):
        told += [place for _ in reader.feed(character)]
    ends = [text.index(GOOD) + len(GOOD) - 1, text.rindex(GOOD) + len(GOOD) - 1, len(text) - 3]
    assert told == ends


def test_state_follows_the_list() -> None:
    reader = PlanReader()
    states = []
    for piece in ('{"analysis": "x", "tas', 'ks": [', GOOD, "]", "}"):
        reader.feed(piece)
        states.append(reader.state)
    assert states == ["absent", "open", "open", "closed", "closed"]


def test_an_empty_list_is_closed_and_holds_nothing() -> None:
    told, left, reader = read('{"analysis": "easy", "tasks": []}')
    assert (told, left, reader.state, reader.analysis) == ([], [], "closed", "easy")


@pytest.mark.parametrize("reply", ['{"tasks": null}', '{"tasks": "x"}', '{"tasks": {"a": []}}', "[1, 2]", "", "No."])
def test_without_a_list_the_state_is_absent(reply: str) -> None:
    told, left, reader = read(reply)
    assert (told, left, reader.state) == ([], [], "absent")


@pytest.mark.parametrize(
    ("fields", "draft"),
    [
        ({"id": None, "needs": None}, Draft("a", "b")),
        ({"id": "x", "needs": ["t1", "t2"]}, Draft("a", "b", "x", ("t1", "t2"))),
        ({"id": 7, "needs": [1, "t2", None]}, Draft("a", "b", "7", ("1", "t2"))),
        ({"id": 0, "needs": 0}, Draft("a", "b", "0", ("0",))),
        ({"id": "", "needs": "t1"}, Draft("a", "b", None, ("t1",))),
        ({"priority": {"type": "n", "description": [{"type": "m"}]}}, Draft("a", "b")),
    ],
)
def test_ids_and_needs_are_read_liberally(fields: dict[str, Any], draft: Draft) -> None:
    assert only(json.dumps({"type": "a", "description": "b", **fields})) == draft
    assert only(json.dumps({**fields, "type": "a", "description": "b"}, indent=2)) == draft


@pytest.mark.parametrize(
    ("element", "said"),
    [
        ('{"description": "b"}', "`type`"),
        ('{"type": "a", "description": null}', "`description` is missing"),
        ('{"type": 3, "description": "b"}', "`type`"),
        ('{"type": "a", "description": " "}', "`description`"),
        ('{"type": "string", "description": "the objective"}', "form of a plan"),
        ('{"type": "a", "description": b}', "`description`"),
        ("[1, [2]]", "not an object"),
        ('"do{it}"', "not an object"),
        ("17", "not an object"),
        ("...", "not an object"),
    ],
)
def test_what_is_no_subtask_is_told_with_its_place_and_why(element: str, said: str) -> None:
    item = only(element)
    assert isinstance(item, Broken)
    assert (item.place, item.excerpt) == (2, element)
    assert said in item.why


def test_an_excerpt_is_short_and_can_be_stored() -> None:
    item = only(json.dumps({"type": "a", "x": "y" * 500}).replace("yyy", "y\ud800y"))
    assert isinstance(item, Broken)
    assert len(item.excerpt.encode()) <= 600
    assert len(item.excerpt) == 200


def test_an_object_left_open_is_told_at_the_end() -> None:
    told, left, reader = read(plan(GOOD)[:-2] + ', {"type": "a", "descr')
    assert told == [Draft("g", "good")]
    assert left == [Broken(2, '{"type": "a", "descr', "the reply ended inside it")]
    assert reader.state == "open"


# The analysis, and what surrounds the list.


@pytest.mark.parametrize(
    ("reply", "analysis"),
    [
        ('{"analysis": "a \\"b\\" \\u00e9", "tasks": [', 'a "b" é'),
        ('{"tasks": [' + GOOD + '], "analysis": "late"}', "late"),
        ('Form: {"analysis": "...", "tasks": [...]}. {"analysis": "real", "tasks": [' + GOOD + "]}", "real"),
        (
            '{"analysis": "two\nlines, a "quote", a \\d and \\ud800", "tasks": []}',
            'two\nlines, a "quote", a \\d and \ufffd',
        ),
        ('{"analysis": 5, "tasks": []}', ""),
        ('{"analysis": "cut', ""),
    ],
)
def test_the_analysis_is_read_wherever_it_stands(reply: str, analysis: str) -> None:
    assert read(reply)[2].analysis == analysis
    assert read(*reply)[2].analysis == analysis


@pytest.mark.parametrize(
    "prose",
    [
        "It's a \"plan {with ' odd [quotes:\n```json\n",
        'I shall write {"analysis": ..., "tasks": [...]} as asked.\n',
        'The form: {"tasks": [{"type": "...", "description": "..."}, ...]}\n',
        'The form: {"tasks": [{...}, {}]} or {"tasks": []} or {"tasks": ["one"]} or "tasks": null\n',
        '{"analysis": "They say {\\"tasks\\": [{\\"type\\": \\"x\\", \\"description\\": \\"y\\"}]}"}\n',
    ],
)
def test_prose_before_the_plan_does_not_fool_the_reader(prose: str) -> None:
    for pieces in ([prose + plan(GOOD, GOOD)], list(prose + plan(GOOD, GOOD))):
        told, left, reader = read(*pieces)
        assert told == [Draft("g", "good")] * 2
        assert (left, reader.state, reader.analysis) == ([], "closed", "why")


OLD, NEW = '{"type": "g", "description": "old"}', '{"type": "g", "description": "new"}'


@pytest.mark.parametrize(
    "reply",
    [
        f"Here is a first draft:\n```json\n{plan(OLD)}\n```\nThis lacks detail. Final plan:\n```json\n{plan(NEW)}\n```",
        f"**Initial plan:**\n\n{plan(OLD)}\n\n**Revised plan:**\n\n{plan(NEW)}",
        f"## Draft\n[{OLD}]\n## Final\n[{NEW}]",
        f"Erster Entwurf: {plan(OLD)} Besser: {plan(NEW)}",
        f'{{"draft": {plan(OLD)}, "critique": "Too short.", "final": {plan(NEW)}}}',
        f'{{"draft_tasks": [{OLD}], "tasks": [{NEW}]}}',
    ],
)
def test_of_a_draft_and_a_plan_the_plan_counts(reply: str) -> None:
    for pieces in ([reply], list(reply)):
        told, left, reader = read(*pieces)
        assert ([*told, *left], reader.state) == ([Draft("g", "new")], "closed")


def test_a_draft_that_nothing_follows_is_the_plan_and_a_task_about_a_draft_is_no_draft() -> None:
    told, left, reader = read(f"A first draft:\n{plan(OLD)}\nShall I go on?")
    assert (told, left, reader.state) == ([], [Draft("g", "old")], "closed")
    told, left, _ = read('{"analysis": "First draft a mail, then mend the draft.", "tasks": [' + OLD + "]}")
    assert (told, left) == ([Draft("g", "old")], [])


def test_a_further_plan_is_noticed() -> None:
    for behind, noticed in ((f"Wait, better: {plan(NEW)}", True), ('```, as `"tasks": [` wants it.', False)):
        told, left, reader = read(plan(OLD) + behind)
        assert ([*told, *left], reader.goes_past) == ([Draft("g", "old")], noticed)


def test_lists_after_the_plan_are_ignored() -> None:
    told, left, reader = read(plan(GOOD) + '``` "done" {' + plan(GOOD, "1") + '"tasks": [')
    assert (told, left, reader.state) == ([Draft("g", "good")], [], "closed")


@pytest.mark.parametrize("behind", [GOOD, "\n" + GOOD, ' "analysis": ' + GOOD, "```, and {that} is that."])
def test_braces_behind_the_plan_are_ignored(behind: str) -> None:
    told, left, reader = read(*(plan(GOOD) + behind))
    assert (told, left, reader.state) == ([Draft("g", "good")], [], "closed")


def test_a_list_of_one_broken_object_counts() -> None:
    told, left, _ = read('{"tasks": [1, {"type": "a"}]}' + plan(GOOD))
    assert [type(item) for item in [*told, *left]] == [Broken, Broken]


def test_places_are_counted_in_the_list_that_counts() -> None:
    told, _, _ = read('{"tasks": [..., ...]}' + plan(GOOD, "1"))
    assert [item.place for item in told if isinstance(item, Broken)] == [2]


def test_indentation_may_be_deep() -> None:
    text = plan(GOOD, '{"type": "a", "description": "b', GOOD).replace('{"type"', "{\n" + " " * 30 + '"type"')
    text = text.replace('"tasks": ', '"tasks"' + " " * 30 + ":" + "\n" * 30)
    assert [draft.description for draft in drafts(text)] == ["good", "b", "good"]
    assert read(*text)[0] == read(text)[0]


def test_a_list_of_strings_is_told_at_the_end() -> None:
    told, left, reader = read('{"tasks": ["one", "two"]}')
    assert (told, reader.state) == ([], "closed")
    assert [item.place for item in left if isinstance(item, Broken)] == [1, 2]


# One broken object costs nothing but itself.


@pytest.mark.parametrize(
    ("element", "description"),
    [
        ('{"type": "a", "description": "5" disk"}', '5" disk'),
        ('{"type": "a", "description": "a "quoted" word"}', 'a "quoted" word'),
        ('{"type": "a", "description": "say "hi", then "go""}', 'say "hi", then "go"'),
        ('{"type": "a", "description": "say "hi", "ho" and "go\\"", "needs": []}', 'say "hi", "ho" and "go"'),
        ('{"type": "a", "description": "Note "this": now"}', 'Note "this": now'),
        ('{"x": {"type": "n", "description": "m"}, "y": NaN, "type": "a", "description": "b"}', "b"),
        ('{"type": "a", "description": "b"', "b"),
        ('{"type": "a", "description": "b', "b"),
        ('{"type": "a, "description": "b"}', "b"),
        ('{"type": "a" "description": "b"}', "b"),
        ('{"type": "a", "description": "b",}', "b"),
        ('{"type": "a", "description": "b", "needs": ["x", "y",],}', "b"),
        ('{"type": "a", "description": "b", "needs": ["x"}', "b"),
        ('{"type": "a", "description": "b", "needs": "x"]}', "b"),
        ('{"type": "a", "description": "b", "x": NaN}', "b"),
        ('{"type": "a", // the kind\n"description": "b", // the rest\n}', "b"),
        ('{{"type": "a", "description": "b"}}', "b"),
        ('{"type": "a", "description": "it\\\'s \\d+ \\$x\\$"}', "it's \\d+ \\$x\\$"),
        ('{"type": "a", "description": "one\n\ttwo\x00"}', "one\n\ttwo\x00"),
        ('{"type": "a", "description": "\\ud800 \\ud83d\\ude00 \\udc00"}', "\ufffd 😀 \ufffd"),
        ('{"type": "a", "description": "\ud800"}', "\ufffd"),
    ],
)
def test_a_damaged_subtask_is_mended(element: str, description: str) -> None:
    item = only(element)
    assert isinstance(item, Draft)
    assert (item.type, item.description) == ("a", description)
    if element.endswith("}"):
        assert PlanReader().feed(plan(GOOD, element)[:-2])[1:] == [item], "its own brace closes it"


@pytest.mark.parametrize(
    "element",
    [
        '{"type": "a", "description": b"}',
        '{type": "a", "description": "b"}',
        '{"type": a", "description": "b"}',
        '{"type: "a", "description": "b"}',
    ],
)
def test_what_cannot_be_mended_harms_no_other(element: str) -> None:
    assert isinstance(only(element), Broken)


@pytest.mark.parametrize("between", [" ", ",,", "\n", " // then, by and by\n", "}, ", "]}, "])
def test_what_separates_subtasks_hardly_matters(between: str) -> None:
    for pieces in ([plan(GOOD + between + GOOD)], list(plan(GOOD + between + GOOD))):
        told, left, reader = read(*pieces)
        assert [item for item in told if isinstance(item, Draft)] == [Draft("g", "good")] * 2
        assert (left, reader.state) == ([], "closed")


def test_a_missing_brace_before_the_bracket_does_not_keep_the_list_open() -> None:
    told, left, reader = read('{"tasks": [' + GOOD + ", " + GOOD[:-1] + "]}\n``` Good luck, all.")
    assert (told, left, reader.state) == ([Draft("g", "good")] * 2, [], "closed")


# Properties.


@given(st.lists(st.integers(0, 10_000), max_size=12))
@example(list(range(len(DIRTY))))
def test_every_split_gives_the_same_items(places: list[int]) -> None:
    whole, split = read(DIRTY), read(*cut(DIRTY, places))
    assert split[:2] == whole[:2]
    assert (split[2].state, split[2].analysis) == (whole[2].state, whole[2].analysis)


@pytest.mark.slow
def test_every_single_split_point_gives_the_same_items() -> None:
    whole = read(DIRTY)[:2]
    assert Counter(type(item) for item in whole[0]) == {Draft: 6, Broken: 3}
    for place in range(len(DIRTY)):
        assert read(DIRTY[:place], DIRTY[place:])[:2] == whole


dirt = st.one_of(
    st.text(), st.sampled_from(["{", "}", "[", "]", '"', "\\", ",", ":", "/", '"tasks":[', '{"type":"a"', " " * 50])
)
fields = st.text(min_size=1).filter(lambda text: re.search(r"[^\s.…]", text) is not None)


@given(st.lists(dirt, max_size=40), st.booleans(), st.lists(st.integers(0, 10_000), max_size=5))
def test_no_text_makes_it_raise_and_no_cut_changes_what_it_says(
    pieces: list[str], inside: bool, places: list[int]
) -> None:
    text = ('{"tasks": [' if inside else "") + "".join(pieces)
    told, left, reader = read(*cut(text, places))
    whole = read(text)
    assert (told, left, reader.state, reader.analysis) == (*whole[:2], whole[2].state, whole[2].analysis)


@given(
    st.lists(st.tuples(fields, fields, st.lists(fields.map("x{}".format)))), st.sampled_from([None, 1]), st.booleans()
)
def test_every_valid_plan_is_read_exactly(
    subtasks: list[tuple[str, str, list[str]]], indent: int | None, raw: bool
) -> None:
    tasks = [{"type": kind, "description": words, "needs": needs} for kind, words, needs in subtasks]
    told, left, reader = read(*json.dumps({"tasks": tasks}, indent=indent, ensure_ascii=not raw))
    assert told == [Draft(kind, words, None, tuple(needs)) for kind, words, needs in subtasks]
    assert (left, reader.state) == ([], "closed")


SUBTASKS = [
    json.dumps({"id": f"t{i}", "type": "code", "description": f'Do {i}: {{x}}, "y"', "needs": ["t1"] * (i > 1)})
    for i in range(1, 8)
]
UNHURT = drafts(plan(*SUBTASKS))


@pytest.mark.slow
@pytest.mark.parametrize("mark", ["", *'"{}[]:,\\/x \n'])
def test_one_wrong_character_in_a_subtask_costs_no_other(mark: str) -> None:
    """Every place of a subtask, with that character deleted, replaced or inserted; its neighbours stay as they are."""
    hurt = SUBTASKS[3]
    for place in range(1, len(hurt)):
        for behind in {place, place + 1}:
            text = plan(*SUBTASKS[:3], hurt[:place] + mark + hurt[behind:], *SUBTASKS[4:])
            kept = [draft for draft in drafts(text) if draft in UNHURT and draft != UNHURT[3]]
            assert kept == UNHURT[:3] + UNHURT[4:], text


@given(
    st.integers(0, 6),
    st.lists(st.tuples(st.integers(0, 200), st.integers(0, 3), st.text('"{}[]:,\\ x', max_size=3)), max_size=4),
)
def test_what_was_closed_before_the_damage_is_never_lost(hurt: int, wounds: list[tuple[int, int, str]]) -> None:
    text, start = plan(*SUBTASKS), plan(*SUBTASKS).index(SUBTASKS[hurt])
    for place, length, insert in wounds:
        text = text[: start + place] + insert + text[start + place + length :]
    assert drafts(text)[:hurt] == UNHURT[:hurt]


# Effort, in executed lines of Python: the same on every machine.


def lines(pieces: list[str]) -> int:
    count = 0

    def tracer(_frame: Any, event: str, _arg: Any) -> Any:
        nonlocal count
        count += event == "line"
        return tracer

    sys.settrace(tracer)
    try:
        read(*pieces)
    finally:
        sys.settrace(None)
    return count


def test_the_effort_is_linear_in_the_number_of_pieces() -> None:
    one, ten = (lines(list(plan(json.dumps({"type": "a", "description": "w " * n})))) for n in (500, 5_000))
    assert ten < 11 * one


def test_a_run_of_characters_is_one_step() -> None:
    one, ten = (lines([plan(json.dumps({"type": "a", "description": "w " * n}))]) for n in (5_000, 50_000))
    assert ten == one


def test_a_long_description_in_small_pieces_is_no_trouble() -> None:
    """Quadratic work would take minutes here: each piece would copy or scan up to a megabyte."""
    text = plan(json.dumps({"type": "a", "description": "x" * 1_000_000}))
    told, _, reader = read(*(text[place : place + 10] for place in range(0, len(text), 10)))
    assert len(reader._scanner._window) < 2_000
    assert told == [Draft("a", "x" * 1_000_000)]
