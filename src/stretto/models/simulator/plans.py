"""The plans a simulated orchestrator writes, and the ways in which they can be spoilt."""

import random
import re

import msgspec
from msgspec import Struct

from stretto.ground.regex import regex
from stretto.models.simulator import leap_years
from stretto.models.simulator.faults import dice
from stretto.models.simulator.leap_years import part_of
from stretto.models.simulator.reading import (
    is_repair,
    ledger_of,
    remark_of,
    resolve,
    round_of,
    same,
    task_of,
    text_of,
    under_way,
)
from stretto.plan.form import sizes
from stretto.types import Request

_AT_MOST = regex(r"\b(?:at most|never more than|no more than|up to|maximum of)\s+(\d+)", re.IGNORECASE)
_WORKER_LINES = regex(r"^workers?\b[^\n]*:[ \t]*\n((?:[ \t]*- [^\n]*\n?)+)", re.IGNORECASE | re.MULTILINE)
_WORKER_NAME = regex(r"^[ \t]*- `?([^\s:`]+)`?(?:[ \t]*:|[ \t]*$)", re.MULTILINE)
_ENUM = regex(r'"type"\s*:\s*\{[^{}\]]*?"enum"\s*:\s*\[([^\]]*)\]')
_SIZED = "`size`"
"""How a prompt that asks for a plan's size speaks of it."""
_EXACTLY = regex(r"(?<!at most )(?<!more than )(?<!up to )\b(\d{1,6}) (?:\w+ )?subtasks\b", re.IGNORECASE)
_FEWEST, _MOST = 3, 6
_LONGEST_SUBJECT = 90
_VALUE = 3  # of every subtask: nothing in a task tells which matters more
_LAST_ROUND, _ADDS = 2, 0.8
_SEEN = "The results were read, and compared with the task."
_VERBS = {"plan": "Plan", "solve": "Work out", "test": "Check", None: "Cover"}
_ASPECTS = (
    "the aim and the terms", "the main line of argument", "the facts that matter most", "the practical steps",
    "the risks and limits", "a concrete example", "the alternatives and how they compare", "the costs and the effort",
    "the people concerned", "the order of work", "the open questions", "the history behind it",
    "the measures of success", "the common mistakes", "the details that are easily missed", "the likely objections",
    "the tools and materials", "a summary for newcomers", "what can wait", "the wider consequences",
)  # fmt: skip


class PlanForm(Struct, frozen=True):
    """The worker types, how many subtasks at most, and which keys a subtask may or must have.

    `opening`: the key of what the plan says first, `analysis` or `brief`; empty for nothing. `sized`: whether it says
    how large it is.
    """

    types: tuple[str, ...]
    at_most: int | None
    keys: frozenset[str]
    required: frozenset[str]
    opening: str
    sized: bool = False


def plan_form(request: Request) -> PlanForm:
    """Read the form from the schema, or else from the prompt."""
    text = text_of(request)
    if request.schema is None:
        every = frozenset({"id", "type", "description", "needs"})
        opening = "brief" if '"brief"' in text else "analysis"
        return PlanForm(_types_in(text), _at_most(text), every, frozenset(), opening, sized=_SIZED in text)
    root = request.schema
    tasks = resolve(root, root["properties"]["tasks"])
    item = resolve(root, tasks.get("items", {}))
    properties = item.get("properties", {})
    type_ = resolve(root, properties.get("type", {}))
    types = type_.get("enum") or ([type_["const"]] if "const" in type_ else [])
    return PlanForm(
        tuple(str(name) for name in types) or _types_in(text),
        tasks.get("maxItems") or _at_most(str(tasks.get("description", ""))) or _at_most(text),
        frozenset(properties) or frozenset({"id", "type", "description", "needs"}),
        frozenset(item.get("required", ())),
        next((key for key in ("brief", "analysis") if key in root["properties"]), ""),
        sized="size" in root["properties"],
    )


def _types_in(text: str) -> tuple[str, ...]:
    if enum := _ENUM.search(text):
        return tuple(re.findall(r'"([^"]*)"', enum[1])) or ("general",)
    if lines := _WORKER_LINES.search(text):
        return tuple(_WORKER_NAME.findall(lines[1])) or ("general",)
    return ("general",)


def _at_most(text: str) -> int | None:
    found = _AT_MOST.search(text)
    return int(found[1]) if found else None


class Planned(Struct, frozen=True, omit_defaults=True):
    """A subtask as it is written into a plan."""

    id: str
    type: str
    description: str
    needs: tuple[str, ...] = ()


class WrittenPlan(Struct, frozen=True):
    """A plan before it is turned into text."""

    analysis: str
    tasks: tuple[Planned, ...]
    form: PlanForm

    def text(self, *, spoilt: bool = False) -> str:
        """The plan as JSON, a subtask a line; if spoilt, every second one has unescaped quotes in its description."""
        lines = [self._line(task, spoilt=spoilt and index % 2 == 0) for index, task in enumerate(self.tasks)]
        opening = f'  "{self.form.opening}": {_json(self.analysis)},\n' if self.form.opening else ""
        size = f'  "size": {_json(_size(len(self.tasks)))},\n' if self.form.sized else ""
        tasks = "[\n    " + ",\n    ".join(lines) + "\n  ]" if lines else "[]"
        return f'{{\n{opening}{size}  "tasks": {tasks}\n}}\n'

    def no_plan(self) -> str:
        """What is thought of the same work, as valid JSON of another form, in which there is no plan."""
        types = sorted({task.type for task in self.tasks})
        return _json({"thoughts": self.analysis, "confidence": 0.8, "types": types})

    def _line(self, task: Planned, *, spoilt: bool) -> str:
        keys = self.form.keys
        pairs: list[tuple[str, object]] = [(k, getattr(task, k)) for k in ("id", "type", "description") if k in keys]
        if "needs" in keys and (task.needs or "needs" in self.form.required):
            pairs.append(("needs", task.needs))
        if "value" in self.form.required:
            pairs.append(("value", _VALUE))
        line = "{" + ", ".join(f'"{key}": {_json(value)}' for key, value in pairs) + "}"
        return _unescaped(line, task.description) if spoilt else line


def write_plan(seed: int, request: Request, subtasks: int | None = None) -> WrittenPlan:
    """The plan for a request, of so many `subtasks` if it is said.

    A request for the rest of a plan gets what the same plan has beyond what is listed; one for a round of planning one
    subtask more at the most; one with a remark another plan.
    """
    task, form, remark = task_of(request), plan_form(request), remark_of(request)
    # Not the fingerprint: the request for the rest is another one, and it must find the same plan.
    asked = (seed, request.model, task, form.types, request.sample)
    if number := round_of(request):
        return WrittenPlan(_SEEN, _added(request, form, dice(*asked, "round", number), number), form)
    chance = dice(*asked, "plan", *([remark] if remark else []))
    found = _EXACTLY.search(remark) or _EXACTLY.search(task)
    exactly = subtasks or (int(found[1]) if found else None)
    if leap_years.about_leap_years(task) and not exactly:
        analysis, pairs = leap_years.ANALYSIS, leap_years.subtasks(form.types)
    else:
        count = exactly or min(chance.randint(_FEWEST, _MOST), form.at_most or _MOST)
        analysis, pairs = _analysis(task, count), _pairs(task, form.types, count, chance)
    tasks = _numbered(pairs, chance, with_needs="with needs" in task.casefold())
    if is_repair(request):
        known = under_way(request)
        tasks = tuple(planned for planned in tasks if same(planned.type, planned.description) not in known)
    return WrittenPlan(analysis, tasks, form)


def _added(request: Request, form: PlanForm, chance: random.Random, number: int) -> tuple[Planned, ...]:
    """What a round of planning adds: the second one usually something, later ones nothing."""
    task, known = task_of(request), [entry.id for entry in ledger_of(request) if entry.outcome == "done"]
    if number > _LAST_ROUND or leap_years.about_leap_years(task) or chance.random() > _ADDS:
        return ()
    ((type_, description),) = _pairs(task, form.types, 1, chance)
    taken = sum(bool(entry.id) for entry in ledger_of(request))
    needs = tuple(chance.sample(known, 1)) if known and "needs" in form.keys else ()
    return (Planned(f"t{taken + 1}", type_, f"Settle what is open. {description}", needs),)


def fenced(text: str) -> str:
    """The plan in a code fence, with the words around it that chatty models write."""
    return f"Sure! Here is how I would divide the work:\n\n```json\n{text}```\n\nTell me if you would like it finer.\n"


def prose(task: str) -> str:
    """Good advice, but no plan."""
    return (
        f"I would begin with the main question ({subject_of(task)}), settle what is meant by it, collect what is "
        "known, and write the parts one after another. A second pair of eyes at the end never hurts.\n"
    )


def subject_of(task: str) -> str:
    """A task in few words: its first line, shortened at a word."""
    line = " ".join(task.strip().split("\n")[0].split()).rstrip(".:;!? ") or "the task"
    if len(line) <= _LONGEST_SUBJECT:
        return line
    cut = line[:_LONGEST_SUBJECT]
    return cut.rsplit(" ", 1)[0] + " …" if " " in cut else cut + "…"


def _analysis(task: str, count: int) -> str:
    parts = "one part" if count == 1 else f"{count} parts that can be worked on at the same time"
    return f"The task is to answer: {subject_of(task)}. It divides into {parts}."


def _pairs(task: str, types: tuple[str, ...], count: int, chance: random.Random) -> list[tuple[str, str]]:
    aspects, subject = list(_ASPECTS), subject_of(task)
    chance.shuffle(aspects)
    pairs = []
    for index in range(count):
        type_ = types[index % len(types)]
        turn, place = divmod(index, len(aspects))
        again = f", part {turn + 1}" if turn else ""
        pairs.append((type_, f"{_VERBS[part_of(type_)]} {aspects[place]}{again} for this task: {subject}."))
    return pairs


def _numbered(pairs: list[tuple[str, str]], chance: random.Random, *, with_needs: bool) -> tuple[Planned, ...]:
    tasks = []
    for index, (type_, description) in enumerate(pairs):
        wanted = chance.randint(0, 2) if with_needs else 0
        earlier = range(max(0, index - 8), index)
        needs = sorted(chance.sample(earlier, min(wanted, len(earlier))))
        tasks.append(Planned(f"t{index + 1}", type_, description, tuple(f"t{need + 1}" for need in needs)))
    return tuple(tasks)


def _size(count: int) -> str:
    """The smallest size of plan that permits so many subtasks."""
    return next(size.name for size in sizes(max(count, 9)) if count <= size.most)


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _unescaped(line: str, description: str) -> str:
    """Quotes round a word of the description that should have been escaped."""
    written = _json(description)
    first, _, rest = written[1:-1].partition(" ")
    return line.replace(written, f'"{first} "{rest}"', 1)
