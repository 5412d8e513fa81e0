"""Tables of a configuration become frozen structs; whatever does not fit is an error that names its place."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar, get_args, get_type_hints

import msgspec
from msgspec.structs import replace

from stretto.errors import ConfigError
from stretto.ground.amounts import A_COUNT, A_SHARE, A_TIME, dollars, read_as
from stretto.ground.files import failing_as, read_bytes, read_text
from stretto.ground.text import other_encoding
from stretto.models.providers import KNOWN, Local, Provider, split_model
from stretto.models.simulator import Simulator, parse_fault
from stretto.pool import AnyProvider
from stretto.shapes import check_schema
from stretto.types import Limits, Price, Role
from stretto.types.keywords import nearest_name

_T = TypeVar("_T")

_DURATIONS = frozenset({"timeout", "max_wait", "deadline", "connect", "first_byte", "silence", "ttft"})
_MONEY = frozenset({"budget", "budget_per_day"})
_COUNTS = frozenset({"tokens", "rpm", "tpm", "context", "share", "memory"})
_KINDS = {Simulator: "simulator", Local: "local", Provider: "endpoint"}
_IN_WORDS = {
    "int": "a whole number", "float": "a number", "str": "a text", "bool": "true or false", "object": "a table",
    "array": "a list", "null": "nothing",
}  # fmt: skip


def role_of(table: Mapping[str, Any], place: str, folder: Path | None) -> Role:
    """A role; its `prompt_file` and `schema_file` are looked for beside the file that names them."""
    facts = dict(table)
    check = facts.pop("check", None)
    if facts.get("model") == []:
        raise ConfigError(f"{place}.model: an empty list; name a model, and then its fallbacks if it has any")
    if "prompt_file" in facts:
        path = file_beside(facts.pop("prompt_file"), f"{place}.prompt_file", folder)
        try:
            with failing_as(ConfigError, f"{place}.prompt_file: {path}: cannot be read"):
                facts["prompt"] = read_text(path)
        except UnicodeDecodeError as error:
            raise ConfigError(f"{place}.prompt_file: {path}: not UTF-8 text (byte {error.start})") from error
    if "schema_file" in facts:
        path = file_beside(facts.pop("schema_file"), f"{place}.schema_file", folder)
        facts["schema"] = schema_at(path, f"{place}.schema_file: {path}")
    facts |= {key: _amount(key, facts[key], f"{place}.{key}") for key in ("context", "share") if key in facts}
    role = convert({"model": "", **facts}, Role, place)
    return role if check is None else replace(role, check=_check_of(check, f"{place}.check", folder))


def _check_of(check: Any, place: str, folder: Path | None) -> Role | str:
    """Who checks: a table like that of a role, or a text that says what to look at."""
    if isinstance(check, Mapping):
        return role_of(check, place, folder)
    if not isinstance(check, str):
        raise ConfigError(f"{place}: expected a text that says what to look at, or a table, got {check!r}"[:300])
    return check


def file_beside(file: Any, place: str, folder: Path | None) -> Path:
    """The file a `prompt_file` or `schema_file` means."""
    path = (folder or Path()) / convert(file, str, place)
    if path.exists() and not path.is_file():  # a pipe may hold whoever reads it up for ever
        raise ConfigError(f"{place}: {path}: a folder, pipe or device; name a file")
    return path


def schema_at(path: Path, place: str) -> dict[str, Any]:
    """The JSON schema in a file."""
    with failing_as(ConfigError, f"{place}: cannot be read", "; name a file with a JSON schema"):
        data = read_bytes(path).removeprefix(b"\xef\xbb\xbf")
    if other := other_encoding(data):
        raise ConfigError(f"{place}: {other}")
    try:
        schema: dict[str, Any] = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(f"{place}: not JSON: {error}") from error
    check_schema(schema, place)
    return schema


def limits_of(table: Mapping[str, Any], place: str) -> Limits:
    """Limits; what a table does not say has its default."""
    return convert(_amounts(table, place), Limits, place)


def price_of(model: str, table: Mapping[str, Any], place: str) -> Price:
    """What a model costs; a price that is below nothing is refused. A record of a run has prices of long calls, too."""
    split_model(model, place)
    facts: dict[str, Any] = {
        key: str(dollars(value, f"{place}.{key}"))
        for key, value in table.items()
        if key != "above" and not (key == "cached" and value is None)
    }
    facts["above"] = table.get("above", ())
    return convert(facts, Price, place)


def kind_of(name: str, table: Mapping[str, Any]) -> type[Simulator | Local | Provider]:
    """What a provider in a file is: `sim` the simulator, `local` the files of this machine, all else an endpoint."""
    own = {"sim": Simulator, "local": Provider if "base_url" in table else Local}
    return own.get(name, Provider)


def provider_of(name: str, table: Mapping[str, Any], place: str) -> AnyProvider:
    """A provider, on top of what is known about one of this name. A record of a run also says its `kind`."""
    facts = _amounts(table, place)
    kind = facts.pop("kind", _KINDS[kind_of(name, table)])
    if kind == "local":
        return convert(facts, Local, place)
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


def _amounts(table: Mapping[str, Any], place: str) -> dict[str, Any]:
    """The table with its times, money and counts read, however they are written."""
    return {key: _amount(key, value, f"{place}.{key}") for key, value in table.items()}


def _amount(key: str, value: Any, place: str) -> Any:
    if key in _MONEY and value is not None:
        return str(dollars(value, place))
    if not isinstance(value, str):
        return value
    if key in _DURATIONS:
        return seconds(value, place)
    if key in _COUNTS:
        return number(value, place)
    return share(value, place) if key == "hedge" else value


def seconds(text: str, place: str) -> float:
    """A time, or an error that says how one is written."""
    return float(read_as(A_TIME, text, place))


def number(text: str, place: str) -> float:
    """A count, or an error that says how one is written."""
    found: float = read_as(A_COUNT, text, place)
    return int(found) if found.is_integer() else found


def share(text: str, place: str) -> float:
    """A share, or an error that says how one is written."""
    return float(read_as(A_SHARE, text, place))


def meant(word: str, known: Iterable[str]) -> str:
    """The question whether another word was meant; empty if none comes near."""
    near = nearest_name(word, known)
    return f'; did you mean "{near}"?' if near else ""


def among(word: str, known: Iterable[str]) -> str:
    """Whether another word was meant, and all that there are."""
    known = list(known)
    near = meant(word, known)
    return f"{near}{' There' if near else '; there'} are {', '.join(known)}"


def convert(facts: Any, kind: type[_T], place: str) -> _T:
    """The facts as `kind`; a value of the wrong type is an error that says what was expected where."""
    try:
        return msgspec.convert(facts, kind)
    except msgspec.ValidationError as error:
        what, _, where = str(error).partition(" - at `$")
        what = re.sub(r"`([\w| ]+)`", lambda found: _in_words(found[1]), what)
        if "enum" in what:
            choices = get_args(get_type_hints(kind)[where.strip("`.").partition(".")[0]])
            what += f"; there are {', '.join(choices)}"
        raise ConfigError(f"{place}{where.rstrip('`').replace('[...]', '')}: {what[:1].lower()}{what[1:]}") from error


def _in_words(types: str) -> str:
    names = [name for name in types.split(" | ") if name != "null"] or ["null"]
    return " or ".join(_IN_WORDS.get(name, name) for name in names)
