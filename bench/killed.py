"""A run that is killed again and again, in virtual time: the next execution has what was written by then."""

import asyncio
import random

from stretto.engine import Execution
from stretto.errors import StrettoError
from stretto.events import AnyEvent, RunResumed, RunStarted
from stretto.fold import fold
from stretto.policies.composition import Composition
from stretto.policies.memo import Replies
from stretto.pool import Pool
from stretto.run.purse import open_account
from stretto.run.team import Team
from stretto.runs import Run
from stretto.store.journal import Journal
from stretto.workflow import Workflow

_RUN = "r1"


class _Records:
    """What is on the disk of a run: its log, and its replies by fingerprint."""

    def __init__(self) -> None:
        self.log: list[AnyEvent] = []
        self.replies = Replies()

    def copy(self) -> "_Records":
        """Both as they are now, whatever is written later."""
        copied = _Records()
        copied.log, copied.replies = list(self.log), Replies(self.replies.own)
        return copied


async def killed(
    flow: Workflow, pool: Pool, task: str, lot: random.Random, kills: int
) -> tuple[Run, StrettoError | None]:
    """The run, and the error it ended with; each kill comes at a random moment of an execution. `pool`: its models."""
    records = _Records()
    for _ in range(kills):
        execution = asyncio.create_task(_carry(flow, pool, task, records))
        await asyncio.wait([execution], timeout=lot.uniform(0, lot.choice([0.5, 2, 5, 15])))
        kept = records.copy()
        execution.cancel()  # its requests end at the provider; what it still writes is not there
        await asyncio.wait([execution])
        records = kept
    error = None
    try:
        await _carry(flow, pool, task, records)
    except StrettoError as failure:
        error = failure
    return fold(records.log), error


async def _carry(flow: Workflow, pool: Pool, task: str, records: _Records) -> None:
    """One execution, as a stream of the workflow carries it, on from what is written."""
    definition, history = flow.definition, list(records.log)
    record = Team(definition, flow.providers, flow.prices).record()
    async with pool, Journal(_RUN, store=None, show=records.log.append, history=history) as journal:
        pool.look_up_prices(flow.all_models)
        journal.append(RunResumed(workflow=record) if history else RunStarted(task=task, workflow=record))
        account = await open_account(definition, journal, pool)
        composition = Composition(
            pool.model, definition.limits, account, pool.prices, records.replies, random.Random(0).uniform
        )
        try:
            await Execution(definition, journal, composition.model, account, records.replies).execute()
        except BaseExceptionGroup as group:
            error: BaseException = group
            while isinstance(error, BaseExceptionGroup):
                error = error.exceptions[0]
            raise error from None
