"""Orders to whoever carries a run, on whichever machine: stop one of its subtasks, or ask one anew."""

import asyncio
from collections.abc import Callable
from contextlib import aclosing, closing, suppress
from secrets import token_hex
from typing import Any, Literal

import msgspec
from msgspec import Struct

from stretto.cluster.notices import notices
from stretto.cluster.queue import CANCEL
from stretto.errors import RunBusy, StoreError, TaskError
from stretto.run.stream import RunStream
from stretto.store.connecting import connect
from stretto.store.locations import Server

ORDER = "stretto_order"
"""Where it is told that there is an order: a notification is its run and its id."""
_ANSWERED = 5.0  # seconds in which whoever carries a run does what it is told
_LOOK = 0.02  # seconds between two looks at whether that is done
_TAKE = "UPDATE orders SET taken = true WHERE id = ? AND NOT taken RETURNING said"

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
    await asyncio.to_thread(_put, server, name, order)
    until = asyncio.get_running_loop().time() + _ANSWERED
    try:
        while (outcome := await asyncio.to_thread(_outcome, server, name)) is None:
            if asyncio.get_running_loop().time() > until:
                raise RunBusy(f"run {order.run}: whoever carries it has not answered; try again in a moment")
            await asyncio.sleep(_LOOK)
    finally:
        await asyncio.to_thread(_drop, server, name)
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
    said = await asyncio.to_thread(_taken, server, name)
    if said is None:
        return
    outcome = ""
    try:
        msgspec.json.decode(said, type=Order).follow(stream)
    except TaskError as error:
        outcome = str(error)
    except msgspec.DecodeError as error:  # of another version
        outcome = f"whoever carries run {stream.run_id} does not know this order ({error}); it is of another version"
    await asyncio.to_thread(_tell, server, name, outcome)


def _put(server: Server, name: str, order: Order) -> None:
    with closing(connect(server)) as db:
        db.execute("INSERT INTO orders (id, said) VALUES (?, ?)", (name, msgspec.json.encode(order)))
        db.execute("SELECT pg_notify(?, ?)", (ORDER, f"{order.run} {name}"))


def _taken(server: Server, name: str) -> bytes | None:
    with closing(connect(server)) as db:
        row = db.execute(_TAKE, (name,)).fetchone()
    return bytes(row[0]) if row else None


def _tell(server: Server, name: str, outcome: str) -> None:
    with closing(connect(server)) as db:
        db.execute("UPDATE orders SET outcome = ? WHERE id = ?", (outcome, name))


def _outcome(server: Server, name: str) -> str | None:
    with closing(connect(server)) as db:
        row = db.execute("SELECT outcome FROM orders WHERE id = ?", (name,)).fetchone()
    return None if row is None or row[0] is None else str(row[0])


def _drop(server: Server, name: str) -> None:
    with closing(connect(server)) as db:
        db.execute("DELETE FROM orders WHERE id = ?", (name,))
