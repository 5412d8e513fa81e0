"""Which model to take when none is named: the first provider with a key, else a local server that answers."""

import asyncio
import re
from collections.abc import Mapping

from stretto.errors import CallError, ConfigError, MissingKey
from stretto.ground.regex import regex
from stretto.models.providers import KNOWN, Provider, keys_held

_PATIENCE = 1.0  # seconds a local server has to say which models it has
_NO_CHAT = regex(r"embed|rerank|whisper|tts|ocr", re.IGNORECASE)  # local servers list those too


def with_key(providers: Mapping[str, Provider], environ: Mapping[str, str]) -> str | None:
    """The default model of the first provider whose key is in the environment."""
    for name, provider in providers.items():
        if provider.model and keys_held(name, provider, environ):
            return f"{name}:{provider.model}"
    return None


async def local(providers: Mapping[str, Provider], environ: Mapping[str, str]) -> str | None:
    """The first model of the first local server that answers."""
    from stretto.models.http import Http  # only when a local server has to be asked
    from stretto.models.listing import listing

    async def first(name: str, provider: Provider) -> str | None:
        try:
            models = await listing(name, provider, environ, http, _PATIENCE)
        except (MissingKey, CallError):
            return None  # it could not be used, or whatever answers there is no server for us
        return next((model.name for model in models if not _NO_CHAT.search(model.name)), None)

    candidates, http = {name: provider for name, provider in providers.items() if provider.local}, Http()
    try:
        found = await asyncio.gather(*(first(name, provider) for name, provider in candidates.items()))
    finally:
        await http.close()
    return next((f"{name}:{model}" for name, model in zip(candidates, found, strict=True) if model), None)


def none_found() -> ConfigError:
    """What to say when there is no model at all."""
    from stretto.ground.extras import installing

    keys = ", ".join(p.key_env for p in KNOWN.values() if p.key_env)
    servers = ", ".join(name for name, provider in KNOWN.items() if provider.local)
    return ConfigError(
        "no model: none is named, no key is set and no local server answers. Ways to go on:\n"
        "  stretto demo                      the main job on the built-in simulator, no key needed\n"
        "  stretto run -m PROVIDER:MODEL …   name a model (or set STRETTO_MODEL, or write it into stretto.toml)\n"
        f"  export TOGETHER_API_KEY=…         any of {keys}\n"
        f"  start a local server              {servers}\n"
        f"  stretto run -m local:FILE.gguf …  a model in a file ({installing('local')})"
    )
