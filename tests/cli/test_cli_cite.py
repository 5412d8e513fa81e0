"""`--cite`: the answer with what its passages rest on, as a user gets it."""

import re
from pathlib import Path
from random import Random

import msgspec
import pytest

from stores import fill, rows
from stretto import Coverage, Input, Usage
from stretto import events as e
from stretto.types import Basis, Citation
from terminal import Terminal

RUN = "01K9ZQ4TCITED"
ANSWER = "Tea is brewed hot. It was drunk in China first.\n"
CITATIONS = (
    Citation(0, 18, "t0"),
    Citation(19, 47, "i1", "tea.md", (2, 2), "drunk in China", verified=True),
    Citation(19, 47, "i1", "tea.md", None, "drunk on the moon", verified=False),
)


@pytest.fixture
def terminal(tmp_path: Path) -> Terminal:
    """One with a run whose answer has citations."""
    told = rows(RUN, Random(1), calls=1)
    end = e.RunFinished(answer=ANSWER, usage=Usage(), coverage=Coverage({"done": 1}), citations=CITATIONS)
    started = e.RunStarted(task="Tea?", workflow={}, basis=Basis(inputs=(Input("tea.md", "Tea\ndrunk in China\n"),)))
    for place, event in ((0, started), (len(told) - 1, end)):
        run, seq, kind, _, *rest = told[place]
        body = e.encode(msgspec.structs.replace(event, run=run, seq=seq, at=e.now()))
        told[place] = (run, seq, kind, body, *rest)  # type: ignore[assignment]
    fill(tmp_path / "runs.db", [told])
    return Terminal(tmp_path)


def test_show_prints_the_answer_with_footnotes(terminal: Terminal) -> None:
    done = terminal("show", RUN, "--cite")
    assert (done.code, done.err) == (0, "")
    assert done.out == (
        "Tea is brewed hot. [1] It was drunk in China first. [2][3]\n\n---\n\n"
        "- [1] t0: a: some tea\n"
        '- [2] tea.md, line 2: "drunk in China"\n'
        '- [3] tea.md: "drunk on the moon" (not found in the file)\n'
    )


def test_without_cite_the_answer_is_clean(terminal: Terminal) -> None:
    assert terminal("show", RUN).out.endswith(f"## Answer\n\n{ANSWER}\n")


def test_a_run_prints_its_answer_with_footnotes_or_clean(terminal: Terminal) -> None:
    plain, cited = (terminal("run", "-q", "-m", "sim:instant", *flags, "Tea?") for flags in ((), ("--cite",)))
    assert (plain.code, cited.code) == (0, 0)
    assert "[^" not in plain.out + cited.out
    assert "\n---\n\n- [1] t1: general: " in cited.out
    assert re.sub(r" ?\[\d+\]", "", cited.out.partition("\n---\n")[0]).strip() == plain.out.strip()
    assert terminal("run", "-q", "-m", "sim:instant", "--cite", "-o", "answer.md", "Tea?").out == ""
    assert (terminal.folder / "answer.md").read_text() == cited.out


def test_an_answer_that_cites_nothing_is_printed_whole_as_it_is(terminal: Terminal) -> None:
    (terminal.folder / "plain.toml").write_text(
        '[orchestrator]\n[workers.general]\n[synthesizer]\nprompt = "{task} {worker_responses}"\n'
    )
    run = ("run", "-q", "-w", "./plain.toml", "-m", "sim:instant")
    plain, cited = (terminal(*run, *flags, "Tea?") for flags in ((), ("--cite",)))
    assert cited.code == 0
    assert cited.out == plain.out
    assert "no footnotes: the synthesizer's prompt asks for none" in cited.err
    assert plain.err == ""


def test_a_direct_answer_has_no_footnotes_and_says_why(terminal: Terminal) -> None:
    (terminal.folder / "one.toml").write_text("[providers.sim]\nsubtasks = 1\n")
    run = terminal("run", "-q", "-w", "./one.toml", "-m", "sim:instant", "--cite", "Tea?")
    assert (run.code, run.out.strip() != "") == (0, True)
    assert run.err.startswith("stretto: no footnotes: one call answered the task as it is written")
    shown = terminal("show", "--last", "--cite")
    assert (shown.out.strip(), shown.err) == (run.out.strip(), run.err)


@pytest.mark.parametrize("flags", [("--cite", "--json"), ("--json", "--cite")])
def test_footnotes_and_events_exclude_each_other(terminal: Terminal, flags: tuple[str, ...]) -> None:
    done = terminal("run", "-m", "sim:instant", *flags, "Tea?")
    assert done.code == 2
    assert "--cite is for reading" in done.err
