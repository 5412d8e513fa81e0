"""Being told by a server when something is new (LISTEN and NOTIFY), for as long as somebody wants to know."""

import asyncio
from collections.abc import AsyncGenerator, Sequence

from stretto.store.locations import Server
from stretto.store.postgres.sessions import WATCHFUL, driver

_AGAIN = 0.5  # seconds until a lost connection is made again


async def notices(server: Server, channels: Sequence[str]) -> AsyncGenerator[tuple[str, str], None]:
    """What is told on these channels, each with what is said; `("", "")` where something may have been missed.

    So it is at the beginning, and whenever a connection was lost. Close it to end its connection.
    """
    psycopg = driver()
    while True:
        try:
            connection = await psycopg.AsyncConnection.connect(server.url, autocommit=True, **WATCHFUL)
        except psycopg.Error:
            await asyncio.sleep(_AGAIN)
            continue
        try:
            for channel in channels:
                await connection.execute(f"LISTEN {channel}")
            yield "", ""
            async for each in connection.notifies():
                yield each.channel, each.payload
        except psycopg.Error:
            await asyncio.sleep(_AGAIN)
        finally:
            await connection.close()
