"""TOML, environment and flags become a `Workflow`."""

import difflib
import tomllib
from collections.abc import Collection, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from stretto.errors import ConfigError
from stretto.models.providers import KNOWN, Provider
from stretto.models.simulator import Simulator, parse_fault
from stretto.pool import AnyProvider
from stretto.types import Limits, Role
from stretto.workflow import Workflow

_T = TypeVar("_T")

_SECTIONS = ("orchestrator", "workers", "synthesizer", "limits", "providers")
_ROLE_KEYS = (*Role.__struct_fields__, "prompt_file")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATIONS = frozenset({"timeout", "max_wait", "connect", "first_byte", "silence"})


class Source(Struct, frozen=True):
    """One layer of configuration: where it came from, for error messages and relative paths, and what it says."""

    name: str
    folder: Path | None
    table: dict[str, Any]


def read_file(path: Path) -> Source:
    """A configuration file; raises `ConfigError` naming the file and the line."""
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 text") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: not TOML: {error}") from error
    return _checked(Source(str(path), path.parent, table))


def presets() -> list[str]:
    """The names of the workflows that come with the package."""
    return sorted(
        entry.name.removesuffix(".toml")
        for entry in (resources.files("stretto") / "presets").iterdir()
        if entry.name.endswith(".toml")
    )


def read_preset(name: str) -> Source:
    """A workflow that comes with the package."""
    if name not in presets():
        raise ConfigError(
            f"no preset {name!r}{_nearest(name, presets())}; there are {', '.join(presets())} (a file is named with "
            f"a / or .toml: ./{name}.toml)"
        )
    text = (resources.files("stretto") / "presets" / f"{name}.toml").read_text(encoding="utf-8")
    return _checked(Source(f"preset {name}", None, tomllib.loads(text)))


def read_workflow(named: str) -> Source:
    """What `-w` names: a file if it looks like one, else a preset."""
    return read_file(Path(named)) if "/" in named or named.endswith(".toml") else read_preset(named)


class Configuration:
    """Layers of configuration, the most specific first, and what they amount to.

    `[providers]` and `[limits]` merge key by key; orchestrator, workers and synthesizer come whole from the most
    specific layer that has any of them.
    """

    def __init__(self, layers: Sequence[Source]) -> None:
        self._layers = layers

    @property
    def has_roles(self) -> bool:
        """Whether any layer says who does what."""
        return any(_roles_in(layer) for layer in self._layers)

    def providers(self) -> dict[str, AnyProvider]:
        """Every provider a layer mentions, over what is known."""
        tables: dict[str, dict[str, Any]] = {}
        places: dict[str, str] = {}
        for layer in reversed(self._layers):
            for name, table in layer.table.get("providers", {}).items():
                tables[name] = {**tables.get(name, {}), **table}
                places[name] = f"{layer.name}: providers.{name}"
        return {name: _provider(name, table, places[name]) for name, table in tables.items()}

    def limits(self, flags: Mapping[str, Any]) -> Limits:
        """Flags over the layers over the defaults."""
        merged: dict[str, Any] = {}
        for layer in reversed(self._layers):
            merged |= _durations(layer.table.get("limits", {}), f"{layer.name}: limits")
        merged |= {key: value for key, value in flags.items() if value is not None}
        return _convert(merged, Limits, "limits")

    def models_missing(self, models: Mapping[str | None, str]) -> bool:
        """Whether some role has no model yet."""
        return any(not role.get("model") for _, role in self._models_applied(models))

    def workflow(
        self,
        *,
        models: Mapping[str | None, str],
        default_model: str | None = None,
        limits: Mapping[str, Any] | None = None,
        store: Path | None = None,
    ) -> Workflow:
        """The workflow; `models` is what `-m` says by role (None: all), `default_model` serves roles without any."""
        layer = self._role_layer()
        roles = {
            place: _role({**table, "model": table.get("model") or default_model or ""}, f"{layer.name}: {place}", layer)
            for place, table in self._models_applied(models)
        }
        workers = {name: roles[f'workers."{name}"'] for name in layer.table.get("workers", {})}
        return Workflow(
            roles["orchestrator"],
            workers,
            roles.get("synthesizer"),
            limits=self.limits(limits or {}),
            providers=self.providers(),
            store=store,
        )

    def _role_layer(self) -> Source:
        layer = next(layer for layer in self._layers if _roles_in(layer))
        for section in ("orchestrator", "workers"):
            if not layer.table.get(section) and section not in layer.table:
                example = "[orchestrator]" if section == "orchestrator" else "[workers.general]"
                raise ConfigError(f"{layer.name}: {section} is missing; add {example}")
        return layer

    def _models_applied(self, models: Mapping[str | None, str]) -> list[tuple[str, dict[str, Any]]]:
        """Every role's table under its place, with the models that flags set."""
        layer = self._role_layer()
        tables = {"orchestrator": layer.table["orchestrator"]}
        tables |= {f'workers."{name}"': table for name, table in layer.table["workers"].items()}
        if "synthesizer" in layer.table:
            tables["synthesizer"] = layer.table["synthesizer"]
        names = {"orchestrator": "orchestrator", "synthesizer": "synthesizer"}
        names |= {name: f'workers."{name}"' for name in layer.table["workers"]}
        for role in models:
            if role is not None and role not in {*names, "workers"}:
                raise ConfigError(f"-m {role}=…: no such role{_nearest(role, names)}; there are {', '.join(names)}")
        applied = []
        for name, place in names.items():
            if place in tables:
                kind = "workers" if place.startswith("workers") else None
                model = models.get(name) or (kind and models.get(kind)) or models.get(None)
                applied.append((place, {**tables[place], **({"model": model} if model else {})}))
        return applied


def from_record(record: Mapping[str, Any], now: Configuration, flags: Mapping[str, Any], store: Path) -> Workflow:
    """The workflow a run was started with, from its log, with the providers as they are configured now."""
    definition = record["definition"]
    configured = now.providers()
    providers = dict(configured)
    for name, table in record["providers"].items():
        if name in configured or (name in KNOWN and not table.get("headers")):
            continue
        kind = table.get("kind")
        facts = {key: value for key, value in table.items() if key != "kind"}
        if facts.get("headers"):
            raise ConfigError(
                f"provider {name!r} of this run has headers ({', '.join(facts['headers'])}), which are not kept with a "
                "run; resume where its stretto.toml is, or name that with -w"
            )
        place = f"providers.{name}"
        providers[name] = _convert(facts, Simulator, place) if kind == "simulator" else _convert(facts, Provider, place)
    limits = {**definition["limits"], **{key: value for key, value in flags.items() if value is not None}}
    roles = _convert(definition["workers"], dict[str, Role], "workers")
    last = definition.get("synthesizer")
    return Workflow(
        _convert(definition["orchestrator"], Role, "orchestrator"),
        roles,
        None if last is None else _convert(last, Role, "synthesizer"),
        limits=_convert(limits, Limits, "limits"),
        providers=providers,
        store=store,
    )


def _roles_in(layer: Source) -> bool:
    return any(section in layer.table for section in ("orchestrator", "workers", "synthesizer"))


def _checked(source: Source) -> Source:
    """The source, if every key in it is known; the nearest known one is named otherwise."""
    table = source.table
    _check_keys(table, _SECTIONS, source.name)
    for section in ("orchestrator", "synthesizer"):
        _check_keys(table.get(section, {}), _ROLE_KEYS, f"{source.name}: {section}")
    for name, worker in _table(table.get("workers", {}), f"{source.name}: workers").items():
        _check_keys(worker, _ROLE_KEYS, f'{source.name}: workers."{name}"')
    _check_keys(table.get("limits", {}), Limits.__struct_fields__, f"{source.name}: limits")
    for name, provider in _table(table.get("providers", {}), f"{source.name}: providers").items():
        known = Simulator.__struct_fields__ if name == "sim" else Provider.__struct_fields__
        _check_keys(provider, known, f"{source.name}: providers.{name}")
    return source


def _table(value: Any, place: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ConfigError(f"{place}: must be a table, not {type(value).__name__}")
    return value


def _check_keys(table: Any, known: Collection[str], place: str) -> None:
    for key in _table(table, place):
        if key not in known:
            raise ConfigError(f"{place}.{key}: unknown key{_nearest(key, known) or '; known are ' + ', '.join(known)}")


def _nearest(word: str, known: Collection[str]) -> str:
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)
    return f'; did you mean "{near[0]}"?' if near else ""


def _role(table: dict[str, Any], place: str, layer: Source) -> Role:
    facts = dict(table)
    if file := facts.pop("prompt_file", None):
        if "prompt" in facts:
            raise ConfigError(f"{place}: prompt and prompt_file exclude each other; keep one")
        path = (layer.folder or Path()) / str(file)
        try:
            facts["prompt"] = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"{place}.prompt_file: {path} cannot be read as text: {error}") from error
    if isinstance(facts.get("model"), list):
        raise ConfigError(f"{place}.model: one model as provider:model, not a list")
    return _convert(facts, Role, place)


def _provider(name: str, table: dict[str, Any], place: str) -> AnyProvider:
    table = _durations(table, place)
    if name == "sim":
        faults = table.get("faults", [])
        if not isinstance(faults, list) or not all(isinstance(fault, str) for fault in faults):
            raise ConfigError(f'{place}.faults: must be a list of texts like "429 once"')
        return _convert({**table, "faults": [msgspec.to_builtins(parse_fault(f)) for f in faults]}, Simulator, place)
    known = KNOWN.get(name)
    if known is None and "base_url" not in table:
        raise ConfigError(f'{place}: base_url is missing, for example base_url = "http://localhost:8000/v1"')
    base = msgspec.to_builtins(known) if known else {}
    return _convert({**base, **table}, Provider, place)


def _durations(table: dict[str, Any], place: str) -> dict[str, Any]:
    return {
        key: seconds(value, f"{place}.{key}") if key in _DURATIONS and isinstance(value, str) else value
        for key, value in table.items()
    }


def seconds(text: str, place: str) -> float:
    """`90s`, `10m`, `1.5h`, `250ms` or a number of seconds."""
    for unit in ("ms", "s", "m", "h", ""):
        number = text.strip().removesuffix(unit) if unit else text
        if text.strip().endswith(unit):
            try:
                return float(number) * _SECONDS.get(unit, 1.0)
            except ValueError:
                continue
    raise ConfigError(f"{place}: {text!r} is no time; write seconds, or 250ms, 20s, 10m, 1h")


def _convert(facts: Any, kind: type[_T], place: str) -> _T:
    """The facts as a frozen struct; a value of the wrong type is an error that names its place."""
    try:
        return msgspec.convert(facts, kind)
    except msgspec.ValidationError as error:
        what, _, where = str(error).partition(" - at `$")
        raise ConfigError(f"{place}{where.rstrip('`')}: {what[:1].lower()}{what[1:]}") from error
