"""Keywords as Python users write them: one that nobody knows is an error that names what was meant."""

import functools
from collections.abc import Callable, Iterable
from typing import Any, ParamSpec, TypeVar

from msgspec import StructMeta

from stretto.errors import ConfigError
from stretto.ground.text import nearest
from stretto.ground.tracebacks import without_frames

_T = TypeVar("_T")
_Given = ParamSpec("_Given")


_ELSEWHERE = {
    "api_key": "key_env", "api_key_env": "key_env", "api_key_name": "key_env", "key": "key_env", "env_key": "key_env",
    "api_base": "base_url", "api_url": "base_url", "endpoint": "base_url", "url": "base_url", "host": "base_url",
    "system_prompt": "system", "instructions": "prompt", "instruction": "prompt", "description": "about",
    "concurrency": "parallel", "max_concurrency": "parallel", "max_workers": "parallel",
    "max_cost": "budget", "retries": "attempts", "max_retries": "attempts",
}  # fmt: skip
"""What other programs call things that have another name here."""


def nearest_name(word: str, known: Iterable[str]) -> str | None:
    """Which keyword or key may be meant: what another program calls so, else the one that is spelled most alike."""
    known = list(known)
    return ours if (ours := _ELSEWHERE.get(word)) in known else nearest(word, known)


def check_keywords(place: str, names: Iterable[Any], known: tuple[str, ...]) -> None:
    """Raise `ConfigError` for a name that is not known."""
    for name in names:
        if name not in known:
            near = nearest_name(str(name), known)
            meant = f"; did you mean {near!r}?" if near else f"; there are {', '.join(known)}"
            raise ConfigError(f"{place}: there is no {name!r}{meant}")


class Keyworded(StructMeta):
    """Of a struct that users make; data that is read is checked by who reads it."""

    @without_frames
    def __call__(cls: type[_T], *values: Any, **named: Any) -> _T:  # noqa: N805 - of a metaclass
        """Make one; raises `ConfigError` for a keyword that is no field."""
        check_keywords(cls.__name__, named, cls.__struct_fields__)  # type: ignore[attr-defined]
        made: _T = super().__call__(*values, **named)  # type: ignore[misc]
        return made


def renamed(**to: str) -> Callable[[Callable[_Given, _T]], Callable[_Given, _T]]:
    """Keywords that a public door had once: who still says one is told what it is called now."""

    def told(function: Callable[_Given, _T]) -> Callable[_Given, _T]:
        @functools.wraps(function)
        @without_frames
        def checked(*values: _Given.args, **named: _Given.kwargs) -> _T:
            for old in to.keys() & named.keys():
                raise ConfigError(f"{function.__name__}: {old}: it is called {to[old]} now")
            return function(*values, **named)

        return checked

    return told
