"""The model that is not one: latencies, faults and rate limits to rehearse with, and no key needed.

`provider.SimulatedProvider(Simulator(seed=1)).connect("fast")` is a `Model`; it is loaded by runs that ask one. What it
says depends on the seed and the request alone; when it says it, and what goes wrong, also on how many times that
request was asked.
"""

from stretto.models.simulator.faults import KINDS, Fault, parse_fault
from stretto.models.simulator.settings import PROFILES, Profile, Simulator, StandIn

__all__ = [
    "KINDS",
    "PROFILES",
    "Fault",
    "Profile",
    "Simulator",
    "StandIn",
    "parse_fault",
]
