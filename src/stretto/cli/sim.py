"""`stretto sim`."""

import asyncio
from typing import Any, get_args

import click

from stretto.cli.help import command, every, option
from stretto.cli.listening import address_options
from stretto.cli.screen import say
from stretto.models.simulator import PROFILES, Simulator, parse_fault
from stretto.models.simulator.settings import Tells

_NUMBER = click.FloatRange(min=0, min_open=True)


@command(
    "stretto sim --port 0",
    'stretto sim --fault "429 rate=0.1" --fault "500 always role=worker match=budget" --rpm 600',
    "TOGETHER_BASE_URL=http://127.0.0.1:8765/v1 TOGETHER_API_KEY=x stretto run -m together:fast TASK",
)
@address_options(8765)
@option("--seed", type=int, metavar="N", default=0, show_default=True, help="Another seed, other texts and times.")
@option(
    "--fault",
    "faults",
    callback=every(parse_fault),
    multiple=True,
    metavar="FAULT",
    help='What goes wrong, for example "429 for=20s" or "500 rate=0.1 role=worker"; see above. Repeatable.  '
    "[default: nothing]",
)
@option("--rpm", type=_NUMBER, metavar="N", help="Requests a minute it permits.  [default: no limit]")
@option("--tpm", type=_NUMBER, metavar="N", help="Tokens a minute it permits.  [default: no limit]")
@option(
    "--bucket",
    type=_NUMBER,
    metavar="N",
    help="Requests that may come at once under --rpm.  [default: 2 seconds' worth]",
)
@option(
    "--tells",
    type=click.Choice(get_args(Tells)),
    default="headers",
    show_default=True,
    help="What it says of its limits: in headers, only in the Retry-After of a refusal, or nothing.",
)
@option(
    "--ttft",
    type=click.FloatRange(min=0),
    metavar="SECONDS",
    help=f"Median time to the first token.  [default: {PROFILES['default'].ttft:g}]",
)
@option(
    "--tokens-per-second",
    type=_NUMBER,
    metavar="N",
    help=f"Speed of one reply.  [default: {PROFILES['default'].tokens_per_second:g}]",
)
@option(
    "--batch",
    type=click.FloatRange(min=0),
    metavar="SECONDS",
    default=1.0,
    show_default=True,
    help="Time that a batch takes.",
)
def sim(port: int, host: str, **settings: Any) -> None:
    """Serve the simulator as an OpenAI-compatible endpoint, until Ctrl-C.

    Its base URL goes to stdout once it listens. The models default, fast and instant differ in speed; every other name
    works as default does. It takes any key.

    Files and batches (/v1/files, /v1/batches) are OpenAI's.

    A fault is a kind and when it comes: once, twice or times=N to each request that is asked again, always (the
    default), for=20s from the first request, rate=0.1, role=worker, match="a text of the request". Kinds: any status
    from 400 to 599, quota; reset, disconnect, silence (seconds=N), trickle (every=1s); html, empty, truncated, schema
    (JSON of another form), huge (size=10MB), loops; of a plan: malformed, fenced, prose; of a line of a batch: expired.
    """
    from stretto.server.sim import serve  # the HTTP server is loaded when one is wanted

    simulator = Simulator(**settings)

    def ready(url: str) -> None:
        say(f"simulated endpoint at {url} (no language model); Ctrl-C stops it")
        click.echo(url)

    asyncio.run(serve(simulator, host, port, ready))
