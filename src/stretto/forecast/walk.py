"""A run walked ahead of time: the engine itself, over a model that knows the records or draws from them.

Nothing is sent and nothing is stored. It takes virtual time: who is never answered waits until nothing else happens.
"""

import asyncio
from collections.abc import Callable, Container, Mapping, Sequence

from stretto.calls import Model
from stretto.engine import Execution
from stretto.errors import StoreError, StrettoError, cause_of
from stretto.events import AnyEvent
from stretto.policies.account import Account
from stretto.runs import Run
from stretto.store.journal import Journal
from stretto.types import Definition, Limits, Result, Role
from stretto.types.definitions import unlimited
from stretto.virtual import FOREVER


class Walk:
    """One walk of a run whose `log` so far is this; every call of it is asked of the `model` of its role.

    `replies`: the fingerprints of those that the model knows; `given`: results of subtasks that are not computed.
    `show` is told each further event. Must be made in the loop (of virtual time) that carries it.
    """

    def __init__(
        self,
        definition: Definition,
        log: Sequence[AnyEvent],
        model: Callable[[Role], Model],
        replies: Container[str] = (),
        given: Mapping[str, Result] | None = None,
        show: Callable[[AnyEvent], None] = lambda _: None,
    ) -> None:
        self._journal = Journal(log[0].run, store=None, show=show, history=log)
        account = Account(Limits())
        self._execution = Execution(unlimited(definition), self._journal, model, account, replies, given)
        self.error: StrettoError | None = None
        """What makes an answer impossible, if that has shown."""

    @property
    def run(self) -> Run:
        """The run as far as the walk has come."""
        return self._journal.run

    async def carry(self) -> None:
        """Walk to the answer, or as far as there are replies. Raises `StoreError`: that is no fault of the run."""
        carrying = asyncio.create_task(self._execution.execute())
        await asyncio.wait([carrying], timeout=FOREVER)
        if not carrying.done():  # nobody will ever answer
            carrying.cancel()
            await asyncio.wait([carrying])
        elif error := carrying.exception():
            cause = cause_of(error)
            if isinstance(cause, StoreError) or not isinstance(cause, StrettoError):
                raise cause
            self.error = cause
