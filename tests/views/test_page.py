"""A run as a page in one file: it is whole, nothing in it can act, and it weighs little."""

import base64
import gzip
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from safety import HOSTILE
from stretto import Coverage, Message, Usage
from stretto import events as e
from stretto.fold import fold
from stretto.page.content import content_of
from stretto.page.document import document
from stretto.page.tree import tree_of
from stretto.types import Citation, Reply, Request
from stretto.views.timeline.past import timeline_of
from terminal import Terminal

ENDS = (
    "</script>",
    "<!--<script>",
    "\u2028\u2029",
    "\x1b]8;;https://evil.example\x07x",
    "\ud800",
    "\u202ex",
    "]]>",
    "&lt;",
)


class Parts(HTMLParser):
    """The scripts, styles and policies of a page as a browser would find them."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.scripts: list[tuple[str | None, str]] = []
        self.styles: list[str] = []
        self.policy = ""
        self.fetched: list[str] = []
        self._within = ""
        self._type: str | None = None
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        told = dict(attrs)
        self._within, self._type = tag, told.get("type")
        if told.get("http-equiv") == "Content-Security-Policy":
            self.policy = told["content"] or ""
        self.fetched += [value or "" for name, value in attrs if name in {"src", "href"}]

    def handle_endtag(self, _tag: str) -> None:
        self._within = ""

    def handle_data(self, data: str) -> None:
        if self._within == "script":
            self.scripts.append((self._type, data))
        if self._within == "style":
            self.styles.append(data)


def run(text: str, answer: str = "Tea.") -> str:
    """The page of a run in which every text that somebody else wrote is this one."""
    whose = {"call": "c1", "role": "worker", "subtask": "t1", "fingerprint": "f", "model": text}
    told: list[e.AnyEvent] = [
        e.RunStarted(run="R", at="2026-01-01T00:00:00Z", task=text, workflow={}),
        e.SubtaskPlanned(subtask="t1", type=text, description=text),
        e.CallStarted(at="2026-01-01T00:00:01Z", **whose),  # type: ignore[arg-type]
        e.CallFinished(at="2026-01-01T00:00:02Z", error=text, **whose),  # type: ignore[arg-type]
        e.SubtaskFinished(subtask="t1", outcome="failed", text=text, error=text, remark=text),
        e.RunFinished(
            at="2026-01-01T00:00:03Z",
            answer=answer,
            usage=Usage(),
            coverage=Coverage(degraded=(text,)),
            citations=(Citation(0, 3, "i1", text, (1, 2), text, False), Citation(0, 3, "t1")),
            remarks=(text,),
        ),
    ]
    timeline, now = timeline_of(told)
    said = {"f": (Request("sim:x", (Message("user", text),)), Reply(text, "stop", reasoning=text))}
    return document(content_of(fold(told), timeline, now, said))


def data(page: str) -> dict[str, Any]:
    (island,) = [script for kind, script in Parts(page).scripts if kind == "application/json"]
    told: dict[str, Any] = json.loads(island)
    return told


@pytest.mark.parametrize("text", [*HOSTILE, *ENDS])
def test_a_page_has_two_scripts_whatever_is_told_in_it_and_runs_but_its_own(text: str) -> None:
    page = run(text, text)
    page.encode()
    parts = Parts(page)
    assert [kind for kind, _ in parts.scripts] == ["application/json", "module"]
    assert parts.fetched == ["data:,"]
    (_, island), (_, script) = parts.scripts
    assert not set(island) & set("<>&\u2028\u2029\x1b\u202e")
    digests = [base64.b64encode(hashlib.sha256(each.encode()).digest()).decode() for each in (script, parts.styles[0])]
    assert f"script-src 'sha256-{digests[0]}'; style-src 'sha256-{digests[1]}'" in parts.policy
    assert parts.policy.startswith("default-src 'none'; ")


def test_no_module_reads_html_or_makes_code_of_a_text() -> None:
    _, (_, script) = Parts(run("tea")).scripts
    assert (
        re.findall(r"innerHTML|outerHTML|insertAdjacent|document\.write|\beval\b|new Function|fetch\(|XMLHttp", script)
        == []
    )
    assert re.findall(r"https?://(?!www\.w3\.org/2000/svg)", script) == []


def test_without_its_run_a_page_weighs_less_than_60_kb() -> None:
    assert len(gzip.compress(run("tea").encode())) < 60_000


def test_what_a_page_tells_is_the_rows_and_their_texts_each_once() -> None:
    told = data(run("tea"))
    (row,) = told["rows"]
    assert (row["key"], row["state"], row["error"], told["texts"]) == ("t1", "failed", "tea", ["tea"])
    (call,) = row["calls"]
    assert (call["state"], call["messages"], call["reply"]) == ("failed", [["user", 0]], 0)
    assert call["spans"] == [["asked", 1.0, 2.0, ""]]
    assert [(note["number"], note.get("key")) for note in told["notes"]] == [("1", None), ("2", "t1")]


@pytest.mark.parametrize(
    ("answer", "tree"),
    [
        ("Tea *is* `hot`.", [["p", "Tea ", ["em", "is"], " ", ["code", "hot"], "."]]),
        ("- a\n- b", [["ul", ["li", "a"], ["li", "b"]]]),
        ("3. a", [["ol", {"start": "3"}, ["li", "a"]]]),
        (
            "Tea [1], not [2] or [01] or [x[1]",
            [["p", "Tea ", ["cite", "1"], ", not [2] or ", "[01] or [x", ["cite", "1"]]],
        ),
        ("`[1]`", [["p", ["code", "[1]"]]]),
        ("<b>x</b> &amp;", [["p", "<b>x</b> &"]]),
        ("[x](javascript:y) [z](https://a.b)", [["p", "[x](javascript:y) ", ["a", {"href": "https://a.b"}, "z"]]]),
        ("![x](https://a.b/c.png)", [["p", "!", ["a", {"href": "https://a.b/c.png"}, "x"]]]),
        ("```js\na < b\n```", [["pre", ["code", "a < b\n"]]]),
        ("a  \nb\nc", [["p", "a", ["br"], "b\nc"]]),
        ('{"a": [1]}', [["pre", ["code", '{\n  "a": [\n    1\n  ]\n}']]]),
        ("---", [["hr"]]),
    ],
)
def test_an_answer_is_a_tree_of_elements(answer: str, tree: list[Any]) -> None:
    assert plain(tree_of(answer, {1})) == plain(tree)


def plain(tree: Any) -> Any:
    """The tree with texts that stand side by side as one."""
    if not isinstance(tree, list):
        return tree
    found: list[Any] = []
    for each in map(plain, tree):
        joins = len(found) > 1 and isinstance(each, str) and isinstance(found[-1], str)
        found[-1:] = [found[-1] + each] if joins else [*found[-1:], each]
    return found


def test_a_very_long_answer_is_shown_as_far_as_100_000_characters() -> None:
    assert tree_of("x" * 100_010)[-1] == ["p", "and 10 more characters"]


def test_a_table_keeps_its_sides_and_nothing_else_of_its_style() -> None:
    (table,) = tree_of("| a | b |\n|--:|---|\n| 1 | 2 |")
    assert ["th", {"align": "right"}, "a"] in table[1][1]  # type: ignore[index]


def test_show_writes_a_run_as_a_page_for_its_owner_alone(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path)
    terminal("run", "-q", "-m", "sim:instant", "Compare teas in exactly 3 subtasks")
    shown = terminal("show", "--html", "run.html")
    assert "written to run.html; it holds all prompts and replies" in shown.err
    file = terminal.folder / "run.html"
    assert file.stat().st_mode & 0o777 == 0o600
    told = data(file.read_text(encoding="utf-8"))
    assert [row["key"] for row in told["rows"]] == ["/orchestrator", "t1", "t2", "t3", "/synthesizer"]
    assert all(call["messages"] for row in told["rows"] for call in row["calls"])
    assert told["notes"]
    brief = terminal("show", "--brief", "--html", "-")
    assert not any("messages" in call for row in data(brief.out)["rows"] for call in row["calls"])


def test_a_page_that_cannot_be_written_is_an_error_that_names_it(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path)
    terminal("run", "-q", "-m", "sim:instant", "Say hello in 2 subtasks")
    shown = terminal("show", "--html", "nowhere/run.html")
    assert shown.code == 1
    assert "nowhere/run.html: cannot be written: No such file or directory; name another file with --html" in shown.err
