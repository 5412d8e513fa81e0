"""Which models an endpoint has, and how many tokens they take, asked where a server tells.

That is what the server was started or has loaded the model with, not what the model was trained for. Sources:
https://platform.openai.com/docs/api-reference/models/list; https://platform.claude.com/docs/en/api/models-list;
https://github.com/ggml-org/llama.cpp/tree/master/tools/server (`/props`: `n_ctx` is that of one slot),
https://docs.ollama.com/api (`/api/ps`, `/api/show`), https://lmstudio.ai/docs/developer/rest/endpoints
(`/api/v0/models`); all others say it in their list of models.
"""

import asyncio
import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import aiohttp
import msgspec
from msgspec import Struct

from stretto import errors
from stretto.ground.regex import regex
from stretto.ground.text import clean
from stretto.models.http import FAILURES, Http, body_of, failure
from stretto.models.providers import Provider, address, from_environment, headers_of, is_here, key_of
from stretto.models.refusals import refusal, request_id
from stretto.models.secrets import Secrets
from stretto.types import Known

_LARGEST = 2**24  # bytes of a listing; the longest known (openrouter's) has half a million
_ANTHROPIC = "api.anthropic.com"  # its list alone is not as OpenAI's
_CONTEXT = ("context_length", "context_window", "max_model_len", "max_context_length", "max_input_tokens")
"""What endpoints call the tokens a model takes: openrouter and together, groq, vllm, mistral, anthropic."""

_NUM_CTX = regex(r"^\s*num_ctx\s+(\d+)", re.MULTILINE)
_OLLAMA = 4096  # tokens with which Ollama loads a model, if nothing is said and there is no large graphics card
_OTHERS = 8  # models that are told in place of one that is not listed
_LONGEST = 2**20  # bytes of an answer
_VLLM, _LM_STUDIO = "uvicorn", "express"  # what they are made with


class Listed(Struct, frozen=True):
    """A model as its endpoint lists it: `name`, and `context`, the tokens it takes, if the endpoint says so."""

    name: str
    context: int | None = None


async def listing(
    name: str, provider: Provider, environ: Mapping[str, str], http: Http, patience: float
) -> list[Listed]:
    """The models of a provider, as its endpoint lists them (GET `/models`), within `patience` seconds.

    Raises `ConfigError` (`MissingKey`) before anything is sent, else the `CallError` that says what is wrong there.
    """
    provider = from_environment(name, provider, environ)
    key = key_of(name, provider, environ)
    url = address(provider.base_url, "/models")
    where = f"{name} at {url.partition('?')[0]}"  # a query may hold a key
    secrets = Secrets(key, provider.headers, url)
    try:
        async with asyncio.timeout(patience):
            return await _listed(http, url, _headers(provider, key, url), where)
    except FAILURES as error:
        told = failure(error, where, began=False, late=f"no list of models within {patience:g} s")
    except errors.CallError as error:
        told = error
    raise type(told)(clean(secrets.hidden(str(told))), status=told.status, request_id=told.request_id) from None


def _headers(provider: Provider, key: str | None, url: str) -> dict[str, str]:
    headers = headers_of(provider, key)
    if key and urlsplit(url).hostname == _ANTHROPIC:
        headers.pop("Authorization", None)
        headers |= {"x-api-key": key, "anthropic-version": "2023-06-01"}
    return headers


async def _listed(http: Http, url: str, headers: Mapping[str, str], where: str) -> list[Listed]:
    query = {"limit": "1000"} if urlsplit(url).hostname == _ANTHROPIC else None  # else it is twenty
    async with http.request("GET", url, headers=headers, params=query) as response:
        body = await body_of(response, _LARGEST, where, "that is no list of models")
        if response.status != 200:
            raise _refused(response, body.decode("utf-8", "replace"), where)
    try:
        return _read(msgspec.json.decode(body))
    except (msgspec.DecodeError, ValueError, RecursionError):
        kind = response.content_type
        raise errors.ReplyError(
            f"{where}: what answers there ({kind}) is no list of models; check the base URL, which ends before /models"
        ) from None


def _refused(response: aiohttp.ClientResponse, body: str, where: str) -> errors.CallError:
    status, named = response.status, request_id(response.headers)
    if 300 <= status < 400:
        place = response.headers.get("Location", "elsewhere").partition("?")[0]
        return errors.RequestError(
            f"{where}: {status}: it leads to {place[:200]}; make that the base URL", status=status
        )
    if status in {404, 405, 501}:
        said = (
            f"{where}: {status}: it lists no models there; its models can be named all the same (-m), if the base URL"
        )
        return errors.RequestError(f"{said} ends where /chat/completions begins", status=status, request_id=named)
    return refusal(status, response.headers, body, where, named)


def _read(listed: Any) -> list[Listed]:
    """The models in a listing; together's is a list, all others' have it under `data`."""
    models = listed.get("data") if isinstance(listed, dict) else listed
    if not isinstance(models, list):
        raise ValueError("no list")  # noqa: TRY004 - what was read is not what was wanted
    return [
        Listed(clean(model["id"]), _context(model))
        for model in models
        if isinstance(model, dict) and isinstance(model.get("id"), str) and model["id"]
    ]


def _context(model: dict[str, Any]) -> int | None:
    """The tokens that a listed model takes; of llama.cpp, what its server was started with, not what it could."""
    meta = model.get("meta")
    told = (*(model.get(key) for key in _CONTEXT), meta.get("n_ctx") if isinstance(meta, dict) else None)
    return next((found for value in told if (found := count_of(value))), None)


def count_of(value: Any) -> int | None:
    """The number of tokens that a value is, if it is one."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None


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
        found = {model: _known_of(model, listed) for model in models}
        if listed and is_here(provider):
            for model in models:
                found[model] = found[model] or await _native(provider, model, http)
    here = listed if is_here(provider) else ()
    return {model: Known(context, others=others_than(model, here)) for model, context in found.items()}


def others_than(model: str, listed: Sequence[Listed]) -> tuple[str, ...]:
    """The models that are listed in place of one; none if it is among them, or if none is listed."""
    names = [each.name for each in listed]
    return () if {model, f"{model}:latest"} & set(names) else tuple(names[:_OTHERS])


def _known_of(model: str, listed: Sequence[Listed]) -> int | None:
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
            body = await response.content.read(_LONGEST) if response.status == 200 else b""
            while body and not response.content.at_eof() and len(body) < _LONGEST:
                body += await response.content.read(_LONGEST - len(body))
    except (aiohttp.ClientError, OSError):
        return None  # the next one may know it
    try:
        return msgspec.json.decode(body) if body else None
    except (msgspec.DecodeError, ValueError, RecursionError):
        return None


def _in(body: Any, key: str) -> Any:
    return body.get(key) if isinstance(body, dict) else None
