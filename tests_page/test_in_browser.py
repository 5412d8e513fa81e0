"""A run's page in a browser: what stands there, what can be done with it, and that nothing in it acts."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from browser import Browser
from safety import HOSTILE
from stretto.page.document import script
from told_runs import asked, began, call, done, finished, many, page, planned, tea


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(tmp_path_factory.mktemp("browser")) as one:
        yield one


EVIL = (
    *HOSTILE,
    "</script><script>globalThis.acted = 1</script>",
    "<!--<script>\u2028globalThis.acted = 1\u2029-->",
    "[x](javascript:globalThis.acted=1) <javascript:globalThis.acted=1> [y](data:text/html,x)",
    "\x1b]8;;https://evil.example\x07click\x1b]8;;\x07",
    "__proto__",
    '{"__proto__": {"acted": 1}, "constructor": "</script>"}',
    "${globalThis.acted = 1} `${globalThis.acted = 1}`",
)
CONTRAST = """
(() => {
  const light = (c) => c.map((v) => v / 255).map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const rgb = (text) => text.match(/[\\d.]+/g).slice(0, 3).map(Number);
  const back = (e) => { for (let at = e; at; at = at.parentElement) {
    const c = getComputedStyle(at).backgroundColor; if (!c.includes(', 0)')) return rgb(c); } return [255, 255, 255]; };
  return [...document.querySelectorAll('h1, h2, p, .m, .type, .n, .tick, .trouble, .mark, .state, a, pre, .chip, .cite')]
    .filter((e) => e.textContent.trim() && e.getClientRects().length)
    .map((e) => { const [a, b] = [light(rgb(getComputedStyle(e).color)), light(back(e))].sort((x, y) => y - x);
      return [(a + 0.05) / (b + 0.05), e.className + ' ' + e.textContent.slice(0, 40)]; })
    .filter(([ratio]) => ratio < 4.5);
})()
"""


def test_a_page_has_every_row_with_the_bars_of_its_calls_and_asks_nobody_for_anything(
    browser: Browser, tmp_path: Path
) -> None:
    browser.size(1300, 1200)
    browser.open(page(tmp_path / "run.html", tea()))
    assert browser.js("[...document.querySelectorAll('.row .id')].map((e) => e.textContent)") == [
        "plan",
        "t1",
        "t2",
        "t3",
        "t4",
        "answer",
    ]
    kinds = "[...document.querySelectorAll('.row')].map((r) => [...r.querySelectorAll('.span')].map((s) => s.classList[1]).join(' '))"
    assert browser.js(kinds) == [
        "asked writing",
        "queued asked held asked writing",
        "queued hedge asked retry asked",
        "reused",
        "queued asked",
        "asked writing",
    ]
    bar = "getComputedStyle(document.querySelectorAll('.row')[1].querySelector('.writing'))"
    lane = "document.querySelectorAll('.row')[1].querySelector('.lane').clientWidth"
    assert browser.js(f"Math.round(100 * parseFloat({bar}.left) / {lane})") == 50
    assert browser.js(f"Math.round(100 * parseFloat({bar}.width) / {lane})") == 10
    assert "failed: HTTP 500" in browser.text(".row.bad")
    assert "t4 (table), failed: HTTP 500" in browser.text(".lacks")
    assert browser.js("document.querySelectorAll('.subtask').length") == 4
    assert browser.wrong == []
    assert browser.asked == [(tmp_path / "run.html").as_uri()]


def test_a_call_shows_what_it_was_asked_and_what_it_answered(browser: Browser, tmp_path: Path) -> None:
    browser.open(page(tmp_path / "run.html", tea(), asked("c2", "Boil <b>water</b>.", "It is hot & bubbling.")))
    browser.click(".row:nth-of-type(2) .writing")
    assert browser.text(".inspector h2").split() == ["✓", "t1", "kitchen"]
    said = browser.js(
        "[...document.querySelectorAll('.call pre')].map((e) => [e.getAttribute('aria-label'), e.textContent])"
    )
    assert said == [
        ["prompt: system", "Rules."],
        ["prompt: user", "Boil <b>water</b>."],
        ["reply", "It is hot & bubbling."],
    ]
    assert "waited 0.50 s for admission" in browser.text(".inspector")
    assert browser.js("[...document.querySelectorAll('.inspector .link')].map((e) => e.textContent)") == ["t2", "t4"]


def test_what_the_answer_rests_on_leads_to_the_row(browser: Browser, tmp_path: Path) -> None:
    browser.open(page(tmp_path / "run.html", tea()))
    assert browser.js("document.querySelector('.answer strong').textContent") == "hot"
    assert browser.js("[...document.querySelectorAll('.text .cite')].map((e) => e.textContent)") == ["[1]", "[2]"]
    browser.click(".text a.cite")
    assert browser.js("location.hash") == "#t1"
    assert browser.text(".inspector h2").split() == ["✓", "t1", "kitchen"]
    assert browser.js("document.querySelector('.row[aria-selected=true] .id').textContent") == "t1"
    assert browser.js("document.querySelectorAll('.cite.lit').length") == 1
    assert "notes.md, line 1: “Water boils”" in browser.text(".notes")


def test_a_place_in_the_page_can_be_sent(browser: Browser, tmp_path: Path) -> None:
    browser.open(page(tmp_path / "run.html", tea()), "#t2")
    browser.until("document.querySelector('.inspector h2')?.textContent.includes('t2')")
    browser.open(tmp_path / "run.html", "#%E0%A4%A")  # no such text
    assert browser.wrong == []


def test_the_keyboard_alone_will_do(browser: Browser, tmp_path: Path) -> None:
    browser.size(1300, 1000)
    browser.open(page(tmp_path / "run.html", tea()))
    browser.js("document.querySelector('.rows').focus()")
    browser.press("ArrowDown")
    browser.press("ArrowDown")
    active = "document.getElementById(document.querySelector('.rows').getAttribute('aria-activedescendant'))"
    assert browser.js(f"{active}.getAttribute('aria-selected')") == "true"
    label = browser.js(f"{active}.getAttribute('aria-label')")
    assert label == "t1, kitchen, done, 4.00 s from 2.00 s, 1 call, boil"
    browser.press("End")
    assert browser.text(".inspector h2").split() == ["✓", "answer"]
    browser.press("Enter", "\r")
    assert browser.js("document.activeElement.id") == "inspector"
    browser.press("Escape")
    assert browser.js("document.activeElement.className") == "rows"
    assert browser.js("document.querySelector('.inspector').classList.contains('empty')") is True


def test_everything_that_can_be_used_has_a_name(browser: Browser, tmp_path: Path) -> None:
    browser.size(1300, 1000)
    browser.open(page(tmp_path / "run.html", tea()), "#t1")
    browser.tell("Accessibility.enable")
    nodes = browser.tell("Accessibility.getFullAXTree")["nodes"]
    used = {
        "button",
        "link",
        "listbox",
        "option",
        "searchbox",
        "complementary",
        "region",
        "heading",
        "DisclosureTriangle",
    }
    named = [(node["role"]["value"], node.get("name", {}).get("value", "")) for node in nodes if not node["ignored"]]
    found = {role for role, _ in named}
    assert {"listbox", "option", "searchbox", "complementary", "heading", "link", "main"} <= found
    assert [each for each in named if each[0] in used and not each[1].strip()] == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1300, 390])
def test_all_of_it_can_be_read_in_any_light_and_on_a_phone(
    browser: Browser, tmp_path: Path, scheme: str, width: int
) -> None:
    browser.size(width, 844, phone=width < 700)
    browser.scheme(scheme)
    browser.open(page(tmp_path / "run.html", tea(), asked("c2", "Boil.", "Hot.")), "#t1")
    assert browser.js("document.documentElement.scrollWidth") == width
    assert browser.js(CONTRAST) == []
    dark = browser.js("getComputedStyle(document.body).backgroundColor.match(/\\d+/)[0] < 128")
    assert dark == (scheme == "dark")
    browser.scheme("light")


def test_of_a_thousand_rows_those_are_there_that_can_be_seen(browser: Browser, tmp_path: Path) -> None:
    browser.size(1300, 1000)
    browser.open(page(tmp_path / "run.html", many(1000)))
    assert 10 < browser.js("document.querySelectorAll('.row').length") < 60
    browser.js("document.querySelector('.rows').focus()")
    browser.press("End")
    assert "t999" in browser.text(".row[aria-selected=true]")
    assert browser.js("document.querySelectorAll('.row').length") < 60
    browser.js("const i = document.querySelector('input'); i.value = 'do 777'; i.dispatchEvent(new Event('input'))")
    assert browser.js("[...document.querySelectorAll('.row .id')].map((e) => e.textContent)") == ["t777"]
    assert "1 row of 1000" in browser.text(".timeline")
    browser.until("document.querySelectorAll('.subtask').length === 1000")  # drawn when there is time
    assert browser.wrong == []


@pytest.mark.parametrize("text", EVIL)
def test_nothing_that_somebody_wrote_acts_in_it(browser: Browser, tmp_path: Path, text: str) -> None:
    told = [
        began(text),
        planned("t1", text, text),
        planned(text[:30].replace("/", ""), text, text, text),
        *call("c1", "worker", "t1", 1, 2, error=text, answered_by=text),
        done("t1", 2, text, outcome="failed", error=text, verdict="fails", remark=text),
        finished(text, 3, remarks=(text,)),
    ]
    browser.open(page(tmp_path / "run.html", told, asked("c1", text, text)), "#t1")
    browser.js("for (const each of document.querySelectorAll('details')) each.open = true")
    assert browser.js("globalThis.acted ?? ({}).acted ?? null") is None
    assert (
        browser.js("document.querySelectorAll('img, iframe, object, embed, form, base, style:not(head *)').length") == 0
    )
    assert browser.js("document.querySelectorAll('script').length") == 2
    addresses = browser.js("[...document.querySelectorAll('a')].map((e) => e.getAttribute('href') ?? '')")
    assert [each for each in addresses if each and not each.startswith(("#", "https://", "http://", "mailto:"))] == []
    assert (
        browser.js(
            "[...document.querySelectorAll('*')].filter((e) => [...e.attributes].some((a) => a.name.startsWith('on'))).length"
        )
        == 0
    )
    assert browser.wrong == []
    assert len(browser.asked) == 1


def test_what_comes_in_pieces_is_drawn_as_it_comes(browser: Browser, tmp_path: Path) -> None:
    """What a server would send while a run goes on: the same modules, another source."""
    browser.size(1300, 1000)
    browser.open(page(tmp_path / "empty.html", [began()]))
    browser.js("document.getElementById('page').id = 'other'")
    browser.js(script() + "\nglobalThis.mount = $main.mount;")
    browser.js("document.body.prepend(Object.assign(document.createElement('div'), {id: 'page'}))")
    browser.js("mount(document.getElementById('page'), (take) => { globalThis.take = take; })")
    row = {"key": "t1", "id": "t1", "state": "running", "about": "boil", "elapsed": 1.0, "since": 0.5, "calls": []}
    facts = {"id": "R", "task": "tea", "status": "running", "simulated": False, "started": "", "now": 2.0}
    facts |= {"alone": 0, "executions": 1, "input": 0, "output": 0, "cost": None}
    browser.js(f"take({json.dumps({**facts, 'rows': [row], 'texts': []})})")
    assert "running" in browser.js("document.querySelector('#page .row').className")
    piece = {"now": 3.0, "status": "finished", "rows": [{**row, "state": "done"}], "answer": [["p", "Tea."]]}
    browser.js(f"take({json.dumps(piece)})")
    assert "done" in browser.js("document.querySelector('#page .row').className")
    assert browser.text("#page .answer .text") == "Tea."
    assert browser.text("#page .head .state") == "finished"
