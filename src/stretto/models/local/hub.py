"""GGUF files at Hugging Face, through `huggingface_hub`: its cache, its progress bar, its way to go on where it broke.

Source: https://huggingface.co/docs/huggingface_hub/package_reference/file_download.
"""

import hashlib
import importlib.util
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from msgspec import Struct

from stretto.errors import ConfigError
from stretto.ground.extras import installing
from stretto.ground.regex import regex
from stretto.models.local.gguf import parts

GET = "stretto models local --get"
"""The command that downloads a file."""
_AT_HUB = regex(r"([\w-][\w.-]*/[\w-][\w.-]*)/((?:[\w-][\w.-]*/)*[\w-][\w. -]*\.gguf)", re.ASCII)
_SHA256 = regex(r"[0-9a-f]{64}")


class HubFile(Struct, frozen=True):
    """A file in a repository at Hugging Face: `OWNER/REPO`, and its name there."""

    repository: str
    name: str

    def __str__(self) -> str:
        return f"{self.repository}/{self.name}"


def hub_file(name: str) -> HubFile | None:
    """The file that `OWNER/REPO/FILE.gguf` names, unless there is one at that path here."""
    apart = None if Path(name).expanduser().exists() else _AT_HUB.fullmatch(name)
    return HubFile(apart[1], apart[2]) if apart else None


def cached(file: HubFile) -> Path | None:
    """Where a file is that was downloaded before, whole; nobody is asked."""
    _need_library(file)
    from huggingface_hub import try_to_load_from_cache

    asked = [try_to_load_from_cache(file.repository, name) for name in _names(file)]
    found = [each for each in asked if isinstance(each, str)]
    return Path(found[0]) if len(found) == len(asked) else None


def size(file: HubFile) -> int | None:
    """How many bytes a download would bring, as Hugging Face says; None if it does not say."""
    _need_library(file)
    from huggingface_hub import hf_hub_download

    with _explained(file):
        told = [hf_hub_download(file.repository, name, dry_run=True) for name in _names(file)]
    sizes = [each.file_size for each in told if each.will_download and each.file_size is not None]
    return sum(sizes) or None


def download(file: HubFile) -> Path:
    """Get a file, with a progress bar on stderr, and check that it is what was published."""
    _need_library(file)
    from huggingface_hub import hf_hub_download

    with _explained(file):
        paths = [Path(hf_hub_download(file.repository, name)) for name in _names(file)]
    for path in paths:
        _check(path, file)
    return paths[0]


def downloaded() -> list[tuple[HubFile, Path]]:
    """The GGUF files in its cache; of a model in parts the first, which names it."""
    if importlib.util.find_spec("huggingface_hub") is None:
        return []
    from huggingface_hub import CacheNotFound, scan_cache_dir

    try:
        repositories = scan_cache_dir().repos
    except CacheNotFound:  # nothing was ever downloaded
        return []
    files = {
        HubFile(repository.repo_id, str(file.file_path.relative_to(revision.snapshot_path).as_posix()))
        for repository in repositories
        if repository.repo_type == "model"
        for revision in repository.revisions
        for file in revision.files
        if file.file_name.lower().endswith(".gguf")
    }
    first = [file for file in sorted(files, key=str) if _names(file)[0] == file.name]
    return [(file, path) for file in first if (path := cached(file)) is not None]


def _names(file: HubFile) -> list[str]:
    return [path.as_posix() for path in parts(Path(file.name))]


def _need_library(file: HubFile) -> None:
    if importlib.util.find_spec("huggingface_hub") is None:
        raise ConfigError(
            f"local:{file}: files at Hugging Face need huggingface_hub, which is not installed: {installing('local')}"
        )


def _check(path: Path, file: HubFile) -> None:
    """Its cache calls a large file by the checksum that was published; one that is something else is thrown away."""
    blob = path.resolve()
    if not _SHA256.fullmatch(blob.name):
        return
    with blob.open("rb") as data:
        found = hashlib.file_digest(data, "sha256").hexdigest()
    if found != blob.name:
        path.unlink()
        blob.unlink()
        raise ConfigError(f"local:{file}: what came is not what was published (its checksum differs); get it again")


@contextmanager
def _explained(file: HubFile) -> Iterator[None]:
    """Errors of the library in words that say what to do."""
    from huggingface_hub import constants, errors

    place, where = f"local:{file}", constants.ENDPOINT
    try:
        yield
    except errors.GatedRepoError as error:
        told = f"accept its terms at {where}/{file.repository}, and set HF_TOKEN to a token of yours"
        raise ConfigError(f"{place}: its makers want to know who takes it; {told}") from error
    except (errors.RepositoryNotFoundError, errors.RemoteEntryNotFoundError) as error:
        raise ConfigError(f"{place}: there is no such file; look at {where}/{file.repository}/tree/main") from error
    except errors.LocalEntryNotFoundError as error:
        raise ConfigError(f"{place}: {where} cannot be reached, and the file was not downloaded before") from error
    except OSError as error:  # a full disk, a connection that broke again and again
        raise ConfigError(f"{place}: not downloaded: {' '.join(str(error).split())[:300]}") from error
