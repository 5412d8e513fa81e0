"""Lines of a simulated batch: what becomes of each, and a model in the process that is asked by them."""

import asyncio
from collections.abc import AsyncGenerator

from stretto.calls import Call, Chunk, Done, Sent, Text
from stretto.errors import BatchError
from stretto.models.error_bodies import Refusal, refusal
from stretto.models.simulator.provider import SimulatedProvider
from stretto.models.simulator.script import Script

_GATHERED = 1.0  # seconds in which calls come together, as they do for a real batch


def failed_line(script: Script | Refusal) -> Refusal | None:
    """The error status in the place of a line's reply, if it has one; a fault of the connection is one of the server.

    A line that has expired has neither.
    """
    if isinstance(script, Refusal):
        return script
    if script.breaks or (script.fault and script.fault.kind in {"reset", "html"}):
        return refusal(500)
    return script.fault.refusal() if script.fault else None


class BatchedModel:
    """The model `name` of a simulated provider: what it says is there, all at once, when its batch has ended.

    A line that went wrong is a `BatchError`, as it is over HTTP.
    """

    def __init__(self, provider: SimulatedProvider, name: str) -> None:
        self._provider = provider
        self._name = name

    async def stream(self, call: Call) -> AsyncGenerator[Chunk, None]:
        """The reply to one call."""
        yield Sent()
        await asyncio.sleep(_GATHERED + self._provider.simulator.batch)
        now, where = asyncio.get_running_loop().time(), f"sim:{self._name}: in the batch"
        script = self._provider.ask(self._name, call.request, call.fingerprint, now)
        if refused := failed_line(script):
            raise BatchError(f"{where}: {refused.status}: {refused.message}")
        assert isinstance(script, Script)  # noqa: S101 - it was not refused
        if script.fault and script.fault.kind == "expired":
            raise BatchError(f"{where}: it has expired")
        self._provider.bill(self._name, script, script.due(len(script.pieces)))
        self._provider.complete(call.fingerprint, script)
        yield Text("".join(script.pieces))
        yield Done(script.finish, script.usage, f"sim:{self._name}", script.request_id, simulated=True)
