"""Where nothing happens for a while, whoever waits is told for what, and how far it is."""

import re

import pytest

from stretto import Simulator, Workflow
from stretto.cli.carry import Output, carry
from stretto.cli.live.cellwords import count
from stretto.cli.progress import Progress
from stretto.events import CallStarted
from stretto.views.timeline.timeline import Timeline

SLOW = Simulator(ttft=0.4, ttft_spread=0, tokens_per_second=600)
LESS = Simulator(ttft=0.3, ttft_spread=0, tokens_per_second=3000)


def test_a_silent_run_says_what_is_waited_for_and_how_far_that_is(capsys: pytest.CaptureFixture[str]) -> None:
    flow = Workflow("sim:o", {"part": "sim:w"}, "sim:s", providers={"sim": SLOW})
    assert carry(flow.stream("Compare teas in 3 subtasks"), Output(), Progress(quiet=False, silence=0.15)) == 0
    said = [line.split(None, 1)[1] for line in capsys.readouterr().err.splitlines()]
    waiting = [line for line in said if line.startswith("waiting")]
    assert re.fullmatch(r"waiting +for the plan, \d s", waiting[0])
    assert any(re.fullmatch(r"waiting +for t\d \(part\) and 2 more, \d s", line) for line in waiting)
    assert any(re.fullmatch(r"waiting +for the answer, \d s, about \d+ tokens so far", line) for line in waiting)


def test_a_quiet_run_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    flow = Workflow("sim:o", {"part": "sim:w"}, "sim:s", providers={"sim": LESS})
    assert carry(flow.stream("Compare teas in 2 subtasks"), Output(), Progress(quiet=True, silence=0.1)) == 0
    assert capsys.readouterr().err == ""


def test_a_row_that_runs_has_the_tokens_so_far() -> None:
    picture = Timeline()
    picture.heard = {"c1": 480}.__getitem__
    picture.take(CallStarted(call="c1", role="orchestrator", subtask=None, model="sim:o", fingerprint="f"), 1.0)
    assert picture.plan is not None
    assert count(picture.so_far(picture.plan)) == "120"
