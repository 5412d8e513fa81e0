"""`stretto worker`."""

import asyncio
from contextlib import AsyncExitStack
from typing import Any

import click

from stretto.cli.help import command, option
from stretto.cli.meaning import build, layers, recorded
from stretto.cli.screen import say
from stretto.cli.stored import store_option, store_path
from stretto.store.locations import Location, Server
from stretto.store.sqlite import Store
from stretto.workflow import Workflow


@command("stretto worker", "stretto worker --runs 32 --store postgresql://stretto@db/stretto")
@option(
    "--runs",
    type=click.IntRange(min=1),
    metavar="N",
    default=8,
    show_default=True,
    help="Runs at the same time; the limits of a key hold for all of them together.",
)
@option(
    "--all-runs",
    type=click.IntRange(min=1),
    metavar="N",
    help="Take none while all workers together have so many; tell each the same.  [default: no limit]",
)
@option(
    "--grace",
    type=click.FloatRange(min=0),
    metavar="SECONDS",
    default=30.0,
    show_default=True,
    help="What runs have to finish after Ctrl-C or SIGTERM; what is left then goes to another worker.",
)
@option(
    "--health",
    type=click.IntRange(0, 65535),
    metavar="PORT",
    help="Answer GET /healthz and /metrics (Prometheus) at this port; 0 is any that is free.  [default: do not]",
)
@option("--host", default="127.0.0.1", show_default=True, metavar="ADDRESS", help="The address for --health.")
@option("-q", "--quiet", is_flag=True, help="Only say what is wrong.")
@store_option
def worker(store: Location | None, host: str, quiet: bool, **flags: Any) -> None:
    """Carry runs that were handed over (`stretto submit`), until Ctrl-C; as many workers as you like share a store.

    Keys are this machine's (OPENAI_API_KEY and so on), everything else is the run's own. A worker that dies is noticed
    by the others within two seconds, and they go on with what it had. Ctrl-C lets runs finish, a second one hands them
    over at once.
    """
    from stretto.cluster.queue import server_of

    asyncio.run(_work(server_of(store_path(store)), host, quiet=quiet, **flags))


async def _work(
    server: Server, host: str, *, quiet: bool, runs: int, all_runs: int | None, grace: float, health: int | None
) -> None:
    from aiohttp import web

    from stretto.cluster.worker import Worker
    from stretto.server.listening import Ending, health_routes, listening, obeying

    files = layers(None)  # once: what is wrong with one of them is no fault of any run

    def workflow_of(run: str) -> Workflow[Any]:
        return build(recorded(Store(server), run, None, files), {}, {}, server, lambda _: None)

    ending = Ending()
    told = (lambda _: None) if quiet else say
    working = Worker(server, workflow_of, most=runs, most_of_all=all_runs, grace=grace, told=told, now=ending.now)
    async with obeying(ending), working, AsyncExitStack() as stack:
        if health is not None:
            app = web.Application()
            app.router.add_routes(health_routes(working.gauges))
            url = await stack.enter_async_context(listening(app, host, health))
            told(f"health at {url.removesuffix('v1')}healthz, figures at {url.removesuffix('v1')}metrics")
        told(f"worker {working.name}: up to {runs} runs at a time out of {server}; Ctrl-C stops it")
        await ending.soon.wait()
