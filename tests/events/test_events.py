"""Events as lines of JSON."""

import re
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from logs import KINDS, TEXT, an_event
from stretto import Coverage, Usage
from stretto import events as e
from stretto.types import Missing

LONE = st.text(st.characters(categories=["Cs"]), min_size=1)


@given(an_event(TEXT))
def test_every_event_is_the_same_after_a_line_of_json(event: e.AnyEvent) -> None:
    line = e.encode(event)

    assert b"\n" not in line
    assert e.decode(line) == event


@given(an_event(LONE))
def test_lone_surrogates_become_replacement_characters_and_lose_no_event(event: e.AnyEvent) -> None:
    assert e.decode(e.encode(event)).kind == event.kind


def test_a_lone_surrogate_costs_only_itself() -> None:
    event = e.RunFailed(run="R", seq=3, error="no file caf\udce9.txt, said \N{PILE OF POO}", error_type="TaskError")

    assert e.decode(e.encode(event)) == e.RunFailed(
        run="R", seq=3, error="no file caf\N{REPLACEMENT CHARACTER}.txt, said \N{PILE OF POO}", error_type="TaskError"
    )


def test_every_event_class_of_the_module_is_in_the_union() -> None:
    classes = {value for value in vars(e).values() if isinstance(value, type) and issubclass(value, e.Event)}

    assert classes - {e.Event} == set(KINDS)


def test_kinds_are_the_class_names_in_small_letters_and_each_is_another() -> None:
    assert e.SubtaskPlanned(subtask="t1", type="a", description="").kind == "subtask_planned"
    assert len({kind.__struct_config__.tag for kind in KINDS}) == len(KINDS)


def test_only_pieces_of_the_answer_are_never_stored() -> None:
    assert [kind for kind in KINDS if not kind.stored] == [e.AnswerDelta]


@pytest.mark.parametrize(
    "line",
    [b'{"kind":"coffee_made"}', b"{}", b"", b"null", b'{"kind":"subtask_started"}', b'{"kind":"subtask_started"'],
)
def test_a_line_that_holds_no_known_event_is_an_error(line: bytes) -> None:
    with pytest.raises(msgspec.MsgspecError):
        e.decode(line)


def test_an_event_from_a_later_version_with_one_more_field_can_be_read() -> None:
    assert e.decode(b'{"kind":"subtask_started","subtask":"t1","mood":"good"}') == e.SubtaskStarted(subtask="t1")


def test_money_is_a_decimal_string_or_null() -> None:
    def written(cost: Decimal | None) -> bytes:
        return e.encode(e.RunFinished(answer="", usage=Usage(), coverage=Coverage(), cost=cost))

    assert b'"cost":"0.000100"' in written(Decimal("0.000100"))
    assert b'"cost":null' in written(None)


def test_coverage_survives_the_codec_with_all_it_says() -> None:
    coverage = Coverage({"done": 2, "failed": 1}, (Missing("t2", "a", "failed", "500"),), "bounded", "truncated")
    event = e.RunFinished(answer="x", usage=Usage(1, 2, 3, 4), coverage=coverage)

    assert e.decode(e.encode(event)) == event


def test_the_time_of_an_event_is_utc_with_milliseconds() -> None:
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", e.now())
