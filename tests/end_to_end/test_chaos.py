"""Whatever the workflow, and whenever its process is killed: nothing is lost, nothing is paid twice."""

from pathlib import Path

from chaos import chaos
from drawn import share

KILLS = share(30, 15)


def test_runs_that_are_killed_at_random_moments_end_as_if_nothing_had_happened(tmp_path: Path) -> None:
    tally = chaos(KILLS, 7, tmp_path)

    assert tally.complaints == []
    assert tally.kills == KILLS
    assert tally.settled > tally.subtasks > 0
    assert sum(tally.phases.values()) == tally.kills
    assert {"resume", "workers"} < set(tally.phases)  # and wherever else this machine is when the clock strikes
