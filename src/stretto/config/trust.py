"""What a file that merely lies in the current folder may say without its user's word, and what it may not.

Who clones a repository has not chosen its `stretto.toml`. What is listed here as harmless counts at once; all else is
a `Claim`, for which the user gives their word once, and which is then remembered (`Words`).
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from stretto.config.origins import shown
from stretto.config.reading import Source, names_a_file, read_file
from stretto.errors import ConfigError
from stretto.ground.files import failing_as, resolved, write_private
from stretto.models.addresses import is_here
from stretto.models.providers import KNOWN, variable
from stretto.run.roles import DEEPEST

_ROLE = frozenset(
    {"model", "prompt", "system", "options", "about", "stream", "schema"}
    | {"models", "samples", "merge", "context", "share", "batch", "expired"}
)
_LIMITS = frozenset(
    {"parallel", "max_subtasks", "rounds", "rpm", "tpm", "deadline", "hedge", "attempts", "timeout", "max_wait"}
)
_CEILINGS = frozenset({"budget", "budget_per_day", "tokens"})
_MEMORY = frozenset({"reuse", "reuse_sampled", "record"})
_PROVIDER = frozenset(
    {"schema", "stream_usage", "images", "parallel", "rpm", "tpm", "model", "connect", "first_byte", "silence"}
    | {"batches"}
)
_IN_FILES = "local"  # the provider of models in files
_SIMULATOR = "sim"


class Claim(Struct, frozen=True):
    """Something in a file that needs its user's word: its `place`, what is `said` there, and as what it is known."""

    place: str
    said: str
    mark: str


def claims(source: Source) -> list[Claim]:
    """What of a file may need its user's word; a file that does subtasks is looked into too."""
    return _claims(source, lambda _name: False, None)


def is_harmless(source: Source, others: Sequence[Source], environ: Mapping[str, str]) -> bool:
    """Whether a file needs nobody's word; `others` are the layers that it is merged with.

    Such a file can have no key, and no file that it was not given with, sent to another machine, and lifts no ceiling
    of the user's own. It may name servers of this machine that have no key, or one that is called after them.
    """
    return not _claims(source, lambda name: _is_nobodys(name, source, others, environ), others)


def _claims(source: Source, nobodys: Callable[[str], bool], others: Sequence[Source] | None) -> list[Claim]:
    found = [
        *_of_roles(source, (source.folder or Path()).resolve(), 1),
        *_of_providers(source, nobodys),
        *_of_prices(source, nobodys),
    ]
    found += [_claim("clients", name, table) for name, table in source.table.get("clients", {}).items()]
    limits = source.table.get("limits", {})
    found += [_claim("limits", key, value) for key, value in limits.items() if not _is_bound(key, value, others)]
    return [*found, *_rest(source.table.get("memory", {}), _MEMORY, "memory")]


def _claim(place: str, key: str, value: Any) -> Claim:
    return Claim(f"{place}.{key}", shown(key, value), msgspec.json.encode(value, enc_hook=str).decode())


def _rest(table: Mapping[str, Any], harmless: frozenset[str], place: str) -> list[Claim]:
    return [_claim(place, key, value) for key, value in table.items() if key not in harmless]


def _of_roles(source: Source, root: Path, depth: int) -> Iterator[Claim]:
    roles = {name: source.table.get(name) for name in ("orchestrator", "synthesizer")}
    workers = source.table.get("workers", {})
    for place, table in {**roles, **{f'workers."{name}"': worker for name, worker in workers.items()}}.items():
        if isinstance(table, dict):
            yield from _of_role(table, place, source, root, depth)


def _of_role(table: Mapping[str, Any], place: str, source: Source, root: Path, depth: int) -> Iterator[Claim]:
    for key, value in table.items():
        if (key in _ROLE and not _is_native(key, value)) or (key == "check" and isinstance(value, str)):
            continue
        if key == "check" and isinstance(value, dict):
            yield from _of_role(value, f"{place}.check", source, root, depth)
        elif key in {"prompt_file", "schema_file"}:
            yield from _of_file((source.folder or Path()) / str(value), f"{place}.{key}", str(value), root)
        elif key == "workflow" and isinstance(value, str):
            if names_a_file(value):  # else it is a preset
                yield from _of_workflow((source.folder or Path()) / value, f"{place}.{key}", value, root, depth)
        else:
            yield _claim(place, key, value)


def _is_native(key: str, value: Any) -> bool:
    """Whether these are models in files: to load one is to give a stranger's bytes to native code, or to fetch them."""
    models = value if isinstance(value, list) else [value]
    return key in {"model", "models"} and any(str(model).startswith(f"{_IN_FILES}:") for model in models)


def _of_file(file: Path, place: str, written: str, root: Path) -> Iterator[Claim]:
    """A file that is sent: one that is hidden, or outside of the folder (by a link, too), is more than it was given."""
    try:
        found = resolved(file)
    except (OSError, ValueError):  # a circle of links, or no name of a file
        found = Path(os.path.abspath(file))  # noqa: PTH100 - without following links
    inside = found.is_relative_to(root) and not any(part.startswith(".") for part in found.relative_to(root).parts)
    if not inside:
        yield Claim(
            place, f"{written} ({'hidden' if found.is_relative_to(root) else 'outside of the folder'})", str(found)
        )


def _of_workflow(file: Path, place: str, written: str, root: Path, depth: int) -> Iterator[Claim]:
    yield from _of_file(file, place, written, root)
    if depth < DEEPEST and file.is_file():
        with suppress(ConfigError):  # whoever uses it says what is wrong with it
            for claim in _of_roles(read_file(file), root, depth + 1):
                yield Claim(f"{place}: {claim.place}", claim.said, claim.mark)


def _of_providers(source: Source, nobodys: Callable[[str], bool]) -> Iterator[Claim]:
    for name, table in source.table.get("providers", {}).items():
        if name == _SIMULATOR:
            continue
        place, known, own = f"providers.{name}", KNOWN.get(name), nobodys(name)
        for claim in _rest(table, _PROVIDER, place):
            key = claim.place.removeprefix(f"{place}.")
            value = table[key]
            usual = known is not None and value == getattr(known, key, None)
            if not (usual or (key in {"base_url", "local", "key_env"} and own) or (key == "headers" and not value)):
                yield claim


def _is_nobodys(name: str, source: Source, others: Sequence[Source], environ: Mapping[str, str]) -> bool:
    """Whether a provider is a server of this machine that no key goes to but its own."""
    table = source.table.get("providers", {}).get(name, {})
    known = KNOWN.get(name)
    url = str(table.get("base_url", known.base_url if known and known.local else ""))
    secrets = {str(table.get("key_env") or ""), known.key_env or "" if known else ""}
    if environ.get(unnamed := variable(name, "API_KEY"), "").strip():
        secrets.add(unnamed)  # it is sent where no other is named
    elsewhere = any(name in other.table.get("providers", {}) for other in others)
    return is_here(url) and "?" not in url and not table.get("headers") and not elsewhere and secrets <= _own_keys(name)


def _own_keys(name: str) -> frozenset[str]:
    """Variables whose key is a server's own, because they are called after it; and that there is none.

    A name of several words could be made so that any variable is called after it.
    """
    if not name.isalnum() or any(provider.key_env == variable(name, "API_KEY") for provider in KNOWN.values()):
        return frozenset({""})
    return frozenset({"", variable(name, "API_KEY"), variable(name, "KEY")})


def _of_prices(source: Source, nobodys: Callable[[str], bool]) -> Iterator[Claim]:
    """A price that is too low lifts every budget; what is served here costs nothing anyway."""
    for model, table in source.table.get("prices", {}).items():
        name = model.partition(":")[0]
        if name != _SIMULATOR and not nobodys(name):
            yield _claim("prices", f'"{model}"', table)


def _is_bound(key: str, value: Any, others: Sequence[Source] | None) -> bool:
    """Whether a limit binds no less than what is there without it."""
    if key in _CEILINGS:
        return others is not None and all(other.table.get("limits", {}).get(key, value) == value for other in others)
    return key in _LIMITS or (key, value) == ("unpriced", "refuse")


class Words(Struct, frozen=True):
    """The user's word for files, remembered in a folder of theirs: for each file, what it claimed when it was given.

    Remembered is a digest of the claims, not of the file: to edit a prompt of one's own asks nobody anything.
    """

    folder: Path

    def hold(self, file: Path, claimed: Sequence[Claim]) -> bool:
        """Whether the user has given their word for a file that claims this."""
        return _digest(claimed) in self._given(file)

    def give(self, file: Path, claimed: Sequence[Claim]) -> None:
        """Remember it; raises `ConfigError` where nothing can be written."""
        given = dict.fromkeys([*self._given(file), _digest(claimed)])
        place = self._place(file)
        try:
            for folder in (self.folder.parent, self.folder):
                folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            write_private(place, [f"{line}\n".encode() for line in (_named(file), *given)])
        except OSError as error:
            raise ConfigError(
                f"{place}: cannot be written ({error.strerror or error}), so nothing is remembered; name the file "
                f"with -w {file}"
            ) from error

    def withdraw(self, file: Path) -> bool:
        """Forget it; whether there was anything to forget."""
        place = self._place(file)
        with failing_as(ConfigError, f"{place}: cannot be removed"):
            there = place.exists()
            place.unlink(missing_ok=True)
        return there

    def _given(self, file: Path) -> list[str]:
        try:
            name, *digests = self._place(file).read_text("utf-8").splitlines()
        except (OSError, ValueError):  # none was given, or nothing that can be read
            return []
        return digests if name == _named(file) else []

    def _place(self, file: Path) -> Path:
        return self.folder / sha256(_named(file).encode()).hexdigest()[:32]


def _named(file: Path) -> str:
    """The file as there is only one of it, in a line."""
    return repr(str(file.resolve()))


def _digest(claimed: Sequence[Claim]) -> str:
    return sha256(msgspec.json.encode(sorted((claim.place, claim.mark) for claim in claimed))).hexdigest()
