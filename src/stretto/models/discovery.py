"""Which model to take when none is named: the first provider with a key, else a local server that answers."""

import asyncio
import re
from collections.abc import Mapping
from typing import Any

from stretto.errors import ConfigError, MissingKey
from stretto.models.providers import KNOWN, Provider, address, from_environment, key_of, variable

_PATIENCE = 1.0  # seconds a local server has to say which models it has
_LISTING = 2**22  # bytes of a listing; what is longer is none
_NO_CHAT = re.compile(r"embed|rerank|whisper|tts|ocr", re.IGNORECASE)  # local servers list those too


def with_key(providers: Mapping[str, Provider], environ: Mapping[str, str]) -> str | None:
    """The default model of the first provider whose key is in the environment."""
    for name, provider in providers.items():
        variables = (provider.key_env, variable(name, "API_KEY"))
        if provider.model and any(environ.get(v, "").strip() for v in variables if v):
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

    from stretto.models.http import proxy_for

    provider = from_environment(name, provider, environ)
    try:
        key = key_of(name, provider, environ)
    except MissingKey:
        return None  # it could not be used
    url = address(provider.base_url, "/models")
    headers = {**({"Authorization": f"Bearer {key}"} if key else {}), **provider.headers}
    try:
        async with (
            asyncio.timeout(_PATIENCE),
            aiohttp.ClientSession() as session,
            session.get(url, headers=headers, proxy=proxy_for(url), allow_redirects=False) as response,
        ):
            listing = b""
            while len(listing) < _LISTING and (data := await response.content.readany()):
                listing += data
    except (TimeoutError, aiohttp.ClientError, OSError):
        return None
    try:
        return _model_in(msgspec.json.decode(listing))
    except (msgspec.MsgspecError, ValueError):
        return None  # whatever answers there, it is no server for us


def _model_in(listed: Any) -> str | None:
    """The first model of a listing that can chat, as far as its name tells."""
    models = listed.get("data") if isinstance(listed, dict) else None
    ids = [
        m["id"]
        for m in (models if isinstance(models, list) else ())
        if isinstance(m, dict) and isinstance(m.get("id"), str) and m["id"]
    ]
    return next((id_ for id_ in ids if not _NO_CHAT.search(id_)), None)


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
