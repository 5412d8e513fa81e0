"""`stretto doctor`."""

import asyncio
import os
import platform
import sqlite3
import sys
from collections.abc import Iterator, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import click
import msgspec
from click.core import ParameterSource

from stretto import __version__
from stretto.cli import ANSWERED, CONFIG, FAILED
from stretto.cli.diagnosis import Check, Diagnosis, lines
from stretto.cli.endpoints import Answer, ask_all, keys_set, remedy, usable
from stretto.cli.help import command, option
from stretto.cli.meaning import chosen_models, usual_files
from stretto.cli.options import workflow_options
from stretto.cli.outlook import Outlook, outlook
from stretto.cli.prune import megabytes
from stretto.cli.screen import say, tell
from stretto.cli.stored import store_path
from stretto.cli.words import not_listed
from stretto.config.origins import Value
from stretto.errors import AuthError, NoStore, StoreError
from stretto.ground.extras import installing
from stretto.ground.regex import regex
from stretto.ground.text import many
from stretto.models.listing import others_than
from stretto.models.providers import Provider, from_environment, is_here, variable
from stretto.store.checkup import Finding, facts, findings, glance
from stretto.store.locations import Location

_PATIENCE = 5.0  # seconds
_SHOWN = 20  # findings of a damaged store
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "all_proxy", "no_proxy")
_OTHERS = {
    **dict.fromkeys(("STRETTO_MODEL", "STRETTO_STORE", "STRETTO_LOG"), "one of Stretto's own"),
    **dict.fromkeys(_PROXIES, "obeyed for every endpoint"),
}
_REQUIREMENT = regex(r"""^([\w.-]+).*extra\s*==\s*['"]([\w-]+)['"]""")


@command(
    "stretto doctor",
    "stretto doctor -w ./stretto.toml --budget 50c --offline",
    "stretto doctor --store copy.db --store-check",
    "stretto doctor --json | jq .endpoints",
)
@option("--offline", is_flag=True, help="Ask no endpoint, not even one of this machine.")
@option("--store-check", is_flag=True, help="All of the store, not only its structure and the newest runs.")
@option("--json", "as_json", is_flag=True, help="One JSON object.")
@workflow_options
def doctor(offline: bool, store_check: bool, as_json: bool, **flags: Any) -> int:
    """See what is installed, what is in force and where each setting comes from, which endpoints answer, and the store.

    Takes the flags of `run`, to say what they would amount to. Keys are named, never shown. The exit code is 0 unless
    something that is configured cannot work: 3 if that is the configuration or a key, else 1. Nothing is changed.
    """
    store = store_path(flags["store"])
    seen = outlook(flags["named"], chosen_models(flags["models"]), flags, store, offline=offline)
    known = seen.configuration.endpoints()
    keyless = {name: known[name] for name in known if name in seen.needed and known[name].key_env is None}
    asked = {} if offline else {**usable(known), **keyless}
    diagnosis = Diagnosis(
        versions=_versions(),
        extras=_extras(),
        files=[*_files(flags["named"]), *seen.faults, *seen.files],
        settings=[*seen.settings, _store_setting(store)],
        variables=[Check(name, "ok", said) for name, said in dict(_variables(known)).items()],
        endpoints=asyncio.run(_endpoints(asked, seen)),
        prices=seen.prices,
        store=_store(store, whole=store_check),
    )
    if as_json:
        click.echo(msgspec.json.encode({**msgspec.to_builtins(diagnosis), "faults": len(diagnosis.faults)}))
    else:
        for line in lines(diagnosis):
            tell(line)
        if offline:
            say("--offline: no endpoint was asked")
    return _code(diagnosis, seen)


def _code(diagnosis: Diagnosis, seen: Outlook) -> int:
    if not diagnosis.faults:
        return ANSWERED
    configured = [*diagnosis.files, *diagnosis.prices]
    return CONFIG if seen.refused or any(check.state == "fault" for check in configured) else FAILED


def _files(named: str | None) -> list[Check]:
    """Which files there are to be read; what -w names goes first."""
    usual = [
        Check(str(path), "ok", "read") if path.is_file() else Check(str(path), "off", "not there")
        for path in usual_files()
    ]
    return [*([Check(named, "ok", "named by -w")] if named else []), *usual]


def _store_setting(store: Location) -> Value:
    source = click.get_current_context().get_parameter_source("store")
    origins = {ParameterSource.COMMANDLINE: "--store", ParameterSource.ENVIRONMENT: "STRETTO_STORE"}
    return Value("store", str(store), origins.get(source, "default") if source else "default")


async def _endpoints(asked: Mapping[str, Provider], seen: Outlook) -> list[Check]:
    """Whether each answers, and how fast; what does not is a fault if the workflow or a file needs it."""
    told = list[Check]()
    for answer in await ask_all(asked, _PATIENCE):
        name, provider = answer.provider, asked[answer.provider]
        if answer.error is None:
            url = from_environment(name, provider, os.environ).base_url.partition("?")[0]
            count = many(len(answer.models), "model")
            told.append(Check(name, "ok", f"{url} answers in {answer.seconds * 1000:,.0f} ms, {count}"))
            told += _not_listed(seen, answer, provider)
            continue
        refused = isinstance(answer.error, AuthError) and bool(keys_set(name, provider))
        if refused:
            seen.refused.add(name)
        needed = refused or name in seen.needed
        off = provider.local and not needed
        said = "not running" if off else remedy(answer, provider).removeprefix(f"{name} at ")
        told.append(Check(name, "fault" if needed else "off", said))
    return told


def _not_listed(seen: Outlook, answer: Answer, provider: Provider) -> Iterator[Check]:
    """A warning for each of the workflow's models that a server on this machine does not list."""
    if not is_here(from_environment(answer.provider, provider, os.environ)):
        return
    for model in seen.models:
        name, _, rest = model.partition(":")
        if name == answer.provider and (others := others_than(rest, answer.models)):
            yield Check(model, "warning", not_listed(model, others))


def _store(store: Location, *, whole: bool) -> list[Check]:
    try:
        told = facts(store)
        found = list(findings(store) if whole else glance(store))
    except NoStore:
        return [_no_store(store)]
    except StoreError as error:
        return [Check(str(store), "fault", str(error).removeprefix(f"{store}: "))]
    size = f"format {told.form}, {megabytes(told.size)}, {megabytes(told.free)} of it free, {many(told.runs, 'run')}"
    look = "nothing amiss" if whole else "nothing amiss at a glance (--store-check looks at everything)"
    head = Check(str(store), "fault" if found else "ok", f"{size}; {f'{len(found):,} findings' if found else look}")
    return [head, *_damage(found)]


def _no_store(store: Location) -> Check:
    """What is to be said of a store that is not there yet."""
    if isinstance(store, Path) and not store.exists():
        folder = next(each for each in store.absolute().parents if each.exists())
        if not folder.is_dir() or not os.access(folder, os.W_OK):
            return Check(str(store), "fault", f"not there, and {folder} cannot be written; name another with --store")
    return Check(str(store), "off", "not there yet; the first run makes it")


def _damage(found: Sequence[Finding]) -> list[Check]:
    """What is damaged, run by run, and what to do about it."""
    told = [Check(f"run {each.run}" if each.run else "file", "fault", each.lost) for each in found[:_SHOWN]]
    if len(found) > _SHOWN:
        told.append(Check("…", "fault", f"and {len(found) - _SHOWN:,} more like these"))
    remedy = "move a damaged file away and go on with a backup, or keep it for the runs that are whole"
    return [*told, Check("remedy", "off", remedy)] if told else []


def _versions() -> dict[str, str]:
    """Of Stretto, of what it stands on, and of the system."""
    return {
        "stretto": __version__,
        "python": f"{platform.python_version()} ({platform.python_implementation()}, {sys.executable})",
        "sqlite": sqlite3.sqlite_version,
        "aiohttp": metadata.version("aiohttp"),
        "platform": platform.platform(),
    }


def _extras() -> list[Check]:
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


def _variables(providers: Mapping[str, Provider]) -> Iterator[tuple[str, str]]:
    """The variables that are set and say something to Stretto: their names and what they are, never what they hold."""
    for name, provider in providers.items():
        for held in keys_set(name, provider):
            yield held, f"a key of {name}"
        if os.environ.get(url := variable(name, "BASE_URL"), "").strip():
            yield url, f"the address of {name}"
    yield from ((name, said) for name, said in _OTHERS.items() if os.environ.get(name))
