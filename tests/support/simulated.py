"""What a workflow's runs have left with its providers, and what its log would say of it."""

from typing import Any

from stretto import Workflow
from stretto.models.simulator import SimulatedProvider
from stretto.pool import Pool
from stretto.run.team import Team


def pool_of(flow: Workflow[Any]) -> Pool:
    """The models of the running loop, as its runs share them."""
    return flow._pools.here()


def simulator_of(flow: Workflow[Any], name: str = "sim") -> SimulatedProvider:
    """The simulator behind a name, once it was asked."""
    return pool_of(flow).simulated[name]


def record_of(flow: Workflow[Any]) -> dict[str, Any]:
    """The definition as data, as it is kept with a run."""
    return Team(flow.definition, flow.providers, flow.prices).record()
