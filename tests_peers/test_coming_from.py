"""What docs/how-to/coming-from.md shows of others runs as it stands: each in its own environment, at the simulator.

What it shows of Stretto is run by tests/docs/test_docs_pages.py, as on every page.
"""

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from bench.peers.environments import PEERS, made

from pages import blocks
from stretto.models.simulator import SimulatedProvider
from terminal import served

PROGRAMS = {
    found[1]: block.code
    for block in blocks("how-to/coming-from.md")
    if (found := re.fullmatch(r"not run here: tests_peers/ does, with (\S+)", block.remark))
}


@pytest.fixture
def endpoint() -> Iterator[tuple[str, SimulatedProvider]]:
    with served() as served_at:
        yield served_at


def test_everyone_who_has_an_environment_is_on_the_page() -> None:
    assert sorted(PROGRAMS) == sorted(peer.name for peer in PEERS if peer.pins)


@pytest.mark.parametrize("name", PROGRAMS)
def test_what_the_page_shows_of_others_works(
    name: str, endpoint: tuple[str, SimulatedProvider], tmp_path: Path
) -> None:
    (peer,) = [peer for peer in PEERS if peer.name == name]
    url, provider = endpoint
    done = subprocess.run(
        [made(peer).python, "-c", PROGRAMS[name]],
        cwd=tmp_path,
        env={"PATH": os.defpath, "HOME": str(tmp_path), "OPENAI_BASE_URL": url, "OPENAI_API_KEY": "x"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert not done.returncode, done.stderr
    assert len(done.stdout.split()) > 20
    assert sum(provider.asked.values()) >= 3  # the plan, its parts, the answer
