"""The items of a list: where they stand, what they are as data, and the plan with a subtask for each."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from stretto.errors import TaskError
from stretto.plan.naming import is_reserved, safe_id
from stretto.types import Each, Plan, Subtask


class Listing(list[Any]):
    """A list, and where each of its items stands, in words."""

    def __init__(self, found: Iterable[tuple[str, Any]]) -> None:
        super().__init__()
        self.places: list[str] = []
        for place, item in found:
            self.places.append(place)
            self.append(item)


def list_of(items: Iterable[Any]) -> list[Any]:
    """The items as a list; raises `TaskError` for what is none."""
    if isinstance(items, str | bytes | Mapping) or not isinstance(items, Iterable):
        raise TaskError(f"items: must be a list of texts or of mappings, not {type(items).__name__}")
    return items if isinstance(items, list) else list(items)


def listed(items: Sequence[Any]) -> tuple[Any, ...]:
    """The items as JSON has them: texts stay texts, mappings and instances of classes with fields become objects.

    Raises `TaskError` naming the place of an item that is no data.
    """
    return tuple(_data(item, place) for place, item in enumerate(items))


def _data(item: Any, place: int) -> Any:
    if isinstance(item, str):
        return item
    try:
        # There and back: a NaN is nothing in JSON, and keys are texts.
        return msgspec.json.decode(msgspec.json.encode(item, enc_hook=_fields))
    except (TypeError, ValueError, RecursionError) as error:
        raise TaskError(
            f"items[{place}]: cannot be written as JSON: {error}; give texts, or mappings of such"
        ) from error


def _fields(item: Any) -> Any:
    """The fields of a pydantic model, which JSON libraries do not know."""
    if hasattr(item, "model_dump"):
        return item.model_dump(mode="json")
    raise TypeError(f"{type(item).__name__} is no data")


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
    written = item.get("id") if isinstance(item, dict) else None
    if isinstance(written, bool) or not isinstance(written, str | int):
        return ""
    id_ = str(written)
    return id_ if safe_id(id_) == id_ and not is_reserved(id_) else ""
