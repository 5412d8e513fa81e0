"""Asking endpoints, side by side, which models they have."""

import asyncio
import os
from collections.abc import Mapping

from msgspec import Struct

from stretto.errors import AuthError, CallError, CallTimeout, ConfigError, ConnectError, StrettoError
from stretto.models.http import Http
from stretto.models.listing import Listed, listing
from stretto.models.providers import Provider, keys_held


class Answer(Struct, frozen=True):
    """What an endpoint answered: its models after so many `seconds`, or the `error` that came of it."""

    provider: str
    seconds: float
    models: tuple[Listed, ...] = ()
    error: StrettoError | None = None


def keys_set(name: str, provider: Provider) -> list[str]:
    """The variables that hold a key of the provider: their names."""
    return [held for held in keys_held(name, provider, os.environ) if held.isidentifier()]


def usable(providers: Mapping[str, Provider]) -> dict[str, Provider]:
    """Those with a key, or on this machine."""
    return {name: provider for name, provider in providers.items() if provider.local or keys_set(name, provider)}


async def ask_all(providers: Mapping[str, Provider], patience: float) -> list[Answer]:
    """The answer of each, in their order, within `patience` seconds."""
    http = Http()
    try:
        return await asyncio.gather(*(_ask(name, provider, http, patience) for name, provider in providers.items()))
    finally:
        await http.close()


async def _ask(name: str, provider: Provider, http: Http, patience: float) -> Answer:
    began = asyncio.get_running_loop().time()
    try:
        models, error = tuple(await listing(name, provider, os.environ, http, patience)), None
    except (ConfigError, CallError) as caught:
        models, error = (), caught
    return Answer(name, asyncio.get_running_loop().time() - began, models, error)


def remedy(answer: Answer, provider: Provider) -> str:
    """What went wrong at an endpoint and what to do about it, in one line."""
    error, said = answer.error, " ".join(str(answer.error).split())
    match error:
        case AuthError() if held := keys_set(answer.provider, provider):
            return f"{said}: {held[0]}" if said.endswith("holds it)") else f"{said}; look at {held[0]}"
        case CallTimeout():
            return f"{said}; is it reachable from here, or is a proxy to be named (HTTPS_PROXY)?"
        case ConnectError() if not provider.local:
            return f"{said}; is there a network, or is a proxy to be named (HTTPS_PROXY)?"
    return said
