"""What a run came to: its calls, tokens and money, how long it took, and how long its calls would have taken alone."""

from collections.abc import Iterable, Sequence

from stretto.cli.moments import between
from stretto.cli.words import dollars, span
from stretto.ground.text import many
from stretto.policies.estimate import BYTES, tokens_in
from stretto.runs import CallRecord, Run
from stretto.types import Citation, Input
from stretto.types.images import SIZE
from stretto.views.twins import twins_of


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
