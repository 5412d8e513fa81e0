"""Configuration files: found, read, and checked key by key at the door."""

import tomllib
from collections.abc import Collection
from pathlib import Path
from typing import Any

from msgspec import Struct

from stretto.config.clients import Client, client_of
from stretto.config.values import among, convert, file_beside, kind_of, limits_of, meant, price_of, provider_of, role_of
from stretto.errors import ConfigError
from stretto.ground.files import SHIPPED, read_text
from stretto.models.providers import KNOWN, Provider
from stretto.run.roles import WORKERS_OWN, workers_only
from stretto.types import Limits, Memory, Price, Role
from stretto.types.checks import NO_TOOLS, TOOLS

_SECTIONS = ("orchestrator", "workers", "synthesizer", "limits", "memory", "providers", "prices", "clients")
_PRICE_KEYS = tuple(key for key in Price.__struct_fields__ if key != "above")
_FILES = {"prompt_file": "prompt", "schema_file": "schema"}
"""Keys that name a file, and the key that what it holds belongs to."""
_WORKER_KEYS = (*Role.__struct_fields__, *_FILES)
_ROLE_KEYS = tuple(key for key in _WORKER_KEYS if key not in WORKERS_OWN)
_CHECK_KEYS = ("model", "prompt", "prompt_file", "system", "options", "about", "stream", "context")


class Source(Struct, frozen=True):
    """One layer of configuration: where it came from, for error messages and relative paths, and what it says."""

    name: str
    folder: Path | None
    table: dict[str, Any]


def read_file(path: Path) -> Source:
    """A configuration file; raises `ConfigError` naming the file and the place."""
    try:
        table = tomllib.loads(read_text(path))
    except OSError as error:
        missing = isinstance(error, FileNotFoundError)
        remedy = "; name another, or let `stretto init` write one" if missing else "; name a file"
        raise ConfigError(f"{path}: cannot be read: {error.strerror or error}{remedy}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 text (byte {error.start}); a workflow is a TOML file") from error
    except (ValueError, RecursionError) as error:  # also a number of thousands of digits
        raise ConfigError(f"{path}: not TOML: {error}") from error
    return checked(Source(str(path), path.parent, table))


def presets() -> list[str]:
    """The names of the workflows that come with the package."""
    return sorted(path.stem for path in (SHIPPED / "presets").glob("*.toml"))


def preset_text(name: str) -> str:
    """The file of a workflow that comes with the package; raises `ConfigError` if there is none of this name."""
    if name not in presets():
        raise ConfigError(
            f"no preset {name!r}{among(name, presets())} (a file is named with a / or .toml: ./{name}.toml)"
        )
    return (SHIPPED / "presets" / f"{name}.toml").read_text(encoding="utf-8")


def read_preset(name: str) -> Source:
    """A workflow that comes with the package."""
    return checked(Source(f"preset {name}", None, tomllib.loads(preset_text(name))))


def names_a_file(named: str) -> bool:
    """Whether what `-w` names looks like a file; else it is a preset."""
    return "/" in named or named.endswith(".toml")


def read_workflow(named: str) -> Source:
    """What `-w` names: a file, or a preset."""
    return read_file(Path(named)) if names_a_file(named) else read_preset(named)


def checked(source: Source) -> Source:
    """The source, if every key in it is known and every value of its type."""
    table = source.table
    _check_keys(table, _SECTIONS, f"{source.name}: ")
    for section in ("orchestrator", "synthesizer"):
        if section in table and (section, table[section]) != ("orchestrator", False):
            _check_role(table[section], f"{source.name}: {section}", source.folder, _ROLE_KEYS)
    for name, worker in _section(source, "workers"):
        _check_worker(worker, f'{source.name}: workers."{name}"', source.folder)
    limits = _table(table.get("limits", {}), f"{source.name}: limits")
    _check_keys(limits, Limits.__struct_fields__, f"{source.name}: limits.")
    limits_of(limits, f"{source.name}: limits")
    memory = _table(table.get("memory", {}), f"{source.name}: memory")
    _check_keys(memory, Memory.__struct_fields__, f"{source.name}: memory.")
    convert(memory, Memory, f"{source.name}: memory")
    for model, price in _section(source, "prices"):
        place = f'{source.name}: prices."{model}"'
        _check_keys(_table(price, place), _PRICE_KEYS, f"{place}.")
        price_of(model, {"input": 0, "output": 0, **price}, place)  # another layer may have the rest
    for name, client in _section(source, "clients"):
        place = f"{source.name}: clients.{name}"
        _check_keys(_table(client, place), Client.__struct_fields__, f"{place}.")
        client_of({"key_env": "", **client}, place)  # another layer may have the rest
    for name, provider in _section(source, "providers"):
        _check_provider(name, provider, f"{source.name}: providers.{name}")
    return source


def _section(source: Source, section: str) -> list[tuple[str, Any]]:
    return list(_table(source.table.get(section, {}), f"{source.name}: {section}").items())


def _check_worker(table: Any, place: str, folder: Path | None) -> None:
    _check_role(table, place, folder, _WORKER_KEYS)
    if table.get("models") == []:
        raise ConfigError(f"{place}.models: an empty list; name the models that are asked side by side")
    if "merge" in table and not ("models" in table or "samples" in table):
        raise ConfigError(f"{place}.merge: there is one reply only; say models or samples as well, or leave it out")
    check = table.get("check")
    if isinstance(check, dict):
        _check_role(check, f"{place}.check", folder, _CHECK_KEYS)
    elif isinstance(check, str) and not check.strip():
        raise ConfigError(f"{place}.check: it is empty; say what to look at, or leave it out")


def _check_role(table: Any, place: str, folder: Path | None, known: Collection[str]) -> None:
    for key in WORKERS_OWN:
        if key not in known and key in _table(table, place):
            raise ConfigError(f"{place}.{key}: {workers_only(key)}")
    _check_keys(_table(table, place), known, f"{place}.")
    for key, what in _FILES.items():
        if key in table:
            if what in table:
                raise ConfigError(f"{place}: {what} and {key} exclude each other; keep one")
            file_beside(table[key], f"{place}.{key}", folder)
    # The file itself is read when the role is used: a layer that another one covers may lack it.
    if not isinstance(table.get("workflow", ""), str):
        raise ConfigError(f"{place}.workflow: expected the name of a preset or a TOML file, not {table['workflow']!r}")
    apart = {*_FILES, "workflow", *(["check"] if isinstance(table.get("check"), dict) else [])}
    role_of({key: value for key, value in table.items() if key not in apart}, place, folder)


def _check_provider(name: str, table: Any, place: str) -> None:
    kind = kind_of(name, _table(table, place))
    _check_keys(table, kind.__struct_fields__, f"{place}.")
    if "base_url" in table:
        convert(table["base_url"], str, f"{place}.base_url")
    missing = {} if kind is not Provider or name in KNOWN else {"base_url": ""}  # another layer may have it
    provider_of(name, {**missing, **table}, place)


def _table(value: Any, place: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ConfigError(f"{place}: expected a table, got {value!r}"[:200])
    return value


def _check_keys(table: dict[str, Any], known: Collection[str], place: str) -> None:
    for key in table:
        if key in TOOLS:
            raise ConfigError(f"{place}{key}: {NO_TOOLS}")
        if key not in known:
            raise ConfigError(f"{place}{key}: unknown key{meant(key, known) or '; known are ' + ', '.join(known)}")
