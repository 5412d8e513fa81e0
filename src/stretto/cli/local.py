"""Models in GGUF files, for the commands: asking before a download, saying what is loaded, and which there are."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from stretto.cli.console import Console
from stretto.cli.diagnosis import Check
from stretto.errors import ConfigError
from stretto.models.providers import Local
from stretto.workflow import Workflow

# What `stretto.models.local` has is loaded with the first model that is a file: start-up time is a promise.


def prepare(workflow: Workflow, say: Callable[[str], None]) -> None:
    """Say which files will be loaded; get those that are not here, if the person at the terminal agrees.

    Without a terminal it is a `ConfigError` that names the command to get a file with.
    """
    for model, provider in _models(workflow):
        _get_if_wanted(model)
        say(f"{model}: {_told(workflow, model, provider)}; loaded with the first call")


def checks(workflow: Workflow) -> list[Check]:
    """Whether each model of a workflow that is in a file can be served; nothing is loaded."""
    found = []
    for model, provider in _models(workflow):
        try:
            found.append(Check(model, "ok", _told(workflow, model, provider)))
        except ConfigError as error:
            found.append(Check(model, "fault", str(error).removeprefix(f"{model}: ")))
    return found


def get(written: str) -> Path:
    """Download the file that `OWNER/REPO/FILE.gguf` names; who calls for that has agreed to it."""
    from stretto.models.local.hub import GET, download, hub_file

    file = hub_file(written.removeprefix("local:"))
    if file is None:
        raise ConfigError(f"{written!r} names no file at Hugging Face; write {GET} OWNER/REPO/FILE.gguf")
    return download(file)


def listed() -> Iterator[dict[str, Any]]:
    """The models in the current folder and in Hugging Face's cache: as -m takes them, with context and size."""
    from stretto.models.local.gguf import read
    from stretto.models.local.hub import downloaded

    here = [(str(path), path) for path in sorted(Path().glob("*.gguf"))]
    for name, path in [*here, *((str(file), path) for file, path in downloaded())]:
        try:
            model = read(path)
        except ConfigError:  # a part of one, or no language model: nothing that -m could name
            continue
        yield {"model": f"local:{name}", "context": model.trained, "size": model.size, "input": 0, "output": 0}


def _models(workflow: Workflow) -> Iterator[tuple[str, Local]]:
    for model in workflow.all_models:
        provider = workflow.providers[model.partition(":")[0]]
        if isinstance(provider, Local):
            yield model, provider


def _told(workflow: Workflow, model: str, provider: Local) -> str:
    """What serving a model amounts to; raises `ConfigError` if that cannot be."""
    from stretto.models.local.memory import gigabytes
    from stretto.models.local.model import server_for

    server = server_for(model, model.partition(":")[2], provider, workflow.definition.limits.parallel)
    return f"{gigabytes(server.model.size)}, {server.slots} calls at once, {server.context:,} tokens of context each"


def _get_if_wanted(model: str) -> None:
    from stretto.models.local.hub import cached, download, hub_file, size
    from stretto.models.local.memory import gigabytes

    file = hub_file(model.partition(":")[2])
    if file is None or cached(file) is not None or (console := Console.found()) is None:
        return
    much = f" ({gigabytes(bytes_)})" if (bytes_ := size(file)) else ""
    if asyncio.run(console.agrees(f"{model} is not here{much}. Download it? [y/N] ")):
        download(file)
