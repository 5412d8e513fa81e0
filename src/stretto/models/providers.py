"""The providers known by name, and what a provider is."""

import re
from collections.abc import Mapping
from typing import Literal
from urllib.parse import urlsplit, urlunsplit

from msgspec import Struct
from msgspec.structs import replace

from stretto.errors import ConfigError, MissingKey
from stretto.ground.regex import regex
from stretto.models import addresses
from stretto.types.keywords import Keyworded

PATH = "/chat/completions"
_TOKEN = regex(r"[!#$%&'*+.^_`|~\w-]+", re.ASCII)  # a header's name: RFC 9110, 5.6.2

SchemaMode = Literal["strict", "schema", "json", "prompt"]
"""How a JSON schema is taken, from the most to the least binding: `response_format` of type `json_schema` in OpenAI's
strict form; the same without `strict`, which other providers take, and with the schema in the prompt, which they ask
for; JSON mode with the schema in the prompt; the prompt alone."""


FORMS = ("none", "openai", "together")
"""The forms of a Batch API that a provider may have."""


class Provider(Struct, frozen=True, metaclass=Keyworded):
    """An endpoint for chat completions.

    - `base_url`: what comes before `/chat/completions`.
    - `key_env`: the environment variable that holds the key; without it a key is used if `<NAME>_API_KEY` is set.
    - `headers`: sent with every request; none but what the protocol needs.
    - `schema`: how it takes a JSON schema. `"schema"`, the default: as `response_format`, and in the prompt;
      `"strict"`: as `response_format` in OpenAI's strict form; `"json"`: in the prompt, in JSON mode; `"prompt"`: there
      alone.
    - `stream_usage`: whether it knows `stream_options.include_usage`; it does.
    - `images`: whether any of its models takes some; it does.
    - `parallel`: calls in flight behind its key at the same time; no limit of its own.
    - `rpm`: requests a minute behind its key; what its replies tell.
    - `tpm`: tokens a minute behind its key; what its replies tell.
    - `model`: the one to take if none is named; None: a name must be.
    - `local`: whether it is a server of this machine, which needs no key and is asked which models it has; it is not.
    - `connect`: seconds to wait for the connection; 10.
    - `first_byte`: seconds to wait for the first byte of a streamed reply; 300.
    - `silence`: seconds to wait between two bytes of one; 120.
    - `batches`: in which form it has a Batch API; `"none"`, the default: in none that is known here.
    - `batch_price`: which part of a model's price a call costs that a batch has answered; 1: all of it.
    """

    base_url: str
    key_env: str | None = None
    headers: dict[str, str] = {}
    schema: SchemaMode = "schema"
    stream_usage: bool = True
    images: bool = True
    parallel: int | None = None
    rpm: float | None = None
    tpm: float | None = None
    model: str | None = None
    local: bool = False
    connect: float = 10.0
    first_byte: float = 300.0
    silence: float = 120.0
    batches: Literal["none", "openai", "together"] = "none"
    batch_price: float = 1.0

    def __repr__(self) -> str:
        """Without what headers carry, and what may stand in a URL beside its host and path."""
        key = self.key_env if self.key_env is None or self.key_env.isidentifier() else "…"  # it may be the key itself
        told = replace(self, base_url=safe(self.base_url), key_env=key, headers=dict.fromkeys(self.headers, "…"))
        return "Provider({})".format(", ".join(f"{key}={getattr(told, key)!r}" for key in self.__struct_fields__))


def safe(url: str) -> str:
    """A base URL without user, password, query and fragment: any of them may hold a key."""
    start, query, _ = url.partition("#")[0].partition("?")
    scheme, slashes, rest = start.partition("//")
    host, slash, path = rest.partition("/")
    if not slashes and "@" in start:  # no URL; there is no saying where the password stands
        return UNTOLD
    return f"{scheme}{slashes}{host.rpartition('@')[2]}{slash}{path}" + (UNTOLD if query else "")


class Local(Struct, frozen=True, metaclass=Keyworded):
    """Models of this machine, each a GGUF file that llama.cpp loads in a child process: `local:PATH.gguf`.

    - `parallel`: slots, that is calls that are answered at the same time; by itself as many as the run's limit, if that
      is set, else 4.
    - `context`: tokens of each slot, request and reply together; by itself what the model was trained for, as far as
      memory goes.
    - `threads`: by itself one for each idle processor.
    - `memory`: bytes that a model may take; by itself what is free.
    """

    parallel: int | None = None
    context: int | None = None
    threads: int | None = None
    memory: int | None = None


QUIET, LONGEST = 1.0, 10.0
"""Seconds without a further call after which a batch is closed, and seconds that it is open at the most."""
PROMISED = 86_400.0
"""Seconds within which every provider promises that a batch has ended."""

SLOTS = 4
"""Of a local model, if nobody says how many."""

# Order matters where no model is named: the first whose key is set is taken.
KNOWN: dict[str, Provider] = {
    "together": Provider(  # "up to 50 %" off, for some models: until that is said of one, it is all of the price
        "https://api.together.ai/v1", "TOGETHER_API_KEY", model="openai/gpt-oss-120b", batches="together"
    ),
    "openai": Provider(
        "https://api.openai.com/v1",
        "OPENAI_API_KEY",
        schema="strict",
        model="gpt-6-luna",
        batches="openai",
        batch_price=0.5,
    ),
    "anthropic": Provider(
        "https://api.anthropic.com/v1", "ANTHROPIC_API_KEY", schema="prompt", model="claude-haiku-5-5"
    ),
    "gemini": Provider(
        "https://generativelanguage.googleapis.com/v1beta/openai", "GEMINI_API_KEY", model="gemini-3.8-flash"
    ),
    "groq": Provider(
        "https://api.groq.com/openai/v1",
        "GROQ_API_KEY",
        model="openai/gpt-oss-120b",
        batches="openai",
        batch_price=0.5,
    ),
    "mistral": Provider(
        "https://api.mistral.ai/v1", "MISTRAL_API_KEY", stream_usage=False, model="mistral-small-latest"
    ),
    "openrouter": Provider("https://openrouter.ai/api/v1", "OPENROUTER_API_KEY", model="openai/gpt-6-luna"),
    "deepseek": Provider("https://api.deepseek.com/v1", "DEEPSEEK_API_KEY", schema="json", model="deepseek-flash"),
    "fireworks": Provider(
        "https://api.fireworks.ai/inference/v1", "FIREWORKS_API_KEY", model="accounts/fireworks/models/gpt-oss-120b"
    ),
    "ollama": Provider("http://localhost:11434/v1", parallel=4, local=True),
    "lmstudio": Provider("http://localhost:1234/v1", parallel=4, local=True),
    "vllm": Provider("http://localhost:8000/v1", local=True),
    "llamacpp": Provider("http://localhost:8080/v1", parallel=4, local=True),
}
"""Base URLs, schema forms and default models as the providers' documentation had them in November 2026."""


UNTOLD = "?…"
"""Stands for the query of a base URL where that is written down: it may hold a key."""


def split_model(written: str, place: str) -> tuple[str, str]:
    """`provider:model` taken apart; raises `ConfigError` that names the place."""
    provider, colon, model = written.partition(":")
    if provider in {"http", "https"} and model.startswith("//"):  # which may have a password in it
        ways = "set VLLM_BASE_URL to it and write vllm:MODEL, or put it into [providers.NAME] and write NAME:MODEL"
        raise ConfigError(f"{place}: an address is no model; {ways}")
    if not colon and written in KNOWN:
        raise ConfigError(f"{place}: {written!r} is a provider; name a model of it too: {written}:MODEL")
    if not colon or not provider or not model:
        example = f"{_maker(written)}:{written or 'NAME'}"
        raise ConfigError(f"{place}: {written!r} is no model; write provider:model, for example {example}")
    return provider, model


def _maker(model: str) -> str:
    """Who serves a model of such a name, as far as the name tells."""
    makers = {"gpt-oss": "together", "gpt": "openai", "claude": "anthropic", "gemini": "gemini", "deepseek": "deepseek"}
    return next((maker for start, maker in makers.items() if model.lower().startswith(start)), "together")


def is_here(provider: Provider) -> bool:
    """Whether a provider is a server on this machine: said to be local, or at a loopback address."""
    return provider.local or addresses.is_here(provider.base_url)


def variable(name: str, what: str) -> str:
    """The environment variable for a provider: `variable("my-box", "BASE_URL")` is `MY_BOX_BASE_URL`."""
    return re.sub(r"\W", "_", name).upper() + "_" + what


def address(base_url: str, path: str) -> str:
    """The URL of a path below a base URL, whose query, if it has one, stays behind it."""
    parts = urlsplit(base_url)
    return urlunsplit(parts._replace(path=parts.path.rstrip("/") + path, fragment=""))


def headers_of(provider: Provider, key: str | None = None) -> dict[str, str]:
    """What every request to a provider bears; its own headers say best how it knows us."""
    headers = {"User-Agent": "stretto", **provider.headers}
    if key and not any(name.lower() == "authorization" for name in provider.headers):
        headers["Authorization"] = f"Bearer {key}"
    return headers


def from_environment(name: str, provider: Provider, environ: Mapping[str, str]) -> Provider:
    """The provider with `<NAME>_BASE_URL` obeyed, its base URL and headers checked."""
    place, url = f"providers.{name}.base_url", provider.base_url
    if set_here := environ.get(variable(name, "BASE_URL"), "").strip():
        place, url = variable(name, "BASE_URL"), set_here
    try:
        parts = urlsplit(url)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:  # brackets or a port that make no sense
        usable = False
    if "@" in url.partition("://")[2].partition("/")[0]:
        raise ConfigError(
            f"{place}: no user or password in the URL; put the key into an environment variable and "
            "name that as key_env"
        )
    if not usable or any(c.isspace() or not c.isprintable() for c in url):
        raise ConfigError(f"{place}: {safe(url)!r} is no http(s) URL, for example http://localhost:8000/v1")
    for header, value in provider.headers.items():
        if not _TOKEN.fullmatch(header) or not value.replace("\t", " ").isprintable():
            raise ConfigError(f"providers.{name}.headers: {header!r} cannot be sent; no newlines or control characters")
    parts = urlsplit(url)  # people paste the whole address
    return replace(provider, base_url=urlunsplit(parts._replace(path=parts.path.rstrip("/").removesuffix(PATH))))


def keys_held(name: str, provider: Provider, environ: Mapping[str, str]) -> list[str]:
    """The variables that hold a key of the provider, `key_env` before `<NAME>_API_KEY`."""
    variables = dict.fromkeys(v for v in (provider.key_env, variable(name, "API_KEY")) if v)
    return [v for v in variables if environ.get(v, "").strip()]


def key_of(name: str, provider: Provider, environ: Mapping[str, str]) -> str | None:
    """The provider's key: from `key_env`, else from `<NAME>_API_KEY`; raises `MissingKey` if it wants one."""
    if provider.key_env and not provider.key_env.isidentifier():  # not repeated: it may be the key itself
        raise ConfigError(
            f"providers.{name}.key_env: this is no variable's name; put the key into an environment variable and the "
            "variable's name here"
        )
    held = next(iter(keys_held(name, provider, environ)), None)
    if held is None:
        if not provider.key_env:
            return None
        raise MissingKey(
            f"{name}: no key; set the environment variable {provider.key_env}, or choose another model (sim:fast, the "
            "simulator's, needs none)"
        )
    key = environ[held].strip()
    if not key.isascii() or not key.isprintable() or " " in key:
        raise ConfigError(f"{name}: the key in {held} has spaces, newlines or non-ASCII characters in it")
    return key
