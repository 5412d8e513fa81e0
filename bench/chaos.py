"""Random workflows whose processes are killed with -9 at random moments and resumed until they are done."""

import subprocess
import sys
from collections import Counter

import msgspec
from msgspec import Struct

from bench.processes import ROOT
from bench.table import Part, Row, Setting

_SEED = 4
_WRONG = {
    "lost": "runs lost",
    "asked again": "completed calls asked again",
    "subtasks": "subtasks doubled, missing or others",
    "coverage": "runs whose coverage is not the undisturbed one's",
    "results": "runs whose results or answer are not the undisturbed one's",
    "log": "events shown and not stored, or out of order",
}
_SAME = {"answer": "results", "status": "lost"}


class _Tally(Struct):
    """What `tests/support/chaos.py` says of all its runs."""

    runs: int
    kills: int
    phases: dict[str, int]
    subtasks: int
    settled: int
    reissued: int
    complaints: list[str]


class _Held(Struct):
    """What `tests/support/held.py` says of all its runs."""

    runs: int
    kills: int
    answered: int
    again: int
    charged: str
    complaints: list[str]


def rows(setting: Setting) -> Part:
    """200 kills, and as many while another program holds the store; what must not happen is counted, and told."""
    kills = setting.rounds(30, 200)
    yield from _chaos(msgspec.json.decode(_told("chaos", kills, setting), type=_Tally))
    yield from _held(msgspec.json.decode(_told("held", kills, setting), type=_Held))


def _told(script: str, kills: int, setting: Setting) -> bytes:
    command = [sys.executable, f"tests/support/{script}.py", str(kills), str(_SEED), str(setting.folder)]
    return subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout


def _held(tally: _Held) -> Part:
    yield f"\n{tally.kills} kills of {tally.runs} runs under a budget whose store another program holds"
    yield f"{tally.answered} calls were answered, {tally.again} of them again: nobody was there to write that down\n"
    abouts = Counter(complaint.partition(":")[0] for complaint in tally.complaints)
    for about, what in {"over the budget": "runs above their budget", "paid again": "calls paid again"}.items():
        yield Row(f"held, {what}", str(abouts[about]), "", float(abouts[about]), 0.0)
    yield Row("held, runs lost", str(abouts["lost"]), "", float(abouts["lost"]), 0.0)
    yield from tally.complaints


def _chaos(tally: _Tally) -> Part:
    phases = ", ".join(f"{name} {count}" for name, count in sorted(tally.phases.items()))
    yield f"\n{tally.kills} kills of {tally.runs} runs with {tally.subtasks} subtasks, in: {phases}"
    yield f"{tally.settled} calls were complete; {tally.reissued} were under way when their process was killed\n"
    abouts = [complaint.partition(":")[0] for complaint in tally.complaints]
    found = Counter(_SAME.get(about, about) for about in abouts)
    for about, what in _WRONG.items():
        yield Row(f"chaos, {what}", str(found[about]), "", float(found[about]), 0.0)
    yield from tally.complaints
