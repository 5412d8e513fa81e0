"""pytest fixtures for testing a workflow offline: on the simulator, or over the records of a run. No key, no network.

    pytest_plugins = ["stretto.testing"]  # in conftest.py

    def test_a_broken_worker_costs_its_subtask_only(simulated):
        run = simulated(flow, '400 always role=worker match="code/solve"').run_sync("Write a program that …")
        assert [gap.type for gap in run.coverage.missing] == ["code/solve"]

    def test_my_program_survives_a_rate_limit(simulated_endpoint):
        endpoint = simulated_endpoint("429 once")
        my_program(base_url=endpoint.url, api_key="any")
        assert endpoint.asked == 3

    def test_leap_years(replayed):
        run = replayed("tests/leap_years.jsonl", flow)  # `stretto export RUN -o FILE` writes such a file
        assert "2028" in run.answer

`simulated` and `simulated_endpoint` take the faults of `stretto sim --fault` as texts, and the settings of `Simulator`;
replies come at once unless those say otherwise. Annotated, they are `Simulated`, `Endpoints` and `Replayed`. Where a
test is to see minutes pass, `stretto.virtual.virtually(simulated(flow, ttft=2.0).run(task))` takes milliseconds for
them. Importing this module imports pytest; nothing else of Stretto does.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Protocol

import pytest
from msgspec.structs import replace

from stretto.errors import MissingRecord
from stretto.ground.aside import Aside
from stretto.models.functions import Functions
from stretto.models.providers import Provider
from stretto.models.simulator import Fault, SimulatedProvider, Simulator, parse_fault
from stretto.replay import ReplayStream, recording_of
from stretto.runs import Parsed, Run
from stretto.store.parcel import read_parcel
from stretto.workflow import Workflow

_AT_ONCE: dict[str, Any] = {"ttft": 0.0, "tokens_per_second": 1e6}


def on_simulator(workflow: Workflow[Parsed], *faults: str | Fault, **settings: Any) -> Workflow[Parsed]:
    """The workflow with the simulator in the place of every provider: the same roles, prompts, limits and functions.

    `faults` are written as for `stretto sim --fault` ("500 once role=worker"), `settings` are those of `Simulator`
    (`seed`, `subtasks`, `rpm`, `ttft`, …). Nothing is stored, and a call that is asked again is so after the shortest
    wait there is.
    """
    definition, shape = workflow.definition, workflow.shape
    synthesizer, answer = definition.synthesizer, shape.kind if shape else None
    if synthesizer and answer is not None:
        synthesizer = replace(synthesizer, schema=None)  # it is made of the type again
    memory = replace(definition.memory, reuse="run" if definition.memory.reuse == "store" else definition.memory.reuse)
    simulator = _simulator(faults, settings)
    names = dict.fromkeys(model.partition(":")[0] for model in workflow.all_models)
    stand_ins = {name: simulator for name in names if not isinstance(workflow.providers[name], Functions)}
    simulated = Workflow(
        definition.orchestrator,
        definition.workers,
        synthesizer,
        answer=answer,
        limits=definition.limits,
        memory=memory,
        providers={**workflow.providers, **stand_ins},
        prices=workflow.prices,
    )
    simulated.jitter = min
    return simulated


class SimulatedEndpoint:
    """A real OpenAI-compatible endpoint on this machine, behind which is the simulator; `url` is its base URL.

    It takes any key and any model. `asked` counts the requests it let in, `refused` what its rate limits kept out, each
    before it is answered.
    """

    def __init__(self, url: str, counts: SimulatedProvider) -> None:
        self.url = url
        self._counts = counts

    @property
    def provider(self) -> Provider:
        """The endpoint as a provider of a workflow."""
        return Provider(self.url)

    @property
    def asked(self) -> int:
        """How many requests were let in."""
        return sum(self._counts.asked.values())

    @property
    def refused(self) -> int:
        """How many requests the rate limits kept out."""
        return self._counts.refused


class Simulated(Protocol):
    """What the fixture `simulated` gives: call it with a workflow, and what is to go wrong."""

    def __call__(self, workflow: Workflow[Parsed], *faults: str | Fault, **settings: Any) -> Workflow[Parsed]:
        """Give the workflow with the simulator in the place of every provider; see `on_simulator`."""
        ...


class Endpoints(Protocol):
    """What the fixture `simulated_endpoint` gives: call it with what is to go wrong."""

    def __call__(self, *faults: str | Fault, **settings: Any) -> SimulatedEndpoint:
        """Serve the simulator with these faults and settings until the test ends."""
        ...


@pytest.fixture
def simulated() -> Simulated:
    """Put the simulator in the place of a workflow's providers: `simulated(flow, "500 once role=worker", seed=1)`."""
    return on_simulator


@pytest.fixture
def simulated_endpoint() -> Iterator[Endpoints]:
    """Serve the simulator over HTTP until the test ends: `simulated_endpoint("429 once").url` is a base URL."""
    from stretto.server.sim import served  # the HTTP server is loaded when one is wanted

    with ExitStack() as stack:

        def serve(*faults: str | Fault, **settings: Any) -> SimulatedEndpoint:
            return SimulatedEndpoint(*stack.enter_context(served(_simulator(faults, settings))))

        yield serve


def _simulator(faults: Sequence[str | Fault], settings: dict[str, Any]) -> Simulator:
    parsed = tuple(parse_fault(fault) if isinstance(fault, str) else fault for fault in faults)
    return Simulator(**{**_AT_ONCE, **settings, "faults": (*parsed, *settings.get("faults", ()))})


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
        path = next((path for folder in folders if (path := folder / file).exists()), Path(file))
        with path.open("rb") as parcel:
            recording = recording_of(read_parcel(parcel, str(path)).entries)
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


async def _finished(stream: ReplayStream) -> Run:
    async with stream as events:
        return await events.finished()
