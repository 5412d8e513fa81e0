from decimal import Decimal
from typing import Literal

from msgspec import Struct

class Limits(Struct, frozen=True):
    parallel: int
    max_subtasks: int
    rounds: int
    rpm: float | None
    tpm: float | None
    budget: Decimal | None
    budget_per_day: Decimal | None
    tokens: int | None
    deadline: float | None
    hedge: float
    unpriced: Literal["refuse", "allow"]
    attempts: int
    timeout: float
    max_wait: float

    def __init__(
        self,
        parallel: int = 64,
        max_subtasks: int = 64,
        rounds: int = 1,
        rpm: float | str | None = None,
        tpm: float | str | None = None,
        budget: Decimal | float | str | None = None,
        budget_per_day: Decimal | float | str | None = None,
        tokens: int | str | None = None,
        deadline: float | str | None = None,
        hedge: float | str = 0.0,
        unpriced: Literal["refuse", "allow"] = "refuse",
        attempts: int = 4,
        timeout: float | str = 600.0,
        max_wait: float | str = 900.0,
    ) -> None: ...
