"""`stretto sim`."""

import asyncio

import click

from stretto.models.simulator import Simulator, parse_fault


@click.command()
@click.option("--port", type=int, default=8765, show_default=True, help="Port; 0 takes any that is free.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--seed", type=int, default=0, show_default=True, help="Another seed gives other texts and times.")
@click.option(
    "--fault", "faults", multiple=True, metavar="FAULT", help='For example "429 once", "500 rate=0.1 role=worker".'
)
@click.option("--rpm", type=float, metavar="N", help="Requests a minute it permits.")
@click.option("--tpm", type=float, metavar="N", help="Tokens a minute it permits.")
@click.option("--ttft", type=float, metavar="SECONDS", help="Median time to the first token.  [0.4]")
@click.option("--tokens-per-second", type=float, metavar="N", help="Speed of one reply.  [80]")
def sim(
    port: int,
    host: str,
    seed: int,
    faults: tuple[str, ...],
    rpm: float | None,
    tpm: float | None,
    ttft: float | None,
    tokens_per_second: float | None,
) -> None:
    """Serve the simulator as an OpenAI-compatible endpoint, until Ctrl-C.

    The models default, fast and instant differ in speed; every other name works as default does.
    """
    from stretto.server.sim import serve  # the HTTP server is loaded when one is wanted

    simulator = Simulator(
        seed=seed,
        faults=tuple(parse_fault(fault) for fault in faults),
        rpm=rpm,
        tpm=tpm,
        ttft=ttft,
        tokens_per_second=tokens_per_second,
    )

    def ready(url: str) -> None:
        click.echo(f"stretto: simulated endpoint at {url} (no language model); Ctrl-C stops it", err=True)
        click.echo(url)

    asyncio.run(serve(simulator, host, port, ready))
