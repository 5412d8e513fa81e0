"""What is to be said of a run once it is over: what is missing, doubtful, or rests on nothing; and what it rests on."""

from collections.abc import Iterator

from stretto.cli.totals import cited_facts
from stretto.cli.words import short
from stretto.references import footnotes
from stretto.runs import Run
from stretto.types import AnswerState, Verdict

LISTED = 10  # parts of one kind that are listed one by one
_UNFINISHED: dict[AnswerState, str] = {
    "truncated": "the end of the answer: it met its token limit; raise max_tokens of the synthesizer",
    "cut": "the end of the answer: the deadline came while it was written",
    "unmerged": "one answer: the results stand as they are, because they could not be merged into one",
}

VERDICTS: dict[Verdict, str] = {"fails": "its check fails", "unchecked": "unchecked", "holds": "checked"}


def shortcomings(run: Run, unplanned: str) -> Iterator[tuple[str, str]]:
    """The lines, each with the word before it; `unplanned`: why there is no plan, if that was said already."""
    for missing in run.coverage.missing[:LISTED]:
        name = short(f"{missing.subtask} ({missing.type})")
        yield "missing", f"{name}, {missing.outcome}: {short(missing.reason, 300)}"
    if (more := len(run.coverage.missing) - LISTED) > 0:
        yield "missing", f"and {more} more; `stretto show {run.id} --brief` lists them"
    if run.coverage.direct:
        why = "" if unplanned == run.coverage.direct else f": {short(run.coverage.direct, 300)}"
        yield "direct", f"answered by one call, as if nobody had planned{why}"
    elif run.coverage.plan != "complete":
        why = short(run.plan.remarks[-1] if run.plan.remarks else "it could not be read", 300)
        yield "missing", f"the end of the plan ({run.coverage.plan}): {why}"
    if run.coverage.answer != "complete":
        yield "missing", _UNFINISHED[run.coverage.answer]
    for remark in run.remarks[:LISTED]:
        yield "citations", short(remark, 300)
    if run.citations:
        yield "citations", cited_facts(run.citations)
    for doubtful in run.coverage.doubtful[:LISTED]:
        name = short(f"{doubtful.subtask} ({doubtful.type})")
        remark = f": {short(doubtful.remark, 300)}" if doubtful.remark else ""
        yield "doubtful", f"{name}, {VERDICTS[doubtful.verdict]}{remark}"


def gaps(run: Run) -> str:
    """What is missing or doubtful, in few words."""
    coverage = run.coverage
    missing = [f"{len(coverage.missing)} of {len(run.plan.subtasks)} subtasks"] if coverage.missing else []
    missing += ["the end of the plan"] if coverage.plan != "complete" and not coverage.direct else []
    missing = ["the plan: it was answered by one call"] if coverage.direct else missing
    missing += [_UNFINISHED[coverage.answer].partition(":")[0]] if coverage.answer != "complete" else []
    told = [f"something is missing: {', '.join(missing)}"] if missing else []
    told += [f"doubtful: {short(', '.join(each.subtask for each in coverage.doubtful))}"] if coverage.doubtful else []
    return f"{'; '.join(told)} (stretto show {run.id} --brief)"


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
