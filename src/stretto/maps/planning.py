"""The plan of a map: a subtask for each item."""

from collections.abc import Sequence
from typing import Any

from stretto.plan.naming import is_reserved, safe_id
from stretto.types import Each, Plan, Subtask

_ID = "id"


def plan_of(each: Each, texts: Sequence[str], worker: str) -> Plan:
    """The plan in which this worker does a subtask for each item; `texts` are their tasks."""
    named = zip(ids_of(each.items), texts, strict=True)
    return Plan(tuple(Subtask(id_, worker, text, alone=True) for id_, text in named), "complete")


def ids_of(items: Sequence[Any]) -> list[str]:
    """The ids of items: what they say under `id`, if each has one of its own that can be an id; else t1, t2 and on."""
    own = [_own(item) for item in items]
    found = [id_ for id_ in own if id_]
    if len(found) == len(items) and len(set(found)) == len(found):
        return found
    return [f"t{number}" for number in range(1, len(items) + 1)]


def _own(item: Any) -> str:
    written = item.get(_ID) if isinstance(item, dict) else None
    if isinstance(written, bool) or not isinstance(written, str | int):
        return ""
    id_ = str(written)
    return id_ if safe_id(id_) == id_ and not is_reserved(id_) else ""
