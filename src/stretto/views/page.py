"""A run as one piece of HTML: what was planned and came of it, when, at what cost, and the answer."""

from collections.abc import Iterator, Sequence

from stretto.ground.text import clean, many
from stretto.records import RunRecord
from stretto.references import footnotes
from stretto.types import AnswerState
from stretto.views.formats import dollars, seconds, short
from stretto.views.lines import plan_table
from stretto.views.markdown import as_html
from stretto.views.markup import Html, joined, tag
from stretto.views.rows import again, one_by_one
from stretto.views.style import STYLE
from stretto.views.timeline.past import timeline_of_run
from stretto.views.twins import twins_of

_LISTED = 12
_LINE = 300
_STATUS = {"finished": "done", "running": "running", "interrupted": "doubt"}
_ENDS: dict[AnswerState, str] = {
    "truncated": "the end of the answer: it met its token limit",
    "cut": "the end of the answer: the deadline came while it was written",
    "unmerged": "one answer: these are the results, because they could not be merged into one",
}


def run_page(run: RunRecord, *, writing: str = "", now: str = "") -> Html:
    """The run; while it is under way, `writing` is its answer so far, and `now` how late it is (RFC 3339).

    Everything in it that a model or a user wrote is text: it can neither act nor fetch anything.
    """
    answer = run.answer or writing
    timeline, reached = timeline_of_run(run, now if run.status == "running" else "")
    parts = [_head(run, reached)]
    if run.calls or run.plan.subtasks:
        parts.append(plan_table(run, timeline, reached))
    parts += _listed("missing", list(missing(run)))
    parts += _listed("given up", run.coverage.degraded)
    if run.error:
        colour = "failed" if run.status == "failed" else "doubt"
        parts.append(tag("p", tag("b", f"{run.status}: "), short(run.error, 2_000), class_=colour))
    if answer:
        described = {each.id: f"{each.type}: {each.description}" for each in run.plan.subtasks}
        parts.append(tag("div", as_html(footnotes(answer, run.citations, described)), class_="a"))
    parts += _listed("removed from the answer", run.remarks)
    return sheet(*parts)


def sheet(*parts: Html) -> Html:
    """A page of these parts, with its style; what looks like mathematics in it is left as it is."""
    page = tag("div", tag("style", Html(STYLE)), *parts, class_="stretto tex2jax_ignore mathjax_ignore")
    return Html(clean(page))


def _head(run: RunRecord, took: float) -> Html:
    status = tag("b", run.status, class_=_STATUS.get(run.status, "failed"))
    simulated = " · simulated: no language model was asked" if run.simulated else ""
    first = tag("div", status, " ", tag("b", short(run.task, _LINE)), simulated)
    return joined(first, tag("div", " · ".join(_facts(run, took)), class_="m"))


def _facts(run: RunRecord, took: float) -> Iterator[str]:
    alone = one_by_one(run.calls)
    yield seconds(took) + (f" (one call after another: {seconds(alone)})" if alone > took * 1.05 else "")
    yield many(len(run.calls), "call")
    twins = len(twins_of(run.calls))
    if reused := sum(1 for call in run.calls if call.finished and call.finished.reused) - twins:
        yield f"{reused:,} of them from the records"
    if twins:
        yield many(twins, "duplicate")
    if retried := again(run.calls):
        yield f"asked again {many(retried, 'time')}"
    yield f"{run.usage.input_tokens:,} tokens in, {run.usage.output_tokens:,} out"
    yield dollars(run.cost)
    if run.executions > 1:
        yield many(run.executions, "execution")
    yield run.id


def missing(run: RunRecord) -> Iterator[str]:
    """What the answer lacks, and why: a line each."""
    coverage = run.coverage
    if coverage.direct:
        yield f"answered by one call, as if nobody had planned: {coverage.direct}"
    elif coverage.plan != "complete":
        yield f"the end of the plan ({coverage.plan})"
    if coverage.answer != "complete":
        yield _ENDS[coverage.answer]
    for each in coverage.missing:
        yield f"{each.subtask} ({each.type}), {each.outcome}: {each.reason}"
    for doubtful in coverage.doubtful:
        yield f"{doubtful.subtask} ({doubtful.type}), in doubt: {doubtful.remark}"


def _listed(what: str, lines: Sequence[str]) -> list[Html]:
    """A list, if there is anything to list."""
    if not lines:
        return []
    items = [tag("li", short(line, _LINE)) for line in lines[:_LISTED]]
    items += [tag("li", f"and {len(lines) - _LISTED:,} more")] if len(lines) > _LISTED else []
    return [tag("div", tag("b", what), tag("ul", *items), class_="doubt")]
