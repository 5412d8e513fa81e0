"""Where the model under test is, for Stretto and for a bare client alike."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from msgspec import Struct

from stretto.errors import ConfigError
from stretto.models.providers import KNOWN, from_environment, key_of, split_model


class Endpoint(Struct, frozen=True):
    """A model behind an OpenAI-compatible server: as Stretto writes it, and its address, name and key."""

    model: str
    url: str
    name: str
    key: str | None = None

    @property
    def headers(self) -> dict[str, str]:
        """What a request must carry."""
        return {"Authorization": f"Bearer {self.key}"} if self.key else {}


@asynccontextmanager
async def opened(written: str) -> AsyncIterator[Endpoint]:
    """The endpoint of `provider:model`, which is running; raises `ConfigError` for what cannot be asked."""
    if written.endswith(".gguf"):
        raise ConfigError(
            f"--model: {written}: nothing serves a file yet; serve it and name the server: LLAMACPP_BASE_URL=… "
            "--model llamacpp:NAME"
        )
    provider, name = split_model(written, "--model")
    if provider not in KNOWN:
        raise ConfigError(f"--model: {provider!r} has no address to be asked at; known are {', '.join(KNOWN)}")
    known = from_environment(provider, KNOWN[provider], os.environ)
    yield Endpoint(written, known.base_url, name, key_of(provider, known, os.environ))
