"""How the gauntlet is run: what is the same for every task and way."""

from pathlib import Path
from typing import Any

from msgspec import Struct

from bench.gauntlet.endpoint import Endpoint

_PLAN = 4  # times as long as another reply


class Setting(Struct, frozen=True):
    """`temperature`, `seed`: of every call that sets none itself (None: as the server has it).

    `limit`: seconds of one trial. `most`: tokens of any reply, if it is to be kept short. `store`: where Stretto keeps
    the runs. `notebook`: the file whose prompts the notebook's way takes, if not ours. `runs_code`: whether the code
    in an answer is run.
    """

    endpoint: Endpoint
    store: Path
    temperature: float | None = 0.2
    seed: int | None = 1
    limit: float = 180.0
    most: int | None = None
    notebook: Path | None = None
    runs_code: bool = True

    def options(self, time: int, *, seeded: bool = True, plans: bool = False) -> dict[str, Any]:
        """The options of a call in the nth repetition, from 1; one that `plans` needs its end."""
        seed = self.seed + time - 1 if self.seed is not None and seeded else None
        most = self.most * _PLAN if self.most and plans else self.most
        options = {"temperature": self.temperature, "seed": seed, "max_tokens": most}
        return {name: value for name, value in options.items() if value is not None}
