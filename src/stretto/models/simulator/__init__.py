"""The model that is not one: latencies, faults and rate limits to rehearse with, and no key needed.

`SimulatedProvider(Simulator(seed=1)).connect("fast")` is a `Model`. What it says depends on the seed and the request
alone; when it says it, and what goes wrong, also on how many times that request was asked.
"""

from stretto.models.simulator.faults import KINDS, Fault, parse_fault
from stretto.models.simulator.provider import SimulatedModel, SimulatedProvider
from stretto.models.simulator.settings import PROFILES, Profile, Simulator, StandIn

__all__ = [
    "KINDS",
    "PROFILES",
    "Fault",
    "Profile",
    "SimulatedModel",
    "SimulatedProvider",
    "Simulator",
    "StandIn",
    "parse_fault",
]
