"""What a map finds."""

from decimal import Decimal
from typing import Any

from msgspec import Struct

from stretto.types.costs import Usage
from stretto.types.plans import Outcome, Verdict


class Row(Struct, frozen=True, kw_only=True):
    """What came of one item, good or bad.

    `id` is that of its subtask, `index` its place in the list, from 0, and `item` the item as it was given. `answer` is
    whole only if the `state` is `done`; for every other state `error` says why. `parsed` is the answer as the object it
    had to be, if it has a schema. `usage` and `cost` (US dollars, None where a price is unknown) are what was paid for
    it, `seconds` those from its first request to its last reply. `reused`: it was answered from the records alone.
    """

    id: str
    index: int
    item: Any
    answer: str
    state: Outcome
    error: str | None = None
    verdict: Verdict | None = None
    remark: str = ""
    parsed: Any = None
    model: str = ""
    usage: Usage = Usage()
    cost: Decimal | None = None
    seconds: float | None = None
    reused: bool = False

    @property
    def done(self) -> bool:
        """Whether the answer is there, whole."""
        return self.state == "done"
