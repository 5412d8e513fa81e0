"""The answer of a run with footnotes, or why it has none."""

from stretto.references import footnotes
from stretto.runs import Run


def cited(run: Run) -> str:
    """The answer with numbers behind its passages and below it what these rest on; as it is if that is not known."""
    described = {each.id: f"{each.type}: {each.description}" for each in run.plan.subtasks}
    return footnotes(run.answer, run.citations, described)


def uncited(run: Run) -> str:
    """Why an answer has no footnotes; empty if it has some."""
    if run.citations or run.status != "finished":
        return ""
    if run.coverage.direct or not run.plan.subtasks:
        return "no footnotes: one call answered the task as it is written, without results to refer to"
    writer = run.workflow.get("definition", {}).get("synthesizer") or {}
    if not writer:
        return "no footnotes: the answer is the results as they are, and there is no synthesizer to refer to them"
    if writer.get("schema"):
        return "no footnotes: an answer with a schema has no place for references"
    if "{references}" not in (writer.get("prompt") or "{references}"):
        return "no footnotes: the synthesizer's prompt asks for none; it does where {references} stands in it"
    return "no footnotes: the answer does not say what it rests on"
