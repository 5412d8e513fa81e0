"""What `stretto serve` and `stretto ui` serve, as their flags and files say."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from stretto.cli.local import prepare
from stretto.cli.meaning import HERE, configured, name_of, wanted
from stretto.cli.screen import say
from stretto.cli.stored import store_path
from stretto.config import Configuration, Source, keys_of, presets
from stretto.errors import ConfigError
from stretto.ground.files import is_a_file
from stretto.server.endpoint import Door, Guard, Means, Offer
from stretto.server.endpoint import serve as until_told
from stretto.workflow import Workflow

__all__ = ["offered", "page_of", "until_told"]


def offered(
    flags: dict[str, Any], key: Mapping[str, str], *, origins: frozenset[str], provider: str | None, **bounds: Any
) -> Offer:
    """What these flags have served, to whoever bears a `key` or that of a client; `bounds` are an `Offer`'s own."""
    configuration, store = _all_of(flags["named"]), store_path(flags["store"])
    clients = configuration.clients()
    guarded = {**key, **keys_of(clients)}
    workflows = _workflows(flags)
    memory = configuration.memory(flags)
    if memory.record == "usage" and (named_ones := [name for name, client in clients.items() if client.budget]):
        raise ConfigError(f'clients.{named_ones[0]}.budget: what was spent is not kept (record = "usage"); keep "all"')
    limits = configuration.limits(flags)
    means = Means(configuration.providers(), configuration.prices(), limits, memory, store)
    _log_to_stderr()
    return Offer(workflows, Guard(guarded, origins), door=Door(means, clients, provider), store=store, **bounds)


def looked_at(flags: dict[str, Any]) -> Offer:
    """The same for whoever sits at this machine, to start and to look; where no model is to be had, to look."""
    _log_to_stderr()
    store = store_path(flags["store"])
    try:
        return Offer(_workflows(flags), store=store)
    except ConfigError as error:
        if flags["named"] or flags["models"]:
            raise
        say(f"no run can be started: {error}")
        return Offer({}, store=store)


def page_of(url: str, run: str = "") -> str:
    """Where the page is of a server with this base URL, or one run on it."""
    return url.removesuffix("v1") + (f"runs/{run}" if run else "")


def _workflows(flags: dict[str, Any]) -> dict[str, Workflow[Any]]:
    """What is served, by the names that they have as models."""
    found = dict[str, Workflow[Any]]()
    usual: list[str | None] = [*([None] if is_a_file(HERE) else []), *presets()]
    told = set[str]()

    def once(why: str) -> None:
        if why not in told:
            told.add(why)
            say(why)

    for each in flags["named"] or usual:
        name = name_of(each)
        if name in found:
            raise ConfigError(f"-w {each}: {name!r} is served already; a model's name is that of its file")
        found[name] = wanted({**flags, "named": each}, once)
        prepare(found[name], once)
    return found


def _all_of(named: Sequence[str]) -> Configuration:
    """What the files that are served, and the usual ones, say of providers, prices, limits and clients."""
    found: dict[str, Source] = {}
    for each in named or (None,):
        found |= {layer.name: layer for layer in configured(each).layers if layer.name not in found}
    return Configuration(list(found.values()))


class _Said(logging.Handler):
    """What the server has to say of requests that failed, a line each."""

    def emit(self, record: logging.LogRecord) -> None:
        say(self.format(record))


def _log_to_stderr() -> None:
    log = logging.getLogger("stretto.serve")
    log.addHandler(_Said())
    log.propagate = False
    # What clients send that is no HTTP is answered; every other error is told above before it comes down there.
    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)
