"""What one workflow may use. That texts become numbers is told to type checkers in the stub beside this."""

from decimal import Decimal
from typing import Literal

from msgspec import Struct
from msgspec.structs import force_setattr

from stretto.amounts import WRITTEN, limit
from stretto.tracebacks import without_frames


class Limits(Struct, frozen=True):
    """What one workflow may use.

    `parallel`: calls in flight. `max_subtasks`: of the whole run. `rounds`: how often subtasks are planned, each time
    with all results so far in view; the orchestrator may stop before. `rpm`, `tpm`: requests and tokens a minute. Of
    one run: `budget`, US dollars; `tokens`, of input and output together; `deadline`, seconds from its start (or its
    resumption) to the answer. `hedge`: the share of a run's cost that may go into asking stragglers a second time.
    `unpriced`: whether a run with a budget refuses a model whose price is unknown, or asks it uncounted. `attempts`:
    how often a call is asked before its error counts. `timeout`: seconds of one whole call. `max_wait`: seconds a call
    may be held back by rate limits.

    An amount may be given as a text (`"50c"`, `"$0.50"`, `"250k"`, `"5%"`, `"2m30s"`), which is read at once; one that
    is no amount is a `ConfigError`.
    """

    parallel: int = 64
    max_subtasks: int = 64
    rounds: int = 1
    rpm: float | None = None
    tpm: float | None = None
    budget: Decimal | None = None
    tokens: int | None = None
    deadline: float | None = None
    hedge: float = 0.0
    unpriced: Literal["refuse", "allow"] = "refuse"
    attempts: int = 4
    timeout: float = 600.0
    max_wait: float = 900.0

    @without_frames
    def __post_init__(self) -> None:
        for name in WRITTEN:
            if (value := limit(name, told := getattr(self, name))) is not told:
                force_setattr(self, name, value)
