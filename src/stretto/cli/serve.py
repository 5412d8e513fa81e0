"""`stretto serve`."""

import asyncio
import os
from typing import Any

import click

from stretto.cli.help import command, option
from stretto.cli.limit_options import amount
from stretto.cli.listening import address_options
from stretto.cli.options import offer_options
from stretto.cli.screen import say
from stretto.config import number, seconds
from stretto.errors import ConfigError

_WHOLE = click.IntRange(min=0)
_RUNS, _WAITING, _BODY, _GRACE = 32, 64, "16M", 30  # what `stretto.server.endpoint` has, loaded when one is wanted


@command(
    "stretto serve",
    "stretto serve -w research -w ./review.toml --budget 0.50",
    "stretto serve --host 0.0.0.0 --api-key-env STRETTO_SERVE_KEY",
    "stretto serve -m sim:default --ignore-tools",
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
    **flags: Any,
) -> None:
    """Serve workflows as models, behind an OpenAI-compatible endpoint, until Ctrl-C.

    Its base URL goes to stdout once it listens. Each workflow is a model named by its file (without .toml) or preset,
    for /v1/chat/completions, streamed or not: progress goes out as reasoning, the answer as content. Earlier messages
    reach the orchestrator; titles, tags and the like that chat clients ask for by themselves take one call.

    Ctrl-C lets what is being answered finish; a second one stops it, and every run can be resumed.
    """
    key = _key(api_key_env)
    from stretto.cli.served import offered, page_of, until_told  # the HTTP server is loaded when one is wanted

    bounds = {"most_runs": max_runs, "most_waiting": max_waiting, "largest": int(max_body)}
    offer = offered(flags, key, origins=frozenset(origins), provider=provider, ignore_tools=ignore_tools, **bounds)

    def ready(url: str) -> None:
        say(f"{', '.join(offer.workflows)} at {url}, and a page to watch them at {page_of(url)}; Ctrl-C stops it")
        click.echo(url)

    asyncio.run(until_told(offer, host, port, ready, grace=grace, tell=say))


def _key(variable: str | None) -> dict[str, str]:
    """The server's own key, if it has one."""
    if variable is None:
        return {}
    if not (key := os.environ.get(variable, "").strip()):
        raise ConfigError(f"--api-key-env {variable}: the variable is empty; put the key into it")
    return {"": key}
