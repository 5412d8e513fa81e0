"""Tables of a configuration become frozen structs; whatever does not fit is an error that names its place."""

import difflib
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar, get_args

import msgspec

from stretto.errors import ConfigError
from stretto.models.providers import KNOWN, Provider, SchemaMode
from stretto.models.simulator import Simulator, parse_fault
from stretto.pool import AnyProvider
from stretto.types import Limits, Role

_T = TypeVar("_T")

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "": 1.0}
_TIME = re.compile(r"\s*(\d+\.?\d*|\.\d+)\s*(ms|s|m|h|)\s*")
_DURATIONS = frozenset({"timeout", "max_wait", "connect", "first_byte", "silence", "ttft"})
_IN_WORDS = {
    "int": "a whole number", "float": "a number", "str": "a text", "bool": "true or false", "object": "a table",
    "array": "a list", "null": "nothing",
}  # fmt: skip


def role_of(table: Mapping[str, Any], place: str, folder: Path | None) -> Role:
    """A role; its `prompt_file` is looked for beside the file that names it."""
    facts = dict(table)
    if isinstance(facts.get("model"), list):
        raise ConfigError(f"{place}.model: one model as provider:model, not a list")
    if "prompt_file" in facts:
        path = prompt_path(facts.pop("prompt_file"), place, folder)
        try:
            facts["prompt"] = path.read_text(encoding="utf-8-sig")
        except OSError as error:
            raise ConfigError(f"{place}.prompt_file: {path}: cannot be read: {error.strerror or error}") from error
        except UnicodeDecodeError as error:
            raise ConfigError(f"{place}.prompt_file: {path}: not UTF-8 text (byte {error.start})") from error
    return convert({"model": "", **facts}, Role, place)


def prompt_path(file: Any, place: str, folder: Path | None) -> Path:
    """The file a `prompt_file` means."""
    return (folder or Path()) / convert(file, str, f"{place}.prompt_file")


def limits_of(table: Mapping[str, Any], place: str) -> Limits:
    """Limits; what a table does not say has its default."""
    return convert(_durations(table, place), Limits, place)


def provider_of(name: str, table: Mapping[str, Any], place: str) -> AnyProvider:
    """A provider, on top of what is known about one of this name. A record of a run also says its `kind`."""
    facts = _durations(table, place)
    kind = facts.pop("kind", "simulator" if name == "sim" else "endpoint")
    if kind == "simulator":
        if isinstance(faults := facts.get("faults"), list):
            facts["faults"] = [_fault(fault, f"{place}.faults") for fault in faults]
        try:
            return convert(facts, Simulator, place)
        except ConfigError as error:  # of the simulator's own checks, which know no place
            text = str(error)
            raise error if text.startswith(place) else ConfigError(f"{place}: {text}") from error
    known = KNOWN.get(name)
    if known is None and "base_url" not in facts:
        raise ConfigError(f'{place}: base_url is missing, for example base_url = "http://localhost:8000/v1"')
    return convert({**(msgspec.to_builtins(known) if known else {}), **facts}, Provider, place)


def _fault(written: Any, place: str) -> Any:
    if not isinstance(written, str):
        return written
    try:
        return msgspec.to_builtins(parse_fault(written))
    except ConfigError as error:
        raise ConfigError(f"{place}: {error}") from error


def _durations(table: Mapping[str, Any], place: str) -> dict[str, Any]:
    return {
        key: seconds(value, f"{place}.{key}") if key in _DURATIONS and isinstance(value, str) else value
        for key, value in table.items()
    }


def seconds(text: str, place: str) -> float:
    """`90s`, `10m`, `1.5h`, `250ms` or a number of seconds."""
    found = _TIME.fullmatch(text)
    if found is None:
        raise ConfigError(f"{place}: {text!r} is no time; write seconds, or 250ms, 20s, 10m, 1h")
    return float(found[1]) * _SECONDS[found[2]]


def nearest(word: str, known: Iterable[str]) -> str:
    """The question whether another word was meant; empty if none comes near."""
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)
    return f'; did you mean "{near[0]}"?' if near else ""


def convert(facts: Any, kind: type[_T], place: str) -> _T:
    """The facts as `kind`; a value of the wrong type is an error that says what was expected where."""
    try:
        return msgspec.convert(facts, kind)
    except msgspec.ValidationError as error:
        what, _, where = str(error).partition(" - at `$")
        what = re.sub(r"`([\w| ]+)`", lambda found: _in_words(found[1]), what)
        if "enum" in what:
            what += f"; there are {', '.join(get_args(SchemaMode))}"
        raise ConfigError(f"{place}{where.rstrip('`').replace('[...]', '')}: {what[:1].lower()}{what[1:]}") from error


def _in_words(types: str) -> str:
    names = [name for name in types.split(" | ") if name != "null"] or ["null"]
    return " or ".join(_IN_WORDS.get(name, name) for name in names)
