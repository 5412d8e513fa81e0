"""How many tokens a server's models take, asked where the server tells.

What counts is what the server was started or has loaded the model with, not what the model was trained for. Sources:
https://github.com/ggml-org/llama.cpp/tree/master/tools/server (`/props`: `n_ctx` is that of one slot),
https://docs.ollama.com/api (`/api/ps`, `/api/show`), https://lmstudio.ai/docs/developer/rest/endpoints
(`/api/v0/models`); all others say it in their list of models (`stretto.models.listing`).
"""

import asyncio
import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import aiohttp
import msgspec

from stretto.ground.regex import regex
from stretto.models.http import Http
from stretto.models.listing import Listed, count_of, listing
from stretto.models.providers import Provider, from_environment, headers_of, is_here
from stretto.types import Known

_NUM_CTX = regex(r"^\s*num_ctx\s+(\d+)", re.MULTILINE)
_OLLAMA = 4096  # tokens with which Ollama loads a model, if nothing is said and there is no large graphics card
_OTHERS = 8  # models that are told in place of one that is not listed
_LARGEST = 2**20  # bytes of an answer
_VLLM, _LM_STUDIO = "uvicorn", "express"  # what they are made with


def tells(headers: Mapping[str, str]) -> bool:
    """Whether the headers of a reply are those of a server that says how much its models take.

    Any other is asked for replies alone: there are endpoints that know nothing else, and count or log what they are
    asked. `headers` must not care about case.
    """
    server = headers.get("server", "").lower()
    return "llama.cpp" in server or _VLLM in server or _LM_STUDIO in headers.get("x-powered-by", "").lower()


async def contexts(
    name: str, provider: Provider, models: Sequence[str], environ: Mapping[str, str], http: Http, patience: float
) -> dict[str, Known]:
    """What a provider's endpoint says of these models within `patience` seconds: the tokens they take, if it does.

    Of a server on this machine also what it lists in place of one that it does not list. Raises the `CallError` or
    `ConfigError` that says why it cannot be asked.
    """
    provider = from_environment(name, provider, environ)
    async with asyncio.timeout(patience):
        listed = await listing(name, provider, environ, http, patience)
        found = {model: _listed(model, listed) for model in models}
        if listed and is_here(provider):
            for model in models:
                found[model] = found[model] or await _native(provider, model, http)
    here = listed if is_here(provider) else ()
    return {model: Known(context, others=others_than(model, here)) for model, context in found.items()}


def others_than(model: str, listed: Sequence[Listed]) -> tuple[str, ...]:
    """The models that are listed in place of one; none if it is among them, or if none is listed."""
    names = [each.name for each in listed]
    return () if {model, f"{model}:latest"} & set(names) else tuple(names[:_OTHERS])


def _listed(model: str, listed: Sequence[Listed]) -> int | None:
    """What an endpoint's list says of a model; a server of one model answers to every name."""
    same = [each for each in listed if each.name == model] or (listed if len(listed) == 1 else [])
    return same[0].context if same else None


async def _native(provider: Provider, model: str, http: Http) -> int | None:
    """What a local server says of a model beside its list, in whichever way it does."""
    told = await asyncio.gather(
        _of_llamacpp(provider, http), _of_lmstudio(provider, model, http), _of_ollama(provider, model, http)
    )
    return next((context for context in told if context), None)


async def _of_llamacpp(provider: Provider, http: Http) -> int | None:
    body = await _said(provider, http, "/props")
    return count_of(_in(_in(body, "default_generation_settings"), "n_ctx"))


async def _of_lmstudio(provider: Provider, model: str, http: Http) -> int | None:
    listed = _in(await _said(provider, http, "/api/v0/models"), "data")
    same = [each for each in listed if _in(each, "id") == model] if isinstance(listed, list) else []
    return next((count_of(_in(each, "loaded_context_length")) for each in same), None)


async def _of_ollama(provider: Provider, model: str, http: Http) -> int | None:
    loaded = _in(await _said(provider, http, "/api/ps"), "models")
    if not isinstance(loaded, list):
        return None
    for each in loaded:
        if _in(each, "model") in {model, f"{model}:latest"} and (found := count_of(_in(each, "context_length"))):
            return found
    shown = await _said(provider, http, "/api/show", {"model": model})
    if not isinstance(shown, dict):
        return None
    told = _NUM_CTX.search(str(shown.get("parameters") or ""))
    return int(told[1]) if told else _OLLAMA


async def _said(provider: Provider, http: Http, path: str, asked: Any = None) -> Any:
    """What a server answers beside `/v1`, as JSON; None if it does not know that path."""
    parts = urlsplit(provider.base_url)
    url = urlunsplit(parts._replace(path=parts.path.rstrip("/").removesuffix("/v1") + path, query="", fragment=""))
    method = "GET" if asked is None else "POST"
    try:
        async with http.request(method, url, json=asked, headers=headers_of(provider)) as response:
            body = await response.content.read(_LARGEST) if response.status == 200 else b""
            while body and not response.content.at_eof() and len(body) < _LARGEST:
                body += await response.content.read(_LARGEST - len(body))
    except (aiohttp.ClientError, OSError):
        return None  # the next one may know it
    try:
        return msgspec.json.decode(body) if body else None
    except (msgspec.DecodeError, ValueError, RecursionError):
        return None


def _in(body: Any, key: str) -> Any:
    return body.get(key) if isinstance(body, dict) else None
