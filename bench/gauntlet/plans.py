"""A plan as the model wrote it, before anybody mends it."""

import json
from collections.abc import Collection
from typing import Any


def plan_is_valid(written: str, types: Collection[str]) -> bool:
    """Whether a plan is JSON as it stands, whose subtasks (there may be none) have a known type and say what to do."""
    tasks = _tasks(written)
    return tasks is not None and all(
        isinstance(each, dict)
        and each.get("type") in types
        and isinstance(each.get("description"), str)
        and each["description"].strip()
        for each in tasks
    )


def needs_in(written: str) -> tuple[int, int]:
    """How many needs a plan names, and how many of those name an earlier subtask by its id as that is written."""
    named = valid = 0
    earlier: set[str] = set()
    for place, each in enumerate(_tasks(written) or [], 1):
        if not isinstance(each, dict):
            continue
        needs = each.get("needs")
        for need in needs if isinstance(needs, list) else []:
            named += 1
            valid += str(need) in earlier
        earlier.add(str(each.get("id") or f"t{place}"))
    return named, valid


def _tasks(written: str) -> list[Any] | None:
    try:
        plan = json.loads(written)
    except ValueError:
        return None
    tasks = plan.get("tasks") if isinstance(plan, dict) else None
    return tasks if isinstance(tasks, list) else None
