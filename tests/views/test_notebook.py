"""A run that is drawn while it is under way, in virtual time; and the notebook of the examples as it is kept."""

import ast
import asyncio
import itertools
import json
import re
from typing import Any

import pytest

import stretto
from places import ROOT
from safety import Reading
from stretto import Run
from stretto.errors import AuthError, ConfigError
from stretto.notebook import Draw, show, watched
from virtual import clock, virtually

EXAMPLES = ROOT / "examples"
NOTEBOOK: dict[str, Any] = json.loads((EXAMPLES / "cookbook.ipynb").read_text(encoding="utf-8"))
MARK = '<div class="a">'


class Screen:
    """Keeps what is drawn, and when."""

    def __init__(self) -> None:
        self.pages: list[str] = []
        self.lines: list[str] = []
        self.times: list[float] = []

    def draw(self, html: str, line: str) -> None:
        self.pages.append(html)
        self.lines.append(line)
        self.times.append(clock())


def flow(simulator: stretto.Simulator | None = None) -> stretto.Workflow:
    sim = simulator or stretto.Simulator(seed=1)
    return stretto.Workflow("sim:default", {"a": "sim:default"}, "sim:default", providers={"sim": sim})


def test_a_run_is_drawn_twice_a_second_and_at_its_end() -> None:
    screen = Screen()
    run = virtually(watched(flow().stream("Compare in 3 subtasks"), screen.draw))
    assert isinstance(run, Run)
    assert run.status == "finished"
    assert len(screen.times) > 8
    gaps = [late - early for early, late in zip(screen.times[1:-2], screen.times[2:-1], strict=True)]
    assert all(gap == pytest.approx(0.5, abs=0.2) for gap in gaps)
    assert screen.lines[0].startswith("running")
    assert screen.lines[-1].startswith("finished")
    assert not [page for page in screen.pages if Reading(page).wrong]


def test_the_answer_is_drawn_as_it_grows() -> None:
    screen = Screen()
    run = virtually(watched(flow().stream("Compare in 3 subtasks"), screen.draw))
    assert run.answer
    answers = [Reading(f"{MARK}{page.partition(MARK)[2]}") for page in screen.pages[:-1] if MARK in page]
    written = ["".join(re.findall(r"\w+", answer.text)) for answer in answers]
    assert len(written[0]) < len(written[-1])
    assert all(whole.startswith(part) for part, whole in itertools.pairwise(written))
    assert "".join(re.findall(r"\w+", run.answer)).startswith(written[-1])


def test_without_a_rhythm_a_run_is_drawn_once() -> None:
    screen = Screen()
    virtually(watched(flow().stream("Compare in 3 subtasks"), screen.draw, every=None))
    assert [line.split()[0] for line in screen.lines] == ["finished"]


def test_a_run_that_fails_is_drawn_to_its_end_and_its_error_is_raised_itself() -> None:
    screen = Screen()
    broken = stretto.Simulator(faults=(stretto.Fault("401"),))
    with pytest.raises(AuthError) as caught:
        virtually(watched(flow(broken).stream("Compare"), screen.draw))
    assert screen.lines[-1].startswith("failed")
    assert not isinstance(caught.value, ExceptionGroup)


def test_a_cell_that_is_interrupted_shows_an_interrupted_run() -> None:
    screen = Screen()

    async def main() -> None:
        async with asyncio.timeout(2):
            await watched(flow().stream("Compare"), screen.draw)

    with pytest.raises(TimeoutError):
        virtually(main())
    assert screen.lines[-1].startswith("interrupted")


def test_a_picture_that_cannot_be_drawn_stops_the_run() -> None:
    def draw(_html: str, _line: str) -> None:
        raise OSError("the window is gone")

    careless: Draw = draw
    with pytest.raises(OSError, match="the window is gone"):
        virtually(watched(flow().stream("Compare"), careless))


def test_a_run_that_cannot_begin_is_not_drawn() -> None:
    screen = Screen()
    keyless = stretto.Workflow(
        "mine:m",
        {"a": "mine:m"},
        providers={"mine": stretto.Provider("https://example.invalid/v1", key_env="NO_SUCH_KEY_HERE")},
    )
    with pytest.raises(stretto.StrettoError, match="NO_SUCH_KEY_HERE"):
        virtually(watched(keyless.stream("Compare"), screen.draw))
    assert screen.lines == []


def test_outside_of_a_notebook_showing_says_what_to_do_and_asks_nothing() -> None:
    with pytest.raises(ConfigError, match=r"workflow\.run\(task\)"):
        virtually(show(flow().stream("Compare")))


def cells() -> list[tuple[dict[str, Any], str]]:
    return [(cell, "".join(cell["source"])) for cell in NOTEBOOK["cells"] if cell["cell_type"] == "code"]


def test_the_notebook_is_kept_without_outputs_and_without_anybodys_machine() -> None:
    assert not [source for cell, source in cells() if cell["outputs"] or cell["execution_count"]]
    assert not [cell for cell in NOTEBOOK["cells"] if cell["metadata"]]
    assert set(NOTEBOOK["metadata"]) == {"kernelspec", "language_info"}
    assert NOTEBOOK["metadata"]["language_info"] == {"name": "python"}


def constants(source: str) -> dict[str, str]:
    """The texts that stand under a name in capitals."""
    found = [node for node in ast.parse(source).body if isinstance(node, ast.Assign)]
    return {
        node.targets[0].id: node.value.value
        for node in found
        if isinstance(node.targets[0], ast.Name)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    }


def test_the_notebook_asks_what_the_example_asks() -> None:
    told = constants(next(source for cell, source in cells() if cell["id"] == "prompts"))
    script = (EXAMPLES / "cookbook.py").read_text(encoding="utf-8")
    theirs = {name: text for name, text in constants(script).items() if name.isupper()}
    assert set(theirs) == {"ORCHESTRATOR", "WORKER", "SYNTHESIZER"}
    assert {name: told[name] for name in theirs} == theirs
    assert told["TASK"] in script
    models = set(re.findall(r'"(together:[^"]+)"', script))
    assert len(models) == 2
    assert any(models == set(re.findall(r'"(together:[^"]+)"', source)) for _, source in cells())
