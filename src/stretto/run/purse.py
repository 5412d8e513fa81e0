"""What a run may cost when it begins: prices that are known, what the day allows, and its account."""

import asyncio
import logging
from collections.abc import Sequence
from importlib.util import find_spec

from stretto.engine.requests import answer_request
from stretto.errors import ConfigError
from stretto.head import head_of
from stretto.policies.account import Account
from stretto.policies.estimate import most_output
from stretto.policies.spending import Amount
from stretto.pool import Pool
from stretto.store.daily import set_aside
from stretto.store.journal import Journal
from stretto.store.locations import Location
from stretto.types import Definition, Limits

_SHORT = 1.0  # seconds until it is looked again whether the budget of the day allows a run
_log = logging.getLogger("stretto")


async def check_priced(pool: Pool, models: Sequence[str], limits: Limits) -> None:
    """Raise `ConfigError` if a budget of money cannot be kept because nobody knows what a model costs."""
    unknown = [model for model in models if await pool.prices.of(model) is None]
    if unknown and limits.unpriced == "refuse":
        from stretto.ground.extras import installing

        listed = "" if find_spec("genai_prices") else f", install the list of known prices ({installing('prices')})"
        raise ConfigError(
            f"limits.budget: the price of {', '.join(unknown)} is unknown, so a budget cannot be kept; say it "
            f'([prices."{unknown[0]}"] with input and output in dollars for a million tokens){listed}, say '
            'local = true of a provider that nobody pays, or ask it uncounted (unpriced = "allow")'
        )


async def keep_to_day(store: Location | None, run: str, limits: Limits) -> None:
    """Set aside what a run may cost, where a day has a budget; it waits while others may leave enough.

    Raises `DayBudgetError` where they cannot.
    """
    if limits.budget is None or limits.budget_per_day is None:
        return
    if store is None:
        raise ConfigError("limits.budget_per_day: what runs cost is in a store; give the workflow one (store=…)")
    told = False
    while not await asyncio.to_thread(set_aside, store, run, limits.budget, limits.budget_per_day):
        if not told:
            told = True
            _log.warning("run %s waits: others have set aside what is left of the budget of the day", run)
        await asyncio.sleep(_SHORT)


async def open_account(definition: Definition, journal: Journal, pool: Pool) -> Account:
    """The account of a run, from where it stands."""
    paid = journal.fold.usage
    account = Account(
        definition.limits, Amount(journal.fold.paid, paid.input_tokens + paid.output_tokens), pool.prices.assumed
    )
    head = head_of(journal.run.basis.inputs)
    request = answer_request(definition, journal.run.task, (), {}, "incomplete", head=head)
    if account.limited and (role := definition.synthesizer) and request:
        asked = account.asked(role.candidates[0], request)
        account.set_aside(asked, most_output(role.options), await pool.prices.of(role.candidates[0]))
    return account
