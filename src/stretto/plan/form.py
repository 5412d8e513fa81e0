"""The form of a plan: which parts it has, and the JSON schema that permits nothing that could not be meant.

A plan has what its prompt speaks of. A model that is offered `needs` and not told what they are for fills in types and
topics, and one that is asked for an analysis where its prompt says nothing of one writes the answer there.
"""

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from stretto.ground.regex import regex
from stretto.plan.sizes import sizes
from stretto.prompts import uses
from stretto.types import Role

_NEEDS = regex(r"\bneeds\b")
_BRIEF = regex(r"""["'`]brief["'`]""")  # quoted: many a prompt asks to be brief


class Form(Struct, frozen=True):
    """Which parts a plan has beside its subtasks' types and descriptions.

    `sized`: it says how large it is. `needs`: a subtask says whose results it uses. `brief`: it says what every worker
    must do alike, in the place of an analysis.
    """

    sized: bool = False
    needs: bool = False
    brief: bool = False


def form_of(prompt: str) -> Form:
    """The form that a prompt of the orchestrator, its placeholders not filled in, speaks of."""
    return Form(uses(prompt, "sizes"), _NEEDS.search(prompt) is not None, _BRIEF.search(prompt) is not None)


def plan_schema(
    workers: Mapping[str, Role], max_subtasks: int, form: Form | None = None, *, ranked: bool = False
) -> dict[str, Any]:
    """The JSON schema of a plan for these workers, of this form; `ranked`: it says what each subtask is worth.

    Properties stand in the order in which they are to be written, and all are required: grammars made from a schema
    put optional ones behind the others, whatever the order.
    """
    form = form or Form()
    size = {"type": "string", "enum": [size.name for size in sizes(max_subtasks)]}
    tasks = {
        "type": "array",
        "items": _object(_subtask(workers, _id(max_subtasks), form, ranked=ranked)),
        "description": f"at most {max_subtasks} subtasks",
    }
    return _object({**_beginning(form), **({"size": size} if form.sized else {}), "tasks": tasks})


def _beginning(form: Form) -> dict[str, Any]:
    if form.brief:
        return {"brief": {"type": "string", "description": "what every worker must do alike, at most 60 words"}}
    return {"analysis": {"type": "string", "description": "two sentences at the most"}}


def _id(max_subtasks: int) -> dict[str, Any]:
    """An id: `t` and a number of no more digits than it takes, from two on."""
    # Grammars take a pattern only from `^` to `$`; not all of them know `\d`, or how often from braces.
    return {"type": "string", "pattern": f"^t[1-9]{'[0-9]?' * (max(2, len(str(max_subtasks))) - 1)}$"}


def _subtask(workers: Mapping[str, Role], id_: Mapping[str, Any], form: Form, *, ranked: bool) -> dict[str, Any]:
    about = "; ".join(f"{name}: {role.about}" for name, role in workers.items() if role.about)
    needs = {
        "type": "array",
        "items": dict(id_),
        "description": "ids of earlier subtasks whose results this one uses; usually []",
    }
    value = {"type": "number", "description": "what the answer loses without it, from 1 to 5"}
    return {
        "id": {**id_, "description": "t1, t2, t3 and so on"},
        "type": {"type": "string", "enum": list(workers), "description": about or "which worker does it"},
        "description": {"type": "string", "description": "the objective, what to return, what is out of scope"},
        **({"needs": needs} if form.needs else {}),
        **({"value": value} if ranked else {}),
    }


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
