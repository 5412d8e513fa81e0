"""How often what is drawn at random is drawn, and how long what is long is: in part as a rule, all of it with `ci`.

`--hypothesis-profile=ci` names that profile, and `-m drawn` the tests that it makes a difference to (conftest.py).
"""

from collections.abc import Sequence
from typing import Any, TypeVar

from hypothesis import settings

_ALL = 100  # hypothesis's own number, which a test has that names none
_SOME = 15
_EACH = 4
T = TypeVar("T")
FEW = "few"
"""The profile of whoever names none."""

settings.register_profile("ci", max_examples=_ALL, deadline=None, database=None)
# The same ones each time: what fails by a rare draw would else hold up a change that has nothing to do with it.
settings.register_profile(FEW, max_examples=_SOME, deadline=None, database=None, derandomize=True)


def examples(most: int, **more: Any) -> settings:
    """So many of them with the profile `ci`, and the profile's share of them elsewhere."""
    return settings(max_examples=share(most), **more)


def share(most: int, least: int = 1) -> int:
    """So many repetitions with the profile `ci`, and the profile's share of them elsewhere, but `least` at least."""
    return max(least, most * settings().max_examples // _ALL)


def some(places: Sequence[T]) -> Sequence[T]:
    """All of them with the profile `ci`, and every fourth elsewhere, from the first on."""
    return whole(places, places[::_EACH])


def whole(all_of_it: T, less: T) -> T:
    """All of it with the profile `ci`, and what shows about the same elsewhere."""
    return all_of_it if settings().max_examples >= _ALL else less
