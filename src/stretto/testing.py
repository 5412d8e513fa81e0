"""A pytest fixture that runs a workflow over the records of a run: no key, no network, the same replies every time.

    pytest_plugins = ["stretto.testing"]  # in conftest.py

    def test_leap_years(replayed):
        run = replayed("tests/leap_years.jsonl", flow)
        assert "2028" in run.answer

`stretto export RUN -o FILE` writes such a file. Importing this module imports pytest; nothing else of Stretto does.
"""

from pathlib import Path
from typing import Protocol

import pytest

from stretto.aside import Aside
from stretto.errors import MissingRecord
from stretto.replay import Recording, ReplayStream, recording_of
from stretto.runs import Run
from stretto.store.parcel import read_parcel
from stretto.workflow import Workflow


class Replayed(Protocol):
    """What the fixture `replayed` gives: call it with the file of an exported run."""

    def __call__(self, file: str | Path, workflow: Workflow | None = None) -> Run:
        """Give the run that `workflow` makes of the file's task and records; without one, the run as it was recorded.

        A relative path starts at the test's own folder or, if it is not there, at pytest's root. A call whose request
        is not recorded is an `AssertionError` that says what is different about it; what ended the run is raised as
        it would be by `workflow.run`.
        """
        ...


@pytest.fixture
def replayed(request: pytest.FixtureRequest) -> Replayed:
    """Run a workflow over the records of an exported run, given by its file: offline, and without a key."""
    folders = (request.path.parent, request.config.rootpath)

    def replay(file: str | Path, workflow: Workflow | None = None) -> Run:
        recording = _read(next((path for folder in folders if (path := folder / file).exists()), Path(file)))
        stream = ReplayStream(
            recording, workflow.definition if workflow else None, shape=workflow.shape if workflow else None
        )
        try:
            # In a loop and thread of its own: an asynchronous test has a loop that is running.
            return Aside(_finished(stream)).result()
        except MissingRecord as error:
            raise AssertionError(f"{file}: {error}") from None
        finally:
            if workflow is None and stream.differences:
                raise AssertionError(f"{file}: the replay differs from the run: {'; '.join(stream.differences)}")

    return replay


def _read(path: Path) -> Recording:
    with path.open("rb") as file:
        return recording_of(read_parcel(file, str(path)).entries)


async def _finished(stream: ReplayStream) -> Run:
    async with stream as events:
        return await events.finished()
