"""Which model to take when none is named: the first provider with a key, else a local server that answers."""

import asyncio
from collections.abc import Mapping

from stretto.errors import ConfigError
from stretto.models.providers import KNOWN, Provider, from_environment, key_of, variable

_PATIENCE = 1.0  # seconds a local server has to say which models it has


def with_key(providers: Mapping[str, Provider], environ: Mapping[str, str]) -> str | None:
    """The default model of the first provider whose key is in the environment."""
    for name, provider in providers.items():
        if provider.model and environ.get(provider.key_env or variable(name, "API_KEY"), "").strip():
            return f"{name}:{provider.model}"
    return None


async def local(providers: Mapping[str, Provider], environ: Mapping[str, str]) -> str | None:
    """The first model of the first local server that answers."""
    candidates = {name: provider for name, provider in providers.items() if provider.local}
    found = await asyncio.gather(*(_first_model(name, p, environ) for name, p in candidates.items()))
    return next((f"{name}:{model}" for name, model in zip(candidates, found, strict=True) if model), None)


async def _first_model(name: str, provider: Provider, environ: Mapping[str, str]) -> str | None:
    import aiohttp  # only when a local server has to be asked
    import msgspec

    provider = from_environment(name, provider, environ)
    key = key_of(name, provider, environ)
    headers = {**provider.headers, **({"Authorization": f"Bearer {key}"} if key else {})}
    try:
        async with (
            asyncio.timeout(_PATIENCE),
            aiohttp.ClientSession(trust_env=True) as session,
            session.get(f"{provider.base_url}/models", headers=headers) as response,
        ):
            listed = msgspec.json.decode(await response.read())
            return str(listed["data"][0]["id"])
    except (TimeoutError, aiohttp.ClientError, OSError, msgspec.MsgspecError, KeyError, IndexError, TypeError):
        return None  # whatever answers there, it is no server for us


def none_found() -> ConfigError:
    """What to say when there is no model at all."""
    keys = ", ".join(p.key_env for p in KNOWN.values() if p.key_env)
    servers = ", ".join(name for name, provider in KNOWN.items() if provider.local)
    return ConfigError(
        "no model: none is named, no key is set and no local server answers. Ways to go on:\n"
        "  stretto demo                      the main job on the built-in simulator, no key needed\n"
        "  stretto run -m PROVIDER:MODEL …   name a model (or set STRETTO_MODEL, or write it into stretto.toml)\n"
        f"  export TOGETHER_API_KEY=…         any of {keys}\n"
        f"  start a local server              {servers}"
    )
