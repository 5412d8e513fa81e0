"""`stretto serve`."""

import asyncio
import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from stretto.cli.help import Command, option
from stretto.cli.listening import address_options
from stretto.cli.local import prepare
from stretto.cli.meaning import HERE, build, chosen_models, configured, limit_flags, memory_flags, store_path
from stretto.cli.options import amount, offer_options
from stretto.cli.screen import say
from stretto.config import Configuration, Source, keys_of, number, presets, seconds
from stretto.errors import ConfigError
from stretto.workflow import Workflow

_WHOLE = click.IntRange(min=0)
_RUNS, _WAITING, _BODY, _GRACE = 32, 64, "16M", 30  # what `stretto.server.endpoint` has, loaded when one is wanted


@click.command(
    cls=Command,
    examples=(
        "stretto serve",
        "stretto serve -w research -w ./review.toml --budget 0.50",
        "stretto serve --host 0.0.0.0 --api-key-env STRETTO_SERVE_KEY",
        "stretto serve -m sim:default --ignore-tools",
    ),
)
@address_options(8000, "; any but this machine's own needs --api-key-env")
@option(
    "--api-key-env",
    metavar="NAME",
    help="The variable with a key that every request must bear.  [default: none is wanted]",
)
@option(
    "--cors",
    "origins",
    multiple=True,
    metavar="ORIGIN",
    help="A site whose pages may ask, too: https://chat.example.org. Repeatable.  [default: none]",
)
@option(
    "--provider",
    metavar="NAME",
    help="Whose the models are that a request names without a provider, so that programs need no other change than "
    "their base URL.  [default: none, such a request is refused]",
)
@option(
    "--ignore-tools",
    is_flag=True,
    help="Take requests that offer tools, which are not called; without it they are refused unless one must be called.",
)
@option("--max-runs", type=click.IntRange(min=1), metavar="N", default=_RUNS, show_default=True, help="Runs at once.")
@option(
    "--max-waiting",
    type=_WHOLE,
    metavar="N",
    default=_WAITING,
    show_default=True,
    help="Requests that wait for a run to end; whoever comes then is sent away for a while (429).",
)
@option(
    "--max-body",
    callback=amount(number),
    metavar="N",
    default=_BODY,
    show_default=True,
    help="Bytes of one request at most.",
)
@option(
    "--grace",
    callback=amount(seconds),
    metavar="TIME",
    default=f"{_GRACE}s",
    show_default=True,
    help="Time that runs have to finish after the first Ctrl-C.",
)
@offer_options
def serve(
    port: int,
    host: str,
    api_key_env: str | None,
    origins: tuple[str, ...],
    provider: str | None,
    ignore_tools: bool,
    max_runs: int,
    max_waiting: int,
    max_body: float,
    grace: float,
    named: tuple[str, ...],
    models: tuple[str, ...],
    store: Path | None,
    **flags: Any,
) -> None:
    """Serve workflows as models, behind an OpenAI-compatible endpoint, until Ctrl-C.

    Its base URL goes to stdout once it listens. Each workflow is a model named by its file (without .toml) or preset,
    for /v1/chat/completions, streamed or not: progress goes out as reasoning, the answer as content. Earlier messages
    reach the orchestrator; titles, tags and the like that chat clients ask for by themselves take one call.

    Ctrl-C lets what is being answered finish; a second one stops it, and every run can be resumed.
    """
    configuration = _all_of(named)
    clients = configuration.clients()
    guarded = {**_key(api_key_env), **keys_of(clients)}
    workflows = _workflows(named, models, flags, store_path(store))
    from stretto.server.endpoint import Door, Guard, Means, Offer  # the HTTP server is loaded when one is wanted
    from stretto.server.endpoint import serve as until_told

    memory = configuration.memory(memory_flags(flags))
    if memory.record == "usage" and (named_ones := [name for name, client in clients.items() if client.budget]):
        raise ConfigError(f'clients.{named_ones[0]}.budget: what was spent is not kept (record = "usage"); keep "all"')
    limits = configuration.limits(limit_flags(flags))
    means = Means(configuration.providers(), configuration.prices(), limits, memory, store_path(store))
    guard = Guard(guarded, frozenset(origins))
    offer = Offer(
        workflows,
        guard,
        most_runs=max_runs,
        most_waiting=max_waiting,
        largest=int(max_body),
        door=Door(means, clients, provider),
        store=store_path(store),
        ignore_tools=ignore_tools,
    )
    _log_to_stderr()

    def ready(url: str) -> None:
        say(f"{', '.join(workflows)} at {url}; Ctrl-C stops it")
        click.echo(url)

    asyncio.run(until_told(offer, host, port, ready, grace=grace, tell=say))


def _workflows(
    named: Sequence[str], models: tuple[str, ...], flags: dict[str, Any], store: Path
) -> dict[str, Workflow[Any]]:
    """What is served, by the names that they have as models."""
    found = dict[str, Workflow[Any]]()
    usual: list[str | None] = [*([None] if HERE.is_file() else []), *presets()]
    told = set[str]()

    def once(why: str) -> None:
        if why not in told:
            told.add(why)
            say(why)

    for each in named or usual:
        name = HERE.stem if each is None else Path(each).stem if "/" in each or each.endswith(".toml") else each
        if name in found:
            raise ConfigError(f"-w {each}: {name!r} is served already; a model's name is that of its file")
        found[name] = build(configured(each), chosen_models(models), flags, store, once)
        prepare(found[name], once)
    return found


def _all_of(named: Sequence[str]) -> Configuration:
    """What the files that are served, and the usual ones, say of providers, prices, limits and clients."""
    found: dict[str, Source] = {}
    for each in named or (None,):
        found |= {layer.name: layer for layer in configured(each).layers if layer.name not in found}
    return Configuration(list(found.values()))


def _key(variable: str | None) -> dict[str, str]:
    """The server's own key, if it has one."""
    if variable is None:
        return {}
    if not (key := os.environ.get(variable, "").strip()):
        raise ConfigError(f"--api-key-env {variable}: the variable is empty; put the key into it")
    return {"": key}


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
