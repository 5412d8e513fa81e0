"""The form of a plan: which parts and sizes it has, and the JSON schema that permits nothing that could not be meant.

A plan has what its prompt speaks of. A model that is offered `needs` and not told what they are for fills in types and
topics, and one that is asked for an analysis where its prompt says nothing of one writes the answer there.
"""

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from stretto.ground.regex import regex
from stretto.prompts import uses
from stretto.types import Role

_ENDLESS = 10**9
_NEEDS = regex(r"\bneeds\b")
_BRIEF = regex(r"""["'`]brief["'`]""")  # quoted: many a prompt asks to be brief


class Size(Struct, frozen=True):
    """A size of plan: from `least` to `most` subtasks, and what it is for.

    A plan of size `one` may have one subtask: who writes one means it, and a worker may have a model of its own.
    """

    name: str
    least: int
    most: int
    meant: str


_SIZES = (
    Size("one", 0, 1, "What one good reply can do: a fact, a letter, a short program."),
    Size("small", 2, 3, "A few sides: compare two products, a plan with its risks."),
    Size("medium", 4, 8, "Several parts: a trip of five days, a report with chapters."),
    Size("large", 9, _ENDLESS, "Many pieces of one kind: a paragraph on each of 20 towns."),
)


def sizes(max_subtasks: int) -> tuple[Size, ...]:
    """The sizes a plan of so many subtasks at most can have, each within that number."""
    return tuple(Size(s.name, s.least, min(s.most, max_subtasks), s.meant) for s in _SIZES if s.least <= max_subtasks)


def size_lines(max_subtasks: int) -> str:
    """The sizes as the orchestrator reads them, a line each."""
    return "\n".join(f'- "{size.name}": {_range(size)}. {size.meant}' for size in sizes(max_subtasks))


def oversize(name: str, listed: int) -> list[str]:
    """What is to be said of a plan that is far larger than the size it says; nothing if it is not."""
    size = next((size for size in _SIZES if size.name == name), None)
    if size is None or listed <= 2 * size.most:
        return []
    return [f"the plan says that its size is {name!r} and lists {listed}; all of them are carried out"]


def _range(size: Size) -> str:
    if not size.least:
        return "no subtasks, `tasks` is []"
    return f"{size.least} subtasks" if size.least == size.most else f"{size.least} to {size.most} subtasks"


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
