"""What a request asks for, read from its content alone, so that in the process and over HTTP it is the same."""

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import msgspec
from msgspec import Struct

from stretto.ground.regex import parted, regex
from stretto.types import Request, RoleName

UNDER_WAY = "already under way"
"""How a request for the rest of a plan speaks of the subtasks that it need not contain."""

REFERENCES = "put a reference to the results"
"""How a prompt speaks of the references it wants."""
QUOTES = "[^i2 "
"""How it writes one that quotes an input."""
AGAIN = "Write the plan once more"
"""How a request for another plan begins."""

BUILDS_ON = "Your part builds on these results"
"""How a worker is told what it needs."""

_ROUND = regex(
    r'This is round (\d{1,6}) of \d{1,6}\. If the answer can be written from these results, leave "tasks" empty'
)
_INPUT = regex(r'<input(?:-\d+)? id="(i\d+)"[^\n]*>\n')
_FEW_WORDS = regex(r'[^\s"<>]+(?:[ \t]+[^\s"<>]+){2,7}')
_RESULT = regex(
    r"^[ \t]*=== (?:PARTIAL )?(?:WORKER RESULT\b|RESULT OF (\S+))"
    r"[ \t]*(?:\(([^\n]*?)\)(?=: | ===|,))?[^\n]*(?:\n|\Z)",
    re.MULTILINE,
)
_LEDGER = regex(r"^[ \t]*=== LEDGER\b[^\n]*(?:\n|\Z)", re.MULTILINE)
_NAMES_TASKS = regex(r"""["'`]tasks["'`]""")

_TASK_LABELS = (
    regex(r"<(?:original_)?task>\n?", re.IGNORECASE),
    regex(r"^[#= \t]*(?:the |your |original |main |whole )?task[ \t=]*(?::|\n)\s*", re.IGNORECASE | re.MULTILINE),
    regex(r"\btask\b[^\n:]{0,40}:\s*", re.IGNORECASE),
)
# A task ends where the prompt takes over again: at a closing tag, a section, a label on a line of its own.
_TASK_END = regex(
    r"</(?:original_)?task>|\n[ \t]*\n(?=[#=]|[^\n]{1,120}:[ \t]*\n)|\n[ \t]*(?=(?:Style|Type|Guidelines|Description):)"
    r"|\sand the following\b",
    re.IGNORECASE,
)
_YOUR_PART = regex(r"^your part(?! builds)[^\n(:]*(?:\(([^\n)]*)\)[^\n]*)?:\s*([^\n]+)", re.IGNORECASE | re.MULTILINE)
_ONE_PART = regex(r"^You write one part \(([^\n)]*)\)", re.MULTILINE)
_TYPE = regex(r"^(?:style|type|subtask type|worker type):[ \t]*(\S[^\n]*)", re.IGNORECASE | re.MULTILINE)
_DESCRIPTION = regex(
    r"^(?:guidelines|description|subtask|your subtask|instructions?|in particular|what is wanted of you):\s*(\S[^\n]*)",
    re.IGNORECASE | re.MULTILINE,
)


class Assignment(Struct, frozen=True):
    """What a worker is asked to do; without type and description it is the task itself."""

    task: str
    type: str = ""
    description: str = ""


class _Listed(Struct):
    """A subtask as a request for the rest of a plan lists it."""

    type: str = ""
    description: str = ""


class Section(Struct, frozen=True):
    """A worker's result as the synthesizer reads it."""

    type: str
    text: str
    id: str = ""


class Entry(Struct):
    """A line of the ledger: of a subtask, or of the plan."""

    id: str = ""
    type: str = ""
    outcome: str = ""
    why: str = ""
    description: str = ""
    plan: str = ""


def text_of(request: Request) -> str:
    """Everything the messages say; never the inputs, which may say anything."""
    return "\n\n".join(message.content for message in request.messages)


def role_of(request: Request) -> RoleName:
    """Who is meant to answer this request."""
    if request.schema is not None and _is_of_a_plan(request.schema):
        return "orchestrator"
    if round_of(request):
        return "orchestrator"
    text = text_of(request)
    if (_RESULT.search(text) or _LEDGER.search(text)) and BUILDS_ON not in text:
        return "synthesizer"
    if request.schema is None and _asks_for_plan(request, text):
        return "orchestrator"
    return "worker"


def _is_of_a_plan(schema: Mapping[str, Any]) -> bool:
    """Whether a schema has a list of tasks that are described; an answer may have one of another kind."""
    properties = schema.get("properties", {})
    if not isinstance(properties, Mapping) or "tasks" not in properties:
        return False
    task = resolve(schema, resolve(schema, properties["tasks"]).get("items", {}))
    return not task or "description" in task.get("properties", {})


def resolve(root: Mapping[str, Any], part: Any) -> Mapping[str, Any]:
    """A part of a schema with its `$ref` followed (`#/$defs/Task`, as pydantic writes it); empty for what is none."""
    if not isinstance(part, Mapping):
        return {}
    reference = part.get("$ref")
    if not isinstance(reference, str) or not reference.startswith("#/"):
        return part
    found: Any = root
    for name in reference[2:].split("/"):
        found = found.get(name, {}) if isinstance(found, Mapping) else {}
    return found if isinstance(found, Mapping) else {}


def _asks_for_plan(request: Request, text: str) -> bool:
    json_mode = "response_format" in request.options
    return json_mode or ("json" in text.casefold() and _NAMES_TASKS.search(text) is not None)


def task_of(request: Request) -> str:
    """The task as far as the prompt shows where it stands; otherwise all that the first user message says."""
    prompt = next((message.content for message in request.messages if message.role == "user"), text_of(request))
    for label in _TASK_LABELS:
        if found := label.search(prompt):
            rest = prompt[found.end() :]
            end = _TASK_END.search(rest)
            if task := rest[: end.start() if end else None].strip():
                return task
    return prompt.strip()


def assignment_of(request: Request) -> Assignment:
    """What a worker's prompt asks of it."""
    text, task = text_of(request), task_of(request)
    if part := _YOUR_PART.search(text):
        type_ = part[1] or next(iter(_ONE_PART.findall(text)), "")
        return Assignment(task, type_.strip(), part[2].strip())
    type_, description = _TYPE.search(text), _DESCRIPTION.search(text)
    return Assignment(task, type_[1].strip() if type_ else "", description[1].strip() if description else "")


def sections_of(request: Request) -> list[Section]:
    """The results in a synthesizer's prompt, in its order."""
    text = text_of(request)
    if ledger := _LEDGER.search(text):
        text = text[: ledger.start()]
    return [Section(match[2] or "result", body.strip(), match[1] or "") for match, body in parted(_RESULT, text)]


def ledger_of(request: Request) -> list[Entry]:
    """The lines under `=== LEDGER` in a prompt."""
    text, entries = text_of(request), list[Entry]()
    found = _LEDGER.search(text)
    for line in text[found.end() :].split("\n\n")[0].splitlines() if found else ():
        with suppress(msgspec.MsgspecError):
            entries.append(msgspec.json.decode(line, type=Entry))
    return entries


def missing_of(request: Request) -> list[str]:
    """What the ledger in a synthesizer's prompt says is missing, a line each."""
    lacking = [entry for entry in ledger_of(request) if entry.outcome != "done"]
    return [
        f"- {entry.why}" if entry.plan else f"- {entry.type}: {entry.description} ({entry.outcome}: {entry.why})"
        for entry in lacking
    ]


def references_of(request: Request) -> str | None:
    """What a prompt for an answer asks to be referred to: None for nothing, else a reference to an input, if any.

    With inputs that is one which quotes a few words of the first; without, or where it is not asked for, empty.
    """
    asked = text_of(request)
    if REFERENCES not in asked:
        return None
    found = _INPUT.search(request.head.text) if request.head and QUOTES in asked else None
    words = _FEW_WORDS.search(request.head.text, found.end()) if found and request.head else None
    return f'[^{found[1]} "{words[0]}"]' if found and words else ""


def round_of(request: Request) -> int:
    """Which round of planning this asks for, in a second message; 0 if for none."""
    earlier = sum(message.role == "user" for message in request.messages) > 1
    rounds = _ROUND.findall(_last_user_message(request)) if earlier else []
    return int(rounds[-1]) if rounds else 0


def remark_of(request: Request) -> str:
    """What somebody says of a plan that is to be written once more; empty if none is."""
    asked = _last_user_message(request)
    return asked.partition("\n")[2] if asked.startswith(AGAIN) else ""


def is_repair(request: Request) -> bool:
    """Whether this asks for the rest of a plan."""
    return not round_of(request) and UNDER_WAY in _last_user_message(request)


def under_way(request: Request) -> set[tuple[str, str]]:
    """Type and description of the subtasks that a request for the rest of a plan says are there."""
    text = _last_user_message(request)
    decoder = json.JSONDecoder()  # msgspec cannot stop where the value ends
    for start in (match.start() for match in re.finditer(r"\[\s*[\]{]", text)):
        try:
            listed = decoder.raw_decode(text, start)[0]
            subtasks = msgspec.convert(listed, list[_Listed])
        except (ValueError, RecursionError, msgspec.ValidationError):
            continue
        return {same(subtask.type, subtask.description) for subtask in subtasks}
    return set()


def same(type_: str, description: str) -> tuple[str, str]:
    """Two subtasks alike in this are the same one."""
    return type_.strip().casefold(), " ".join(description.split()).casefold()


def _last_user_message(request: Request) -> str:
    return next((message.content for message in reversed(request.messages) if message.role == "user"), "")
