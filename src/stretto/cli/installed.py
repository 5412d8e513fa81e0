"""What is installed: versions, extras, and which variables of the environment say something."""

import os
import platform
import sqlite3
import sys
from collections.abc import Iterator, Mapping
from importlib import metadata

from stretto import __version__
from stretto.cli.diagnosis import Check
from stretto.cli.endpoints import keys_set
from stretto.ground.extras import installing
from stretto.ground.regex import regex
from stretto.models.providers import Provider, variable

_OURS = ("STRETTO_MODEL", "STRETTO_STORE", "STRETTO_LOG")
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "all_proxy", "no_proxy")
_REQUIREMENT = regex(r"""^([\w.-]+).*extra\s*==\s*['"]([\w-]+)['"]""")


def versions() -> dict[str, str]:
    """Of Stretto, of what it stands on, and of the system."""
    return {
        "stretto": __version__,
        "python": f"{platform.python_version()} ({platform.python_implementation()}, {sys.executable})",
        "sqlite": sqlite3.sqlite_version,
        "aiohttp": metadata.version("aiohttp"),
        "platform": platform.platform(),
    }


def extras() -> list[Check]:
    """Each extra, with the versions of what it needs, or how to install it."""
    wanted: dict[str, list[str]] = {}
    for requirement in metadata.requires("stretto") or ():
        if found := _REQUIREMENT.match(requirement):
            wanted.setdefault(found[2], []).append(found[1])
    return [_extra(name, packages) for name, packages in wanted.items()]


def _extra(name: str, packages: list[str]) -> Check:
    try:
        told = [f"{package} {metadata.version(package)}" for package in packages]
    except metadata.PackageNotFoundError:
        return Check(name, "off", f"not installed: {installing(name)}")
    return Check(name, "ok", ", ".join(told))


def variables(providers: Mapping[str, Provider]) -> list[Check]:
    """The variables that are set and say something to Stretto: their names, never what they hold."""
    return [Check(name, "ok", said) for name, said in dict(_variables(providers)).items()]


def _variables(providers: Mapping[str, Provider]) -> Iterator[tuple[str, str]]:
    for name, provider in providers.items():
        for held in keys_set(name, provider):
            yield held, f"a key of {name}"
        if os.environ.get(url := variable(name, "BASE_URL"), "").strip():
            yield url, f"the address of {name}"
    for name in _OURS:
        if os.environ.get(name):
            yield name, "one of Stretto's own"
    for name in _PROXIES:
        if os.environ.get(name):
            yield name, "obeyed for every endpoint"
