"""What one workflow may use. That texts become numbers is told to type checkers in the stub beside this."""

from decimal import Decimal
from typing import Literal

from msgspec import Struct
from msgspec.structs import force_setattr

from stretto.ground.amounts import WRITTEN, limit
from stretto.ground.tracebacks import without_frames
from stretto.types.keywords import Keyworded


class Limits(Struct, frozen=True, metaclass=Keyworded):
    """What one workflow may use.

    - `parallel`: calls in flight at the same time; 64.
    - `max_subtasks`: subtasks of one run, those of all its rounds together; 64.
    - `rounds`: how often subtasks are planned, each time with all results so far in view; the orchestrator may stop
      before. 1: once.
    - `rpm`: requests a minute; no limit of ours.
    - `tpm`: tokens a minute; no limit of ours.
    - `budget`: US dollars that one run may cost; no limit.
    - `budget_per_day`: US dollars that all runs of one store may cost on a day (UTC), of which each sets its `budget`
      aside while it is carried; no limit.
    - `tokens`: tokens of one run, input and output together; no limit.
    - `deadline`: seconds of one run from its start (or its resumption) to the answer; none.
    - `hedge`: the share of a run's cost, from 0 to 1, that may go into asking stragglers a second time; 0: none is.
    - `unpriced`: what becomes of a model whose price is unknown in a run with a budget. `"refuse"`, the default: the
      run does not begin; `"allow"`: it is asked, uncounted.
    - `attempts`: how often a call is asked before its error counts; 4.
    - `timeout`: seconds that one whole call may take; 600.
    - `max_wait`: seconds that rate limits may hold a call back; 900.

    An amount may be given as a text (`"50c"`, `"$0.50"`, `"250k"`, `"5%"`, `"2m30s"`), which is read at once; one that
    is no amount is a `ConfigError`.
    """

    parallel: int = 64
    max_subtasks: int = 64
    rounds: int = 1
    rpm: float | None = None
    tpm: float | None = None
    budget: Decimal | None = None
    budget_per_day: Decimal | None = None
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
