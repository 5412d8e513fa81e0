"""What a run waits for while nothing happens."""

import contextlib
import time
from collections.abc import Callable, Iterator

from stretto import events as e
from stretto.views.timeline.timeline import CHARACTERS

_ROLES = {"orchestrator": "the plan", "synthesizer": "the answer", "worker": "a worker"}


class Waiting:
    """The calls in flight, of which one is told wherever nothing was said for so many seconds of `silence`.

    `heard` tells how many characters a call has been answered with so far.
    """

    def __init__(self, silence: float) -> None:
        self._silence = silence
        self._said_at = time.monotonic()
        self._calls: dict[str, tuple[str, float]] = {}
        self.heard: Callable[[str], int] = lambda _: 0

    def restart(self) -> None:
        """Something was said."""
        self._said_at = time.monotonic()

    def take(self, event: e.AnyEvent, name: Callable[[str], str]) -> None:
        """Which calls are in flight; `name`: what a subtask is called."""
        match event:
            case e.CallStarted():
                whose = name(event.subtask) if event.subtask else _ROLES[event.role]
                self._calls.setdefault(event.call, (whose, time.monotonic()))
            case e.CallFinished():
                self._calls.pop(event.call, None)

    @contextlib.contextmanager
    def told(self, say: Callable[[str], None]) -> Iterator[None]:
        """As long as this is open, what is waited for is said where nothing else is for a while."""
        import asyncio  # which whoever only asks for help does without

        async def ticking() -> None:
            while True:
                await asyncio.sleep(self._silence / 5)
                if time.monotonic() - self._said_at >= self._silence:
                    say(self._what())

        ticks = asyncio.create_task(ticking())
        try:
            yield
        finally:
            ticks.cancel()

    def _what(self) -> str:
        """What is waited for longest, and how far that is."""
        if not self._calls:
            return "no call is in flight"
        whose, began = min(self._calls.values(), key=lambda call: call[1])
        tokens = sum(map(self.heard, self._calls)) // CHARACTERS
        more = f" and {len(self._calls) - 1} more" if len(self._calls) > 1 else ""
        far = f", about {tokens:,} tokens so far" if tokens else ""
        return f"for {whose}{more}, {time.monotonic() - began:.0f} s{far}"
