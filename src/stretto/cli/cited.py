"""The answer of a run with footnotes."""

from stretto.references import footnotes
from stretto.runs import Run


def cited(run: Run) -> str:
    """The answer with numbers behind its passages and below it what these rest on; as it is if that is not known."""
    described = {each.id: f"{each.type}: {each.description}" for each in run.plan.subtasks}
    return footnotes(run.answer or "", run.citations, described)
