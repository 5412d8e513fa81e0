"""The results as the synthesizer reads them."""

from collections.abc import Mapping, Sequence

from stretto.types import PlanState, Result, Subtask

_LONGEST_LINE = 500


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
