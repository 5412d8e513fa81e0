"""What a worker is asked, and the results as the synthesizer, a worker that builds on some, or people read them.

Where something is not whole a ledger says in JSON, a line for each subtask, what came of it; why something is missing
stands there and nowhere else, so no error is ever read as a result.
"""

from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache

import msgspec
from msgspec import Struct

from stretto.ground.regex import regex
from stretto.prompts.defusing import defused
from stretto.prompts.echoes import restates
from stretto.prompts.filling import fill, filled, template, uses
from stretto.types import Outcome, PlanState, Result, Role, Subtask, Verdict

_LONGEST_LINE = 300
_LONGEST_TYPE = 80
_LONGEST_ASKED = 120
# Controls, line and paragraph ends of every kind, and what turns the direction of writing.
_CONTROLS = regex(r"[\s\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]+")
_EMPTY = "(This result is empty.)"
_PLANS: dict[PlanState, str] = {
    "incomplete": "the end of the plan could not be read, so there may be parts that nobody worked on",
    "bounded": "the end of the plan was longer than permitted, and the rest was not worked on",
}
_UNREAD = "there are so many more parts, whose results have no room here"
_KEPT = ("done", "truncated", "cut")
"""The outcomes whose text is a worker's."""


class _Entry(Struct, frozen=True, omit_defaults=True):
    """A line of the ledger; what says nothing is left out."""

    id: str
    type: str
    outcome: Outcome
    check: Verdict | None = None
    remark: str = ""
    why: str = ""
    description: str = ""
    needs: tuple[str, ...] = ()
    condensed: bool = False


def results_text(
    subtasks: Sequence[Subtask],
    results: Mapping[str, Result],
    plan: PlanState,
    condensed: Collection[str] = frozenset(),
    *,
    unread: int = 0,
) -> str:
    """Every result in the plan's order and, if something is not whole, the ledger.

    `condensed`: the ids of results that are not there whole. `unread`: so many more there are whose results have no
    room here.
    """
    blocks = [_block(s, results[s.id]) for s in subtasks]
    whole = all(results[s.id].outcome == "done" and results[s.id].verdict in {None, "holds"} for s in subtasks)
    if whole and plan == "complete" and not condensed and not unread:
        return "".join(blocks)
    lines = [_line(s, results[s.id], condensed=s.id in condensed) for s in subtasks]
    lines += [_written({"plan": plan, "why": _PLANS[plan]})] if plan in _PLANS else []
    lines += [_written({"unread": unread, "why": _UNREAD})] if unread else []
    return "".join([*blocks, f"\n=== LEDGER ===\n{filled('ledger')}\n", *lines])


def result_text(subtask: Subtask, result: Result) -> tuple[str, str]:
    """The share of one subtask in that text: its block, empty if there is nothing of it, and its line of the ledger."""
    return _block(subtask, result), _line(subtask, result)


def _line(subtask: Subtask, result: Result, *, condensed: bool = False) -> str:
    entry = _Entry(
        subtask.id,
        one_line(subtask.type, _LONGEST_TYPE),
        result.outcome,
        result.verdict,
        one_line("; ".join(filter(None, (subtask.remark, result.remark)))),
        _why(result),
        one_line(subtask.description) if result.outcome != "done" else "",
        subtask.needs,
        condensed,
    )
    return _written(entry)


def _written(entry: object) -> str:
    return msgspec.json.encode(entry).decode() + "\n"


def needs_text(needed: Sequence[tuple[Subtask, Result]]) -> str:
    """The results that a worker's own part builds on, and which of them are missing; empty if there are none."""
    if not needed:
        return ""
    blocks = [_block(need, result) or _lack(need, result) for need, result in needed]
    return "\n" + filled("needs") + "\n" + "".join(blocks)


def unmerged_text(subtasks: Sequence[Subtask], results: Mapping[str, Result], plan: PlanState) -> str:
    """The results as people read them, where nobody merges them; then what is missing, if anything is."""
    blocks = []
    for subtask in subtasks:
        result = results[subtask.id]
        part = "" if result.outcome == "done" else f"; {result.outcome}"
        blocks += [f"=== WORKER RESULT ({subtask.type}{part}) ===\n{result.text}\n"] if _kept(result) else []
    return "\n".join([*blocks, *_missing(subtasks, results, plan)])


def joined_text(subtasks: Sequence[Subtask], results: Mapping[str, Result], plan: PlanState) -> str:
    """The results as the parts of one text, in the plan's order; a part that is missing leaves a line in its place."""
    blocks = []
    for subtask in subtasks:
        result = results[subtask.id]
        blocks += [f"{result.text.strip()}\n"] if _kept(result) else []
        if result.outcome != "done":
            blocks.append(f"=== MISSING: {'the end of ' if _kept(result) else ''}{subtask.id} ===\n")
    return "\n".join([*blocks, *_missing(subtasks, results, plan)])


def _missing(subtasks: Sequence[Subtask], results: Mapping[str, Result], plan: PlanState) -> list[str]:
    """The list of what is missing, if anything is."""
    lines = [
        f"- {subtask.type}: {one_line(subtask.description)} "
        f"({results[subtask.id].outcome}: {one_line(results[subtask.id].error or '')})\n"
        for subtask in subtasks
        if results[subtask.id].outcome != "done"
    ]
    lines += [f"- {_PLANS[plan]}\n"] if plan in _PLANS else []
    return ["=== MISSING ===\nThese parts have no complete result:\n" + "".join(lines)] if lines else []


def one_line(text: str, most: int = _LONGEST_LINE) -> str:
    """Enough of a text to know which one it is, on one line and without controls."""
    line = text[: 4 * most]
    line = " ".join(line.split()) if line.isprintable() else _CONTROLS.sub(" ", line).strip()
    return line if len(line) <= most and len(text) <= 4 * most else line[:most] + "…"


def _block(subtask: Subtask, result: Result) -> str:
    if not _kept(result):
        return ""
    type_ = one_line(subtask.type, _LONGEST_TYPE)
    what = f"PARTIAL RESULT OF {subtask.id} ({type_}; {result.outcome})"
    said = defused(result.text) if result.text.strip() else _EMPTY
    head = f"RESULT OF {subtask.id} ({type_})" if result.outcome == "done" else what
    return f"\n=== {head}: {_asked(subtask)} ===\n{_doubt(result)}{said}\n"


def _lack(subtask: Subtask, result: Result) -> str:
    """What stands in the place of a result that is needed and not there."""
    head = f"MISSING: RESULT OF {subtask.id} ({one_line(subtask.type, _LONGEST_TYPE)}): {_asked(subtask)}"
    return f"\n=== {head} ===\n({result.outcome}: {_why(result)}. Do your part without it.)\n"


def _asked(subtask: Subtask) -> str:
    """What was asked, in a heading."""
    return one_line(subtask.description, _LONGEST_ASKED)


def _kept(result: Result) -> bool:
    """Whether there is something of a result to be read."""
    return result.outcome == "done" or (result.outcome in _KEPT and bool(result.text.strip()))


def _doubt(result: Result) -> str:
    if result.verdict != "fails":
        return ""
    return f"(A check of this result fails{': ' if result.remark else ''}{one_line(result.remark)})\n"


def _why(result: Result) -> str:
    if result.outcome == "done":
        return "" if result.text.strip() else "the worker returned no text"
    return one_line(result.error or "")


def worker_lines(workers: Mapping[str, Role]) -> str:
    """The workers as the orchestrator reads them, a line each."""
    return "\n".join(f"- {name}: {role.about}" if role.about else f"- {name}" for name, role in workers.items())


def worker_prompt(role: Role, task: str, subtask: Subtask, needed: Sequence[tuple[Subtask, Result]]) -> str:
    """What a worker is asked, with the results its subtask builds on."""
    prompt = template("worker", role.prompt)
    brief = _brief(subtask.brief, task)
    needs = needs_text(needed)
    values = {
        "original_task": task,
        "task_type": subtask.type,
        "task_description": subtask.description,
        "brief": brief,
        "needs": needs,
    }
    # A prompt without these placeholders loses nothing.
    before = "" if uses(prompt, "brief") else brief.lstrip("\n")
    return before + fill(prompt, values) + ("" if uses(prompt, "needs") else needs)


@lru_cache(maxsize=64)
def _brief(said: str, task: str) -> str:
    """What all parts are told alike: nothing where that is the task once more, which would ask for all of it twice.

    A few of its words are more than that: of "in English or German" one may be chosen.
    """
    again = 2 * len(said) > len(task) and restates(said, task, "")
    return "\n" + filled("brief", brief=said) + "\n" if said.strip() and not again else ""
