"""What a run came to: its calls, tokens, money and time; what is missing or doubtful; and what its answer rests on."""

from collections.abc import Iterable, Iterator, Sequence

from stretto.cli.moments import between
from stretto.cli.words import dollars, short, span
from stretto.ground.text import many
from stretto.policies.estimate import BYTES, tokens_in
from stretto.references import footnotes
from stretto.runs import CallRecord, Run
from stretto.types import AnswerState, Citation, Input, Verdict
from stretto.types.images import SIZE
from stretto.views.twins import twins_of

LISTED = 10  # parts of one kind that are listed one by one
_UNFINISHED: dict[AnswerState, str] = {
    "truncated": "the end of the answer: it met its token limit; raise max_tokens of the synthesizer",
    "cut": "the end of the answer: the deadline came while it was written",
    "unmerged": "one answer: the results stand as they are, because they could not be merged into one",
}

VERDICTS: dict[Verdict, str] = {"fails": "its check fails", "unchecked": "unchecked", "holds": "checked"}


def totals(run: Run, since: str = "") -> list[str]:
    """How long an execution that began `since` then (the run's start) took, and what the run came to."""
    done = run.coverage.counts.get("done", 0)
    facts = [_time(run, since or run.started_at), f"{done} of {len(run.plan.subtasks)} subtasks", _calls(run)]
    facts.append(f"{run.usage.input_tokens:,} tokens in, {run.usage.output_tokens:,} out")
    assumed = f" (price assumed: {'; '.join(run.assumed)})" if run.assumed else ""
    return facts + ([dollars(run.cost) + assumed] if run.cost else [])


def _time(run: Run, since: str) -> str:
    """From then to the run's last event, beside what its calls would have taken one after another."""
    asked = [call for call in run.calls if call.started_at and call.started_at >= since]
    beside = f" (one after another {span(alone(asked))})" if len(asked) > 1 else ""
    return span(between(since, run.last_at)) + beside


def _calls(run: Run) -> str:
    """How many calls it took, and what happened to them."""
    ended = [call.finished for call in run.calls if call.finished]
    doubled = len(twins_of(run.calls))
    reused = sum(each.reused for each in ended) - doubled
    held = sum(retry.rate_limited for call in run.calls for retry in call.retries)
    again = sum(len(call.retries) for call in run.calls) - held
    facts = {
        "duplicate" if doubled == 1 else "duplicates": doubled,
        "reused": reused,
        "retried": again,
        "held back": held,
    }
    remarks = ", ".join(f"{number} {word}" for word, number in facts.items() if number)
    asked = sum(1 for call in run.calls if call.started_at)
    over = f" over {run.executions} executions" if run.executions > 1 else ""
    return f"{asked} call{'s' if asked != 1 else ''}{over}" + (f" ({remarks})" if remarks else "")


def cited_facts(citations: Sequence[Citation]) -> str:
    """How many passages rest on what, and how many of the quotes are where they should be."""
    found = sum(each.verified is True for each in citations)
    not_found = sum(each.verified is False for each in citations)
    sources = len({each.source for each in citations})
    facts = [f"{many(len(citations), 'passage')} from {many(sources, 'source')}"]
    facts += [f"{many(found, 'quote')} verified"] if found else []
    facts += [f"{not_found:,} not found in their input"] if not_found else []
    return ", ".join(facts)


def alone(calls: Iterable[CallRecord]) -> float:
    """Seconds that these calls would have taken one after another.

    Without what rate limits held back, and without replies that were taken from the records: they took no time.
    """
    total = 0.0
    for call in calls:
        start, end = call.started_at, call.finished_at
        if start and end and call.finished and not call.finished.reused:
            held = sum(retry.wait for retry in call.retries if retry.rate_limited and retry.at >= start)
            total += max(0.0, between(start, end) - held)
    return total


def sizes(inputs: Sequence[Input]) -> str:
    """How many inputs, and how large they are; tokens as the budget counts them, rather more than fewer."""
    texts, images = [each.text for each in inputs if not each.data], sum(bool(each.data) for each in inputs)
    told = [f"{len(texts):,} files"] if len(texts) > 1 else []
    told += [_bytes(sum(len(text.encode()) for text in texts))] if texts else []
    told += ["an image" if images == 1 else f"{images} images"] if images else []
    return ", ".join([*told, f"about {sum(map(tokens_in, texts)) + images * SIZE // BYTES:,} tokens"])


def _bytes(size: int) -> str:
    return f"{size:,} bytes" if size < 1000 else f"{size / 1000:,.0f} kB" if size < 1e6 else f"{size / 1e6:,.1f} MB"


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
