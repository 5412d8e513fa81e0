"""What a worker is asked, and what the orchestrator reads of the workers."""

from collections.abc import Mapping, Sequence

from stretto.prompts.filling import fill, filled, template, uses
from stretto.prompts.results import needs_text
from stretto.types import Result, Role, Subtask


def worker_lines(workers: Mapping[str, Role]) -> str:
    """The workers as the orchestrator reads them, a line each."""
    return "\n".join(f"- {name}: {role.about}" if role.about else f"- {name}" for name, role in workers.items())


def worker_prompt(role: Role, task: str, subtask: Subtask, needed: Sequence[tuple[Subtask, Result]]) -> str:
    """What a worker is asked, with the results its subtask builds on."""
    prompt = template("worker", role.prompt)
    brief = "\n" + filled("brief", brief=subtask.brief) + "\n" if subtask.brief.strip() else ""
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
