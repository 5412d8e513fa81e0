"""A run in one line; it loads nothing that draws, because `repr` of a run is asked for where nobody looks at it."""

from stretto.ground.text import many
from stretto.records import RunRecord
from stretto.views.formats import dollars, short


def summary(run: RunRecord) -> str:
    """A run in one line: how it stands, what it did and what that cost."""
    done = sum(result.outcome == "done" for result in run.results.values())
    facts = [f"{done} of {many(len(run.plan.subtasks), 'subtask')} done", many(len(run.calls), "call")]
    facts += [f"{run.usage.input_tokens:,} tokens in", f"{run.usage.output_tokens:,} out", dollars(run.cost)]
    facts += [f"answer of {many(len(run.answer), 'character')}"] if run.status == "finished" else []
    facts += [short(run.error, 120)] if run.error else []
    return ", ".join([run.status + (" (simulated)" if run.simulated else ""), *facts])
