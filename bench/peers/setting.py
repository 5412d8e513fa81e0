"""Who is compared, how much of it, and until when; and the rows that come of it."""

import sys
import time
from collections.abc import Iterator

from msgspec import Struct

from bench.peers.environments import Environment, Peer
from bench.peers.scene import Scene
from bench.peers.trial import Ask, Trial, trial

_SHORTEST = 5.0


class Row(Struct, frozen=True):
    """One line of the table: what was measured, and each peer's cell by its name."""

    what: str
    cells: dict[str, str]


Part = Iterator[Row]


class Setting(Struct, frozen=True):
    """Peers with their environments, fewer rounds and workers if `quick`, so many `workers` if that is said.

    `until`: the monotonic time at which what is not measured yet is left out.
    """

    peers: tuple[tuple[Peer, Environment], ...]
    quick: bool
    until: float
    workers: int | None = None

    def count(self, full: int, quick: int) -> int:
        """How many workers, or of whatever else there are fewer in a quick run."""
        return self.workers or (quick if self.quick else full)

    def trials(self, what: str, scene: Scene, ask: Ask, limit: float, rounds: int = 1) -> dict[str, list[Trial]]:
        """Every peer's trials, in turn round by round, so that a slow minute of the machine meets all of them.

        Whoever fails is not tried again; whoever there is no time for has none.
        """
        found: dict[str, list[Trial]] = {peer.name: [] for peer, _ in self.peers}
        for number in range(rounds):
            for peer, place in self.peers[:: -1 if number % 2 else 1]:
                left = self.until - time.monotonic()
                if left < _SHORTEST or any(not each.answered for each in found[peer.name]):
                    continue
                print(f"{what}: {peer.title}", file=sys.stderr, flush=True)
                found[peer.name].append(trial(peer, place, scene, ask, min(limit, left)))
        return found
