"""What is in force, setting by setting, and where each comes from; never a secret."""

import os
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
from msgspec import Struct

from stretto.config.building import Configuration
from stretto.config.teams import Choice, Part
from stretto.models.providers import KNOWN, safe, variable
from stretto.types import Limits, Memory

DEFAULT = "default"
_TEXTS = ("prompt", "system", "about")
_LONGEST = 60  # characters of a value


class Value(Struct, frozen=True):
    """A setting in force: its `place` as in a file (`limits.budget`), what it is, and its `origin`."""

    place: str
    value: str
    origin: str


def values(
    configuration: Configuration,
    models: Mapping[str | None, Choice],
    default: Choice | None,
    flags: Mapping[str, Any],
) -> list[Value]:
    """Every setting in force: of roles, of what files say of providers, prices and clients, limits and the memory.

    `models` is what `-m` says by role, `default` the model of roles without any, `flags` are the limits, the
    bound of a reply, what is remembered and whether workers go out with batches, as flags have them. Raises
    `ConfigError` where the roles cannot work.
    """
    found = [value for part in configuration.team().parts() for value in _of_a_role(part, models, default, flags)]
    found += _merged(configuration, "limits", Limits(), flags)
    found += _merged(configuration, "memory", Memory(), flags)
    found += _of_providers(configuration)
    found += _of_tables(configuration, "prices")
    found += _of_tables(configuration, "clients")
    return found


def _of_a_role(
    part: Part, models: Mapping[str | None, Choice], default: Choice | None, flags: Mapping[str, Any]
) -> Iterator[Value]:
    choice = part.chosen(models) or (None if part.named else default)
    file, most, batch = part.source.name, flags.get("max_tokens"), flags.get("batch")
    said = {"batch"} if batch is not None and part.works else set[str]()
    if said:
        yield Value(f"{part.place}.batch", shown("batch", batch), "--batch" if batch else "--no-batch")
    if bounded := most is not None and part.bounded:
        part = part.within(most)
    if choice is not None:
        yield Value(f"{part.place}.model", ", ".join((choice.model, *choice.fallbacks)), choice.by)
    elif not part.named:
        yield Value(f"{part.place}.model", "none", DEFAULT)
    if not any(key in part.table for key in ("prompt", "prompt_file", "workflow")) and not part.inherits:
        yield Value(f"{part.place}.prompt", "the one that comes with Stretto", DEFAULT)
    for key, value in part.table.items():
        if key not in said and (choice is None or key not in {"model", "models"}):
            yield Value(
                f"{part.place}.{key}", shown(key, value), "--max-tokens" if bounded and key == "options" else file
            )


def _merged(
    configuration: Configuration, section: str, defaults: Limits | Memory, flags: Mapping[str, Any]
) -> Iterator[Value]:
    for key in defaults.__struct_fields__:
        told = [(f"--{key.replace('_', '-')}", flags[key])] if flags.get(key) is not None else []
        for layer in configuration.layers:
            table = layer.table.get(section, {})
            told += [(layer.name, table[key])] if key in table else []
        origin, value = told[0] if told else (DEFAULT, getattr(defaults, key))
        yield Value(f"{section}.{key}", shown(key, value), origin)


def _of_providers(configuration: Configuration) -> Iterator[Value]:
    """What files say of providers, and the base URLs that variables name."""
    yield from _of_tables(configuration, "providers")
    for name in dict.fromkeys([*KNOWN, *configuration.providers()]):
        held = variable(name, "BASE_URL")
        if url := os.environ.get(held, "").strip():
            yield Value(f"providers.{name}.base_url", shown("base_url", url), held)


def _of_tables(configuration: Configuration, section: str) -> Iterator[Value]:
    seen = set[tuple[str, str]]()
    for layer in configuration.layers:
        for name, table in layer.table.get(section, {}).items():
            quoted = name if name.isidentifier() else f'"{name}"'
            overruled = section == "providers" and os.environ.get(variable(name, "BASE_URL"), "").strip()
            for key, value in table.items():
                if (name, key) not in seen and not (overruled and key == "base_url"):
                    seen.add((name, key))
                    yield Value(f"{section}.{quoted}.{key}", shown(key, value), layer.name)


def shown(key: str, value: Any) -> str:
    """A value in few words; of texts their length, of headers their names, of a URL nothing that may be a secret."""
    if value is None:
        return "none"
    if key in _TEXTS:
        return f"{len(str(value)):,} characters"
    if key == "headers" and isinstance(value, Mapping):
        return f"{', '.join(value)} (not shown)"
    if key == "key_env":
        return str(value) if str(value).isidentifier() else "(not shown: no variable's name)"
    if key == "base_url":
        return safe(str(value))
    if isinstance(value, float):
        return f"{value:g}"
    written = value if isinstance(value, str) else msgspec.json.encode(value, enc_hook=str).decode()
    line = " ".join(written.split())
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…"
