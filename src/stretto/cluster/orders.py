"""Orders to whoever carries a run, on whichever machine: stop one of its subtasks, or ask one anew."""

import asyncio
from collections.abc import Callable
from contextlib import aclosing, closing, suppress
from secrets import token_hex
from typing import Any, Literal

import msgspec
from msgspec import Struct

from stretto.cluster.news import notices
from stretto.cluster.queue import CANCEL
from stretto.errors import RunBusy, StoreError, TaskError
from stretto.run.stream import RunStream
from stretto.store.connecting import connect
from stretto.store.locations import Server

ORDER = "stretto_order"
"""Where it is told that there is an order: a notification is its run and its id."""
_ANSWERED = 5.0  # seconds in which whoever carries a run does what it is told
_LOOK = 0.02  # seconds between two looks at whether that is done
_GIVE = "WITH put AS (INSERT INTO orders (id, said) VALUES (?, ?)) SELECT pg_notify(?, ?)"
_TAKE = "UPDATE orders SET taken = true WHERE id = ? AND NOT taken RETURNING said"
_TELL = "UPDATE orders SET outcome = ? WHERE id = ? RETURNING id"
_OUTCOME = "SELECT outcome FROM orders WHERE id = ?"
_DROP = "DELETE FROM orders WHERE id = ? RETURNING id"

Find = Callable[[str], RunStream[Any] | None]
"""The stream of a run, if it is carried here."""


class Order(Struct, frozen=True):
    """What is to be done about a subtask; `remark`: what is to be different, if it is asked anew."""

    run: str
    subtask: str
    what: Literal["stop", "again"]
    remark: str = ""

    def follow(self, stream: RunStream[Any]) -> None:
        """Do it; raises `TaskError` if it cannot be done."""
        if self.what == "stop":
            stream.stop_subtask(self.subtask)
        else:
            stream.again(self.subtask, self.remark)


async def give(server: Server, order: Order) -> None:
    """Have whoever carries the run do it; raises what keeps them from that, and `RunBusy` if nobody answers."""
    name = token_hex(16)
    await _ask(server, _GIVE, name, msgspec.json.encode(order), ORDER, f"{order.run} {name}")
    until = asyncio.get_running_loop().time() + _ANSWERED
    try:
        while (outcome := await _ask(server, _OUTCOME, name)) is None:
            if asyncio.get_running_loop().time() > until:
                raise RunBusy(f"run {order.run}: whoever carries it has not answered; try again in a moment")
            await asyncio.sleep(_LOOK)
    finally:
        await _ask(server, _DROP, name)
    if outcome:
        raise TaskError(outcome)


async def obey(server: Server, find: Find, stop: Callable[[str], None]) -> None:
    """Do what is ordered about runs that are carried here, until this is cancelled; `stop`: the whole run."""
    async with aclosing(notices(server, [CANCEL, ORDER])) as told:
        async for channel, said in told:
            run, _, name = said.partition(" ")
            if channel == CANCEL:
                stop(run)
            elif channel == ORDER and (stream := find(run)) is not None:
                with suppress(StoreError):  # whoever gave it hears that nobody has answered
                    await _done(server, name, stream)


async def _done(server: Server, name: str, stream: RunStream[Any]) -> None:
    said = await _ask(server, _TAKE, name)
    if said is None:
        return
    outcome = ""
    try:
        msgspec.json.decode(said, type=Order).follow(stream)
    except TaskError as error:
        outcome = str(error)
    except msgspec.DecodeError as error:  # of another version
        outcome = f"whoever carries run {stream.run_id} does not know this order ({error}); it is of another version"
    await _ask(server, _TELL, outcome, name)


async def _ask(server: Server, statement: str, *values: object) -> Any:
    """What the first row of this statement has first; None if there is no row."""

    def asked() -> Any:
        with closing(connect(server)) as db:
            row = db.execute(statement, values).fetchone()
        return row and row[0]

    return await asyncio.to_thread(asked)
