"""Which models an endpoint has.

Sources: https://platform.openai.com/docs/api-reference/models/list; https://platform.claude.com/docs/en/api/models-list.
"""

import asyncio
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import msgspec
from msgspec import Struct

from stretto import errors
from stretto.ground.text import clean
from stretto.models.http import FAILURES, Http, body_of, failure
from stretto.models.providers import Provider, address, from_environment, headers_of, key_of
from stretto.models.refusals import refusal, request_id
from stretto.models.secrets import Secrets

_LARGEST = 2**24  # bytes of a listing; the longest known (openrouter's) has half a million
_ANTHROPIC = "api.anthropic.com"  # its list alone is not as OpenAI's
_CONTEXT = ("context_length", "context_window", "max_model_len", "max_context_length", "max_input_tokens")
"""What endpoints call the tokens a model takes: openrouter and together, groq, vllm, mistral, anthropic."""


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
