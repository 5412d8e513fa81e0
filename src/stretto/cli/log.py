"""`stretto show`."""

import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import click

from stretto import events as e
from stretto.cli.help import command, option
from stretto.cli.live import drawable
from stretto.cli.moments import between, local, precisely
from stretto.cli.prompts import default_prompts, sent_prompts
from stretto.cli.screen import drawing_on, say, tell, tell_text
from stretto.cli.stored import find_run, plain_option, run_options, store_option, store_path
from stretto.cli.totals import VERDICTS, cited, sizes, uncited
from stretto.cli.words import dollars, short
from stretto.errors import RunNotFound, TaskError
from stretto.fold import fold
from stretto.plan.given import write_plan
from stretto.runs import CallRecord, Run
from stretto.store.locations import Location
from stretto.store.sqlite import Record, Store
from stretto.types import Result
from stretto.views.rows import planned
from stretto.views.twins import twins_of

_NAMED = 20  # subtasks that are named where one is not there


@command(
    "stretto show --last",
    "stretto show 01K9ZQ4T --brief",
    "stretto show --last | less",
    "stretto show --last --plan > plan.json",
    "stretto show --prompts",
    "stretto show --cite",
    "stretto show --html run.html",
    "stretto show t3",
)
@run_options
@click.argument("subtask", required=False)
@option("--brief", is_flag=True, help="Without prompts and replies.")
@option("--plan", is_flag=True, help="The plan alone, as JSON to edit and to run with --plan.")
@option("--prompts", is_flag=True, help="What its calls were asked, alone; without RUN, the default prompts.")
@option("--cite", is_flag=True, help="The answer alone, with footnotes: which results and inputs it rests on.")
@option(
    "--html",
    type=click.Path(dir_okay=False, allow_dash=True, path_type=Path),
    metavar="FILE",
    help="Write the run as a page in one file, to open in a browser or to mail.",
)
@option(
    "--json",
    "as_json",
    type=click.Choice(["events", "final"]),
    alone="events",
    help="The run's events as JSON lines; --json=final: the run as one object.",
)
@plain_option
@store_option
def show(
    run: str | None,
    subtask: str | None,
    last: bool,
    brief: bool,
    plan: bool,
    prompts: bool,
    cite: bool,
    html: Path | None,
    as_json: str | None,
    plain: bool,
    store: Location | None,
) -> None:
    """Show RUN: its plan, every call with what was asked and answered, and the answer.

    On a terminal the answer stands below a picture of what overlapped with what. With the id of a SUBTASK, its result
    alone.

    RUN is a run's id, or the beginning or end of it; without one it is the newest, so `stretto show t3` is a result of
    that.
    """
    if prompts and run is None and not last:
        click.echo("\n".join(default_prompts()), nl=False)
        return
    kept, write = Store(store_path(store), tell=say), tell_text if plain else tell
    run, subtask = _meant(kept, run, subtask, last=last)
    run_id = find_run(kept, run, last=last)
    if subtask is not None:
        write(_result(kept.run(run_id), subtask))
        return
    events = kept.events(run_id)
    if as_json == "events":
        for event in events:
            sys.stdout.write(e.encode(event).decode() + "\n")
        return
    told = fold(events)
    status = kept.standing(told)
    if html is not None:
        from stretto.cli.page import write_page  # with what reads Markdown, which nothing else here needs

        write_page(html, told, events, {} if brief else kept.records(run_id), status)
    elif as_json:
        click.echo(told.to_json())
    elif plan:
        click.echo(write_plan(told.task, told.plan), nl=False)
    elif cite:
        _footnotes(told, kept, write)
    elif prompts:
        _say(sent_prompts(told, kept.records(run_id)), write)
    else:
        drawn = events if drawable(sys.stdout, plain=plain) else ()
        _say(_everything(told, kept, brief, bool(drawn)), write)
        _draw(told, drawn, carried=status == "running")


def _say(lines: Iterable[str], write: Callable[[str], None]) -> None:
    for line in lines:
        write(line)


def _footnotes(told: Run, kept: Store, write: Callable[[str], None]) -> None:
    """The answer with its footnotes."""
    if told.status != "finished":
        raise TaskError(f"{told.id} has no answer; it is {kept.standing(told)}")
    write(cited(told))
    if why := uncited(told):
        say(why)


def _meant(kept: Store, run: str | None, subtask: str | None, *, last: bool) -> tuple[str | None, str | None]:
    """Run and subtask, where the one name that is given may be that of a subtask of the newest run."""
    if run is None or subtask is not None or not (recent := kept.recent(1)):
        return run, subtask
    newest = kept.run(recent[0].id)
    ids = [each.id for each in newest.plan.subtasks]
    if run in ids or run in newest.results:
        return None, run
    try:
        return kept.find(run), None
    except RunNotFound as error:
        if last:
            return None, run  # who shows it says that it is not there
        raise RunNotFound(f"{error}; nor has the newest, {newest.id}, a subtask {run!r}: {_listed(ids)}") from error


def _listed(ids: Sequence[str]) -> str:
    """What subtasks there are."""
    if not ids:
        return "it has none"
    return f"it has {', '.join(ids[:_NAMED])}" + (f" and {len(ids) - _NAMED} more" if len(ids) > _NAMED else "")


def _result(run: Run, subtask: str) -> str:
    """The text that a subtask came to, as far as it came."""
    if (result := run.results.get(subtask)) is None:
        planned = [each.id for each in run.plan.subtasks]
        if subtask in planned:
            raise TaskError(f"{subtask} of run {run.id} has no result yet")
        raise TaskError(f"run {run.id} has no subtask {subtask!r}; {_listed(planned)}")
    if not result.text:
        raise TaskError(f"{subtask} of run {run.id} is {result.outcome}, without a text: {result.error}")
    if result.outcome != "done":
        say(f"{subtask} is {result.outcome}: {result.error or 'this is what there is of it'}")
    return result.text


def _draw(run: Run, events: Sequence[e.AnyEvent], *, carried: bool) -> None:
    """The picture of the run, and its answer as rendered Markdown; nothing without events."""
    if not events:
        return
    from stretto.cli.live.past import shown  # with rich, which only a terminal needs

    columns, lines = shutil.get_terminal_size()
    for line in shown(run, events, columns - 1, lines - 1, carried=carried):
        drawing_on(sys.stdout)(line + "\n")


def _everything(told: Run, kept: Store, brief: bool, drawing: bool) -> Iterator[str]:
    status = kept.standing(told)
    yield from [*_head(told, status), *_plan(told)]
    records = {} if brief else kept.records(told.id)
    twins = twins_of(told.calls)
    for call in told.calls:
        yield from _call(call, records.get(call.fingerprint), status, twins.get(call.id, ""))
    if told.status == "finished" and not drawing and (told.answer or told.basis.each is None):
        yield f"\n## Answer{_mark(told.simulated)}\n\n{told.answer}"


def _head(run: Run, status: str) -> list[str]:
    lines = [f"# Run {run.id}{_mark(run.simulated)}", ""]
    lines += [f"{status}, started {local(run.started_at)}, last event {local(run.last_at)}"]
    lines[-1] += f", {run.executions} executions" if run.executions > 1 else ""
    lines += [f"paid {run.usage.input_tokens:,} input and {run.usage.output_tokens:,} output tokens"]
    lines[-1] += f", {dollars(run.cost)}" if run.cost else ""
    lines += [f"price assumed: {each}" for each in run.assumed] if run.cost else []
    if run.saved.output_tokens:
        lines += [f"reused {run.saved.input_tokens:,} input and {run.saved.output_tokens:,} output tokens"]
    if run.error:
        lines += [f"{run.error_type or 'stopped'}: {run.error}"]
    if run.forgotten:
        lines += ['its task, prompts, replies and answer were not kept (record = "usage")']
    if status not in {"finished", "running"}:
        lines += [f"go on with: stretto resume {run.id}"]
    return [*lines, "", "## Task", "", run.task.strip(), "", *_inputs(run)]


def _inputs(run: Run) -> list[str]:
    """What the task came with, by name; the texts are in the run's first event (--json)."""
    if not run.basis.inputs:
        return []
    each = [f"- {short(one.name)}: {sizes([one])}" for one in run.basis.inputs]
    shared = any(subtask.reads for subtask in run.plan.subtasks)
    return [f"## Inputs, {'read by shares' if shared else 'at the head of every prompt'}", "", *each, ""]


def _plan(run: Run) -> list[str]:
    lines = [f"## Plan ({run.plan.state or 'unfinished'})", ""]
    lines += [run.plan.analysis, ""] if run.plan.analysis else []
    lines += _subtasks(run)
    return [*lines, *(f"  remark: {remark}" for remark in run.plan.remarks), ""]


def _subtasks(run: Run) -> Iterator[str]:
    """The subtasks of the plan with what came of each; those within one stand indented below it."""
    for id_, subtask, result in planned(run):
        indent = "  " * id_.count("/")
        facts = [subtask.type, *([f"needs {', '.join(subtask.needs)}"] if subtask.needs else [])]
        facts += [f"reads {', '.join(subtask.reads)}"] if subtask.reads else []
        facts += [f"round {subtask.round}"] if subtask.round > 1 else []
        yield f"{indent}- {id_} ({', '.join(facts)}): {subtask.description}"
        yield f"{indent}  {_came_of(result) if result else 'unfinished'}"


def _came_of(result: Result) -> str:
    """A result in few words: its outcome, and what its check says of it."""
    facts = [f"{result.outcome}{f': {result.error}' if result.error else ''}"]
    facts += [VERDICTS[result.verdict]] if result.verdict else []
    return ", ".join(facts) + (f" ({short(result.remark, 300)})" if result.remark else "")


def _call(call: CallRecord, record: Record | None, status: str, twin: str) -> list[str]:
    done = call.finished
    whose = (call.subtask or call.role) + (f", {call.part}" if call.part else "")
    facts = [call.model + (f" (answered by {by})" if done and (by := done.answered_by) and by != call.model else "")]
    if done is None:
        facts.append("under way" if status == "running" else "cut off with its run")
    else:
        facts.append(done.error or f"finish {done.finish}")
    if done and done.usage:
        facts.append(f"{done.usage.input_tokens:,} + {done.usage.output_tokens:,} tokens")
    if call.started_at and call.finished_at:
        facts.append(f"{between(call.started_at, call.finished_at):.2f} s from {precisely(call.started_at)}")
    facts += [dollars(done.cost)] if done and done.cost else []
    facts += [f"asked {done.asked}"] if done and done.asked else []
    facts += [f"a duplicate of {twin}: asked once" if twin else "reused"] if done and done.reused else []
    facts += [f"{done.attempts} attempts"] if done and done.attempts > 1 else []
    lines = [f"## Call {call.id}: {whose}{_mark(bool(done and done.simulated))}", "", ", ".join(facts)]
    lines += [f"retried after {retry.wait:.1f} s: {retry.reason}" for retry in call.retries]
    for message in record.request.messages if record and record.request else ():
        lines += ["", f"### {message.role}", "", message.content.strip()]
    if record and record.reply:
        lines += ["", "### reasoning", "", record.reply.reasoning.strip()] if record.reply.reasoning else []
        lines += ["", "### reply", "", record.reply.text.strip()]
    return [*lines, ""]


def _mark(simulated: bool) -> str:
    return " (simulated)" if simulated else ""
