"""The default prompts, and filling in a prompt's placeholders."""

import re
from collections.abc import Mapping, Sequence

from stretto.errors import ConfigError
from stretto.types import PlanState, Result, Role, RoleName, Subtask

ORCHESTRATOR = """\
You plan the work of a team that works in parallel. Split the task below into subtasks for the workers listed.

Task:
{task}

Workers (the `type` of a subtask names the one who does it):
{workers}

How to split:
- If one worker can do the whole task well in one go, or it cannot be divided sensibly, write no subtasks at all.
- Otherwise write as few subtasks as the task deserves: 2 or 3 for a small one, 3 to 5 for a broad one, never more \
than {max_subtasks}.
- A worker sees the task and its own description, nothing else. Say in about 25 words what to do, what to return, and \
what to leave out.
- Split so that subtasks do not depend on one another. Only where one truly uses the result of another, list that \
one's id in `needs`; it must stand earlier in the plan.
- Put the longest subtasks first. Analyse in two sentences at the most. Do not solve the task.
"""

WORKER = """\
This is the whole task, for orientation:
{original_task}

Your part of it ({task_type}):
{task_description}
{needs}
Do this part only, completely, and return only its result.
"""

SYNTHESIZER = """\
Task:
{task}

Several workers did parts of it. Their results:
{worker_responses}

Write the answer to the task from these results: one coherent text that keeps what is correct and useful, resolves \
contradictions, and does not mention the workers. If something is listed as missing, say what is missing where it \
matters, and do not make it up.
"""

PLACEHOLDERS: dict[str, frozenset[str]] = {
    "orchestrator": frozenset({"task", "workers", "max_subtasks"}),
    "worker": frozenset({"original_task", "task_type", "task_description", "needs"}),
    "synthesizer": frozenset({"task", "worker_responses"}),
    "checker": frozenset({"original_task", "task_type", "task_description", "needs", "about", "result"}),
}
DEFAULTS: dict[RoleName, str] = {"orchestrator": ORCHESTRATOR, "worker": WORKER, "synthesizer": SYNTHESIZER}

# `{word}` is a placeholder and `{{word}}` the literal `{word}`; every other brace is just a brace (JSON examples).
_WORD = re.compile(r"\{\{([A-Za-z_]\w*)\}\}|\{([A-Za-z_]\w*)\}")

_LONGEST_LINE = 500


def template(role: RoleName, prompt: str | None) -> str:
    """The prompt of a role, or its default."""
    return DEFAULTS[role] if prompt is None else prompt


def check(role: str, prompt: str | None, place: str) -> None:
    """Raise `ConfigError` if a prompt has a placeholder that its role does not fill."""
    known = PLACEHOLDERS[role]
    for literal, word in _WORD.findall(prompt or ""):
        if not literal and word not in known:
            names = ", ".join(f"{{{name}}}" for name in sorted(known))
            raise ConfigError(
                f"{place}: unknown placeholder {{{word}}}; this prompt can use {names}, "
                f"and {{{{{word}}}}} stands for a literal {{{word}}}"
            )


def uses(prompt: str, placeholder: str) -> bool:
    """Whether a prompt has this placeholder; doubled braces are none."""
    return any(word == placeholder for _, word in _WORD.findall(prompt))


def fill(prompt: str, values: Mapping[str, str]) -> str:
    """The prompt with every known placeholder replaced, once: what is filled in is never read again."""
    return _WORD.sub(lambda match: f"{{{match[1]}}}" if match[1] else values.get(match[2], match[0]), prompt)


def describes_plan(prompt: str) -> bool:
    """Whether a prompt itself says what form the plan must have."""
    return '"tasks"' in prompt and '"description"' in prompt


def worker_lines(workers: Mapping[str, Role]) -> str:
    """The workers as the orchestrator reads them, a line each."""
    return "\n".join(f"- {name}: {role.about}" if role.about else f"- {name}" for name, role in workers.items())


def worker_prompt(role: Role, task: str, subtask: Subtask, needed: Sequence[tuple[Subtask, Result]]) -> str:
    """What a worker is asked, with the results its subtask builds on."""
    prompt = template("worker", role.prompt)
    blocks = [f"=== RESULT OF {need.id} ({need.type}) ===\n{result.text}\n" for need, result in needed]
    needs = "\n" + "\n".join(blocks) if blocks else ""
    values = {"original_task": task, "task_type": subtask.type, "task_description": subtask.description, "needs": needs}
    # A prompt without the placeholder loses nothing.
    return fill(prompt, values) + ("" if uses(prompt, "needs") else needs)


def results_text(subtasks: Sequence[Subtask], results: Mapping[str, Result], plan: PlanState) -> str:
    """Every result in the plan's order, and the list of what is missing, if anything is."""
    told = [result_text(subtask, results[subtask.id]) for subtask in subtasks]
    blocks, missing = [block for block, _ in told if block], [line for _, line in told if line]
    if plan == "incomplete":
        missing.append("- the end of the plan: it could not be read, so there may be parts that nobody worked on")
    if plan == "bounded":
        missing.append("- the end of the plan: it was longer than permitted, and the rest was not worked on")
    if missing:
        blocks.append("\n=== MISSING ===\nThese parts have no complete result:\n" + "\n".join(missing) + "\n")
    return " ".join(blocks)


def result_text(subtask: Subtask, result: Result) -> tuple[str, str]:
    """One result as the synthesizer reads it, and its line in the list of what is missing; either may be empty."""
    if result.outcome == "done":
        return f"\n=== WORKER RESULT ({subtask.type}) ===\n{result.text}\n", ""
    partial = f"\n=== PARTIAL WORKER RESULT ({subtask.type}; {result.outcome}) ===\n{result.text}\n"
    why = _line(result.error or "")
    line = f"- {subtask.type}: {_line(subtask.description)} ({result.outcome}: {why})"
    return partial if result.text else "", line


def _line(text: str) -> str:
    """Enough of a description, or of an error, to know which one it is."""
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST_LINE else line[:_LONGEST_LINE] + "…"
