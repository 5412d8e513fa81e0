"""What the programs of all clients have in common; of ours there is nothing else in their environments.

A program prints one line of JSON for each thing that it has done. The last is that it reads an answer which takes long:
it leaves when a line comes in, and lives on until there are no more, so that nothing but its leaving can have ended
the run.
"""

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import Coroutine
from typing import Any

URL, SLOW_URL, BROKEN_URL = (os.environ[f"{name}_BASE_URL"] for name in ("OPENAI", "SLOW", "BROKEN"))
KEY = os.environ["OPENAI_API_KEY"]
TASK = "Compare tea and coffee in 3 subtasks"
MODEL, UNKNOWN = "general", "nobody"
SCHEMA = {
    "type": "object",
    "properties": {"winner": {"type": "string"}, "reasons": {"type": "array", "items": {"type": "string"}}},
    "required": ["winner", "reasons"],
    "additionalProperties": False,
}


def tell(what: str, told: Any) -> None:
    """Say what came of one thing."""
    print(json.dumps({what: told}), flush=True)


async def tell_error(what: str, asked: Coroutine[Any, Any, Any]) -> None:
    """Say what is raised."""
    try:
        tell(what, f"no error: {await asked!r}")
    except Exception as error:  # noqa: BLE001 - whatever it is, it is told
        tell(what, f"{type(error).__module__}.{type(error).__qualname__}: {error}")


async def leave(reading: Coroutine[Any, Any, Any]) -> None:
    """Read, and leave in the middle of it."""
    task = asyncio.ensure_future(reading)
    tell("reading", told=True)
    await asyncio.to_thread(sys.stdin.readline)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    tell("left", told=True)
    await asyncio.to_thread(sys.stdin.read)
