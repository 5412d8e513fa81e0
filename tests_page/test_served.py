"""The page of a server in a browser: the list of runs, a run while it goes on, and what can be done with it."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from browser import Browser
from safety import HOSTILE
from served_here import Served, serving
from serving import TASK, workflow
from stretto import Function, Workflow
from stretto.ground.text import clean
from stretto.server.endpoint import Guard
from stretto.store.sqlite import Store
from stretto.types import Subtask
from test_in_browser import CONTRAST

NEVER: dict[str, Any] = {"ttft": 0.0, "tokens_per_second": 0.5}
"""A model that is not done before somebody stops it."""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(tmp_path_factory.mktemp("browser")) as one:
        one.size(1300, 1000)
        yield one


def finished(server: Served, task: str = TASK, **more: Any) -> str:
    run = server.start(task, **more)
    server.over(run)
    return run


def only_here(browser: Browser, server: Served) -> bool:
    """Whether nothing was asked of anybody but this server, and nothing was complained of."""
    return browser.wrong == [] and all(url.startswith((server.url, "data:,", "about:")) for url in browser.asked)


def test_runs_are_listed_searched_and_lead_to_their_pages(browser: Browser, tmp_path: Path) -> None:
    with serving(workflow(tmp_path / "runs.db")) as server:
        tea = finished(server, "Name a tea in 2 subtasks")
        finished(server, "Name a coffee in 2 subtasks")
        browser.go(server.url)
        browser.until("document.querySelectorAll('.run').length === 2")
        assert browser.text(".run .task") == "Name a coffee in 2 subtasks"
        assert "2 of 2 subtasks" in browser.text(".run .facts")
        browser.write("input[type=search]", "TEA")
        browser.until("document.querySelectorAll('.run').length === 1")
        browser.js(
            "(() => { const s = document.querySelector('#shown'); s.value = 'failed'; s.dispatchEvent(new Event('change')); })()"
        )
        browser.until("document.querySelector('section [role=status]').textContent === 'No run fits.'")
        browser.js(
            "(() => { const s = document.querySelector('#shown'); s.value = ''; s.dispatchEvent(new Event('change')); })()"
        )
        browser.until("document.querySelectorAll('.run').length === 1")
        browser.click(".run")
        browser.until(f"location.pathname === '/runs/{tea}' && document.querySelectorAll('.row').length === 4")
        assert browser.text(".head h1") == "Name a tea in 2 subtasks"
        assert browser.text(".head .state") == "finished"
        assert browser.text(".answer .text")
        assert only_here(browser, server)


def test_more_runs_than_one_page_has_are_shown_when_they_are_asked_for(browser: Browser, tmp_path: Path) -> None:
    with serving(workflow(tmp_path / "runs.db")) as server:
        for number in range(33):
            finished(server, f"Name tea {number}", direct=True)
        browser.go(server.url)
        browser.until("document.querySelectorAll('.run').length === 30")
        browser.click("button.more")
        browser.until("document.querySelectorAll('.run').length === 33")
        assert browser.js("document.querySelector('button.more').hidden")


def test_a_run_is_drawn_as_it_happens_and_what_a_call_says_can_be_read_meanwhile(
    browser: Browser, tmp_path: Path
) -> None:
    with serving(workflow(tmp_path / "runs.db", **NEVER)) as server:
        run = server.start(TASK)
        browser.go(f"{server.url}runs/{run}")
        browser.until("document.querySelector('.head .state')?.textContent === 'running'")
        browser.until("document.querySelector('.row.running .span.writing') !== null")
        width = "document.querySelector('.row.running .span.writing').offsetWidth"
        before = browser.js(width)
        browser.until(f"{width} !== {before}")
        browser.until("document.querySelector('.row.running .n + .n').textContent.startsWith('~')")
        browser.click(".row.running")
        browser.until("document.querySelector('.inspector pre[aria-label=\"reply so far\"]') !== null")
        browser.until("document.querySelector('.inspector pre[aria-label=\"prompt: user\"]') !== null")
        browser.click(".acts button:not([hidden]):not(.main)")
        browser.until("document.querySelector('.head .state').textContent === 'interrupted'")
        assert browser.text(".acts button:not([hidden])") == "Run again"
        assert only_here(browser, server)
        server.over(run)
        assert Store(tmp_path / "runs.db").run(run).status == "interrupted"


def test_a_run_is_started_stopped_gone_on_with_and_run_again(browser: Browser, tmp_path: Path) -> None:
    flow = workflow(tmp_path / "runs.db", **NEVER)
    quick = workflow(tmp_path / "runs.db")
    with serving(flow, quick) as server:
        browser.go(server.url)
        browser.until("document.querySelectorAll('.start select option').length === 2")
        browser.write(".start textarea", TASK)
        browser.click(".start .main")
        browser.until("location.pathname.startsWith('/runs/') && document.querySelector('.row.running') !== null")
        run = browser.js("location.pathname.split('/')[2]")
        browser.click(".acts button[title^=Stop]")
        browser.until("document.querySelector('.head .state').textContent === 'interrupted'")
        server.over(run)
        browser.click(".acts .main")
        browser.until("document.querySelector('.head .state').textContent === 'running'")
        browser.click(".acts button[title^=Stop]")
        browser.until("document.querySelector('.head .state').textContent === 'interrupted'")
        server.over(run)
        done = finished(server, TASK, workflow="second")
        browser.go(f"{server.url}runs/{done}")
        browser.until("document.querySelector('.acts button[title^=\"A new run\"]')?.hidden === false")
        browser.click(".acts button[title^='A new run']")
        browser.until(
            f"location.pathname !== '/runs/{done}' && document.querySelector('.head .state')?.textContent === 'finished'"
        )
        browser.until("document.querySelectorAll('.row .span.reused').length === 5")
        browser.click(".acts a")
        browser.until("document.querySelectorAll('.beside li').length === 5")
        assert browser.text("main [role=status]") == "5 taken over"
        browser.click(".beside li:nth-of-type(2) button")
        browser.until("document.querySelectorAll('.beside pre').length === 2")
        assert "The same text." in browser.text(".beside")
        assert only_here(browser, server)


def test_who_goes_on_with_a_run_as_soon_as_it_has_stopped_sees_it_go_on(browser: Browser, tmp_path: Path) -> None:
    with serving(workflow(tmp_path / "runs.db", **NEVER)) as server:
        run = server.start(TASK)
        browser.go(f"{server.url}runs/{run}")
        browser.until("document.querySelector('.row.running') !== null")
        browser.js(
            "(() => { const b = document.querySelector('.acts .main');"
            " const seen = new MutationObserver(() => { if (!b.hidden) { seen.disconnect(); b.click(); } });"
            " seen.observe(b, { attributes: true, attributeFilter: ['hidden'] }); })()"
        )
        browser.click(".acts button[title^=Stop]")
        browser.until("document.querySelector('.head').textContent.includes('2 executions')")
        assert browser.text(".head .state") == "running"


def test_what_is_pressed_while_a_run_beside_it_goes_on_is_opened(browser: Browser, tmp_path: Path) -> None:
    with serving(workflow(tmp_path / "runs.db", **NEVER), workflow(tmp_path / "runs.db")) as server:
        done = finished(server, workflow="second")
        browser.go(f"{server.url}runs/{server.start(TASK)}?beside={done}")
        browser.until("document.querySelectorAll('.beside li').length === 5")
        browser.js("document.querySelector('.beside li').drawnBefore = true")
        browser.until("!document.querySelector('.beside li').drawnBefore")
        browser.hold(".beside li:nth-of-type(2) button")
        browser.js("new Promise((over) => setTimeout(over, 1200))")  # it is drawn once a second
        browser.let_go()
        browser.until("document.querySelectorAll('.beside pre').length > 0")


def test_a_plan_waits_is_cut_down_and_is_carried_out(browser: Browser, tmp_path: Path) -> None:
    with serving(workflow(tmp_path / "runs.db")) as server:
        browser.go(server.url)
        browser.until("document.querySelectorAll('.start option').length === 1")
        browser.write(".start textarea", TASK)
        browser.click(".start label:nth-of-type(1)")
        browser.click(".start .main")
        browser.until("document.querySelectorAll('.proposal tbody tr').length === 5")
        run = browser.js("location.pathname.split('/')[2]")
        assert browser.text(".gate h2") == "This plan waits for you"
        browser.click(".proposal tbody tr:nth-of-type(3) input")
        browser.click(".gate .acts button:nth-of-type(2)")
        browser.until("document.querySelectorAll('.proposal tbody tr').length === 4")
        browser.click(".gate .main")
        browser.until("document.querySelector('.head .state').textContent === 'finished'")
        assert browser.js("document.querySelector('.gate').hidden")
        server.over(run)
        assert [each.id for each in Store(tmp_path / "runs.db").run(run).plan.subtasks] == ["t1", "t2"]
        assert only_here(browser, server)


def test_a_plan_is_written_anew_by_hand_and_what_is_none_is_said(browser: Browser, tmp_path: Path) -> None:
    with serving(workflow(tmp_path / "runs.db")) as server:
        run = server.start(TASK, approve=True)
        browser.go(f"{server.url}runs/{run}")
        browser.until("document.querySelectorAll('.proposal tbody tr').length === 5")
        browser.js("document.querySelector('.gate details').open = true")
        browser.write(".edited", "{")
        browser.click(".gate details button")
        browser.until("document.querySelector('.gate .trouble').textContent.startsWith('not JSON')")
        browser.write(".edited", '{"tasks": null}')
        browser.click(".gate details button")
        browser.until("document.querySelector('main > .trouble[role=alert]').textContent !== ''")
        browser.write(".edited", '{"tasks": [{"type": "general", "description": "Only tea"}]}')
        browser.click(".gate details button")
        browser.until("document.querySelectorAll('.proposal tbody tr').length === 3")
        browser.click(".gate .main")
        browser.until("document.querySelector('.head .state').textContent === 'finished'")
        server.over(run)
        assert [each.description for each in Store(tmp_path / "runs.db").run(run).plan.subtasks] == ["Only tea"]


def test_one_subtask_is_stopped_and_one_is_asked_again_with_a_remark(browser: Browser, tmp_path: Path) -> None:
    tasks = [{"type": "general", "description": text} for text in ("Boil it", "Pour it")]
    with serving(workflow(tmp_path / "runs.db", **NEVER)) as server:
        run = server.start(TASK, plan={"tasks": tasks})
        browser.go(f"{server.url}runs/{run}#t2")
        browser.until("document.querySelectorAll('.row.running').length === 2")
        browser.until("document.querySelector('.inspector .again button') !== null")
        browser.write(".inspector .again input", "Shorter, please")
        browser.click(".inspector .again button")
        browser.until(
            "[...document.querySelectorAll('.inspector pre')].some((e) => e.textContent.includes('Shorter, please'))"
        )
        browser.click(".row:nth-of-type(1)")
        browser.until("document.querySelector('.inspector h2').textContent.includes('t1')")
        browser.until("document.querySelector('.inspector .acts > button') !== null")
        browser.click(".inspector .acts > button")
        browser.until("document.querySelector('.row.doubt') !== null")
        assert "cut" in browser.text(".row.doubt")
        browser.until("document.querySelector('.head').textContent.includes('19 of 20')")
        assert browser.text(".head .state") == "running"
        assert browser.text("main > .trouble[role=alert]") == ""
        assert only_here(browser, server)


def test_a_subtask_of_a_run_that_is_over_is_asked_anew_in_another(browser: Browser, tmp_path: Path) -> None:
    with serving(workflow(tmp_path / "runs.db")) as server:
        run = finished(server)
        browser.go(f"{server.url}runs/{run}#t2")
        browser.until("document.querySelector('.inspector .acts > button') !== null")
        browser.click(".inspector .acts > button")
        browser.until(
            f"location.pathname !== '/runs/{run}' && document.querySelector('.head .state')?.textContent === 'finished'"
        )
        again = browser.js("location.pathname.split('/')[2]")
        server.over(again)
        told = Store(tmp_path / "runs.db").run(again)
        assert told.basis.origin == run
        assert {call.subtask for call in told.calls if call.finished and not call.finished.reused} >= {"t2"}
        assert only_here(browser, server)


def test_each_wish_for_a_new_run_is_granted(browser: Browser, tmp_path: Path) -> None:
    with serving(workflow(tmp_path / "runs.db")) as server:
        before = finished(server, "Name a tea", direct=True)
        browser.go(server.url)
        browser.until("document.querySelectorAll('.start option').length === 1")
        browser.write(".start textarea", "Name a tea")
        browser.click(".start label:nth-of-type(2)")
        browser.click(".start label:nth-of-type(3)")
        browser.click(".start .main")
        browser.until("document.querySelector('.head .state')?.textContent === 'finished'")
        run = browser.js("location.pathname.split('/')[2]")
        server.over(run)
        told = Store(tmp_path / "runs.db").run(run)
        assert run != before
        assert told.plan.subtasks == ()
        assert [call.finished.reused for call in told.calls if call.finished] == [False]
        assert told.basis.fresh == ("everything",)


def test_what_cannot_be_done_is_said_in_the_servers_words(browser: Browser, tmp_path: Path) -> None:
    with serving(workflow(tmp_path / "runs.db")) as server:
        finished(server, direct=True)
        browser.go(f"{server.url}runs/01ARZ3NDEKTSV4RRFFQ69G5FAV")
        browser.until("document.querySelector('main > .trouble')?.textContent.includes('there is no run')")
        browser.go(server.url)
        browser.until("document.querySelectorAll('.start option').length === 1")
        browser.js("document.querySelector('.start option').value = 'nobody'")
        browser.write(".start textarea", "Name a tea")
        browser.click(".start .main")
        browser.until("document.querySelector('.start .trouble').textContent.includes('nobody')")


def test_the_key_is_asked_for_once_and_is_gone_with_the_tab(browser: Browser, tmp_path: Path) -> None:
    with serving(workflow(tmp_path / "runs.db"), guard=Guard({"": "secret"})) as server:
        browser.go(server.url)
        browser.until("document.querySelector('dialog[open]') !== null")
        assert browser.js("document.querySelectorAll('dialog').length") == 1
        browser.write("dialog input", "wrong")
        browser.press("Enter", "\r")
        browser.until("document.querySelector('dialog .m')?.textContent === 'That was not it.'")
        browser.write("dialog input", "secret")
        browser.click("dialog .main")
        browser.until("document.querySelector('section [role=status]').textContent === 'No runs yet.'")
        assert browser.js("Object.entries(sessionStorage).filter(([, v]) => v.includes('secret')).length") == 1
        assert browser.js("localStorage.length + document.cookie.length") == 0
        assert all("secret" not in url for url in browser.asked)
        browser.js("sessionStorage.clear()")


def said(subtask: Subtask) -> str:
    return subtask.description


def failed(subtask: Subtask) -> str:
    raise RuntimeError(subtask.description)


@pytest.mark.parametrize("text", [clean(each) for each in HOSTILE])
def test_nothing_that_somebody_wrote_acts_in_it(browser: Browser, tmp_path: Path, text: str) -> None:
    tasks = [
        {"id": "t1", "type": "said", "description": text},
        {"id": "t2", "type": "failed", "description": text, "needs": ["t1"]},
    ]
    flow = Workflow("sim:instant", {"said": Function(said), "failed": Function(failed)}, store=tmp_path / "runs.db")
    with serving(flow) as server:
        run = finished(server, f"Say {text}", plan={"tasks": tasks}, inputs=[{"name": text, "text": text}])
        for path, there in (("", ".run"), (f"runs/{run}#t1", ".row"), (f"runs/{run}?beside={run}", ".beside li")):
            browser.go(server.url + path)
            browser.until(f"document.querySelector({json.dumps(there)}) !== null")
            browser.js("for (const each of document.querySelectorAll('details')) each.open = true")
            if there == ".row":
                browser.until("document.querySelector('.inspector pre') !== null")
            assert browser.js("globalThis.acted ?? ({}).acted ?? null") is None
            assert browser.js("document.querySelectorAll('img, iframe, object, embed, form, base, style').length") == 0
            leads = browser.js("[...document.querySelectorAll('a')].map((e) => e.getAttribute('href') ?? '')")
            assert [
                each for each in leads if each and not each.startswith(("#", "/", "https://", "http://", "mailto:"))
            ] == []
            assert only_here(browser, server)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1300, 390])
def test_the_list_and_two_runs_can_be_read_in_any_light_and_on_a_phone(
    browser: Browser, tmp_path: Path, scheme: str, width: int
) -> None:
    with serving(workflow(tmp_path / "runs.db")) as server:
        run = finished(server)
        browser.size(width, 844, phone=width < 700)
        browser.scheme(scheme)
        for path, there in (("", ".run"), (f"runs/{run}", ".row"), (f"runs/{run}?beside={run}", ".beside li")):
            browser.go(server.url + path)
            browser.until(f"document.querySelector({json.dumps(there)}) !== null")
            assert browser.js("document.documentElement.scrollWidth") == width
            assert browser.js(CONTRAST) == []
        browser.scheme("light")
        browser.size(1300, 1000)


def test_everything_that_can_be_used_has_a_name_and_is_reached_by_the_keyboard(
    browser: Browser, tmp_path: Path
) -> None:
    with serving(workflow(tmp_path / "runs.db")) as server:
        run = finished(server)
        browser.go(server.url)
        browser.until("document.querySelector('.run') !== null")
        browser.tell("Accessibility.enable")
        used = {"button", "link", "listbox", "option", "searchbox", "textbox", "combobox", "checkbox", "region", "list"}
        nodes = browser.tell("Accessibility.getFullAXTree")["nodes"]
        named = [
            (node["role"]["value"], node.get("name", {}).get("value", "")) for node in nodes if not node["ignored"]
        ]
        assert [each for each in named if each[0] in used and not each[1].strip()] == []
        browser.js("document.querySelector('.run').focus()")
        browser.press("Enter", "\r")
        browser.until(f"location.pathname === '/runs/{run}'")
