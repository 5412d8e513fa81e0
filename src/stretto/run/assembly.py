"""What one execution of a run is put together from: models that can be asked, its journal, and what foretells it."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from functools import cache
from typing import Any

from stretto.errors import DeadlineError
from stretto.events import AnyEvent
from stretto.forecast.approval import Ahead
from stretto.pool import Pool
from stretto.rerun import Rerun
from stretto.run.knowing import knowledge
from stretto.run.opening import New, Opening, open_run
from stretto.run.purse import check_priced, keep_to_day
from stretto.run.roles import roles
from stretto.run.team import Team
from stretto.store.journal import Journal
from stretto.store.locations import Location
from stretto.store.patience import patiently
from stretto.types import Known


async def ready(pool: Pool, team: Team, store: Location | None) -> dict[str, Known]:
    """What is known of the team's models; raises what keeps one from being asked, before anything is written."""
    for model in team.all_models:
        pool.model(model)
    pool.look_up_prices(team.all_models)
    if team.definition.limits.budget is not None:
        await check_priced(pool, team.all_models, team.definition.limits)
    return await knowledge(pool, team.all_models, store)


async def opened(
    team: Team,
    store: Location | None,
    run: str,
    begin: New | Rerun | None,
    stack: AsyncExitStack,
    known: Mapping[str, Known],
    show: Callable[[AnyEvent], None],
    *,
    approve: bool,
) -> tuple[Opening, Journal]:
    """The run as `open_run` opens it, and its journal; it waits while another program holds the store.

    Raises `DeadlineError` if that takes too long.
    """
    definition = team.definition
    limits, keeps = definition.limits, definition.memory.record == "all"
    try:
        async with asyncio.timeout(limits.deadline):
            opening = await open_run(team, store, run, begin, stack, known, approve=approve)
            await keep_to_day(store, run, limits)
            return opening, await patiently(
                lambda: Journal(run, store=store, show=show, history=opening.history, keeps_texts=keeps)
            )
    except TimeoutError:
        held = f" ({store}: another program may hold it, or what is left of the budget of the day)" if store else ""
        raise DeadlineError(
            f"the deadline of {limits.deadline:g} s came before the run could be opened{held}; raise it"
        ) from None


def foretold(team: Team, opening: Opening, journal: Journal, pool: Pool, store: Location | None) -> Ahead:
    """What foretells the rest of a run; the walk that it takes is loaded with the first question."""

    @cache
    def outlook() -> Any:
        from stretto.forecast.outlook import Outlook

        definition = opening.definition
        waits = {model for _, kind, role in roles(definition) if kind == "worker" for model in role.all_models}
        batches = {model: part for model in waits if pool.endpoint(model) and (part := pool.batch_price(model))}
        return Outlook(definition, journal, store, team.all_models, pool.prices, opening.given, batches)

    return lambda plan: outlook().ahead(plan)
