"""`stretto batch`."""

import asyncio
import os
import sys
from collections.abc import Callable, Coroutine
from decimal import Decimal
from pathlib import Path
from typing import Any

import click

from stretto.batch.counts import Counts
from stretto.cli import ANSWERED, FAILED, INTERRUPTED, PARTIAL, SHORT
from stretto.cli.help import command, option
from stretto.cli.limit_options import amount
from stretto.cli.live import progress as progress_for
from stretto.cli.local import prepare
from stretto.cli.meaning import name_of, wanted
from stretto.cli.options import input_options, priority_option, quiet_option, workflow_options
from stretto.cli.screen import say
from stretto.cli.stored import store_path
from stretto.cli.tally import Tally
from stretto.cli.task import read_named
from stretto.cli.words import dollars, short
from stretto.errors import ConfigError, TaskError
from stretto.ground.amounts import dollars as money
from stretto.ground.signals import obey
from stretto.inputs import MOST

_TOLD = 10  # lines that failed and are told of one by one
_LOOK = 1.0  # seconds
_BATCH = "The batch"
_HERE, _HANDED = 16, 256  # runs at the same time in this process, and that workers have or are to have
_CANCELLED = "calls in flight are cancelled"
_GO_ON = "lines that are handed over go on at the workers (stretto cancel stops one)"


@command(
    "stretto batch tasks.jsonl -o answers.jsonl",
    "stretto batch tasks.jsonl -o answers.jsonl --runs 32 --budget 2c --total-budget 5",
    "stretto batch tasks.jsonl -o answers.jsonl --retry-failed",
    """jq -c '{id: .nr, task: .question}' faq.jsonl | stretto batch -w solve -o answers.jsonl -""",
)
@click.argument("source", metavar="LINES", type=click.Path(dir_okay=False, allow_dash=True))
@option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    required=True,
    section=_BATCH,
    help="Where a line for each is written as it is done. What it has is not done again.",
)
@option(
    "--runs",
    type=click.IntRange(min=1),
    metavar="N",
    section=_BATCH,
    help="Runs at the same time; --parallel and the limits of a key hold for all of them together.  "
    f"[default: {_HERE}, with --submit {_HANDED}]",
)
@option("--retry-failed", is_flag=True, section=_BATCH, help="Do lines again that failed in an earlier start.")
@option(
    "--total-budget",
    callback=amount(money),
    metavar="MONEY",
    section=_BATCH,
    help="What all lines together may cost at most, in US dollars, over all starts; --budget is then that of each.  "
    "[default: no limit]",
)
@option(
    "--submit",
    is_flag=True,
    section="Workers",
    help="Have workers carry the runs (`stretto worker`), on whichever machine; the store must be postgresql://….",
)
@priority_option
@quiet_option
@input_options
@workflow_options
def batch(
    source: str,
    output: Path,
    runs: int | None,
    retry_failed: bool,
    total_budget: Decimal | None,
    submit: bool,
    priority: int | None,
    quiet: bool,
    inputs: tuple[str, ...],
    max_input: float | None,
    **flags: Any,
) -> int:
    """Do the task of each of LINES, many at the same time, and write a line for each as it is done.

    A line is {"id": …, "task": …}, with "inputs" if it has any; or a request as OpenAI's Batch API takes it, whose
    model is PROVIDER:MODEL, asked once, or the name of the workflow. LINES is a file of such lines, or - for standard
    input. All are checked before anything is paid.

    The same command goes on after Ctrl-C or a crash: what is written is not done again, what was under way is resumed,
    and no completed call is paid twice. What was handed to workers goes on meanwhile.
    """
    if str(output) == "-":
        raise TaskError("-o -: what is written is not done again, so it has to be a file; name one")
    if source != "-" and output.exists() and Path(source).exists() and output.samefile(source):
        raise TaskError(f"-o {output}: those are the lines themselves, which would be lost; name another file")
    progress = progress_for(quiet=quiet, plain=True)
    texts = read_named(inputs, max_input, progress.input, stdin=source != "-")
    workflow = wanted(flags, progress.model)
    if total_budget is not None and workflow.definition.limits.budget is None:
        raise ConfigError(
            "--total-budget: a run begins if its own budget is left of it; say that, too (--budget MONEY)"
        )
    if priority is not None and not submit:
        raise ConfigError("--priority is for what workers carry; say --submit, too")
    prepare(workflow, progress.model)
    from stretto.batch.carrying import Batch  # and with it the forms of requests, which not every command needs
    from stretto.batch.jobs import Jobs, batch_name
    from stretto.batch.outfile import OutFile
    from stretto.batch.source import Source
    from stretto.batch.ways import Here, Way

    place = store_path(flags["store"])
    jobs = Jobs(workflow, name_of(flags["named"]), batch_name(output), texts, int(max_input or MOST))
    written = OutFile(output, retry_failed=retry_failed)
    with Source(source, sys.stdin.buffer) as lines, Tally(quiet=quiet) as tally:
        told = _telling(tally)
        way: Way = Here(workflow)
        if submit:
            from stretto.batch.handed import Handed

            way = Handed(place, priority, tally.say)
        most = runs or (_HANDED if submit else _HERE)
        carried = Batch(lines, written, jobs, way, place, runs=most, budget=total_budget, told=told)
        left = _GO_ON if submit else _CANCELLED
        stopped = asyncio.run(_until_stopped(carried.carry(), lambda: told(carried.counts, ""), left))
    return _ended(carried.counts, output, stopped=stopped, quiet=quiet)


def _telling(tally: Tally) -> Callable[[Counts, str], None]:
    """Says how far a batch is, and (the first few times) which line failed just now, and why."""
    failures = 0

    def tell(counts: Counts, failure: str) -> None:
        nonlocal failures
        failures += bool(failure)
        if failure and failures <= _TOLD:
            tally.say(f"failed: {short(failure, 300)}{' (more are counted)' if failures == _TOLD else ''}")
        tally.show(f"{counts.over:,} of {counts.lines:,} lines{_others(counts)}")

    return tell


async def _until_stopped(carrying: Coroutine[Any, Any, object], look: Callable[[], None], left: str) -> bool:
    """Carry it, with a look at it now and then; whether a signal has stopped it. A second one ends all at once."""
    task, stopped = asyncio.ensure_future(carrying), False

    def stop() -> None:
        nonlocal stopped
        if stopped:
            say("stopped at once; the same command goes on")
            os._exit(INTERRUPTED)  # twice means now; what is written is whole
        stopped = True
        say(f"stopping: {left} (Ctrl-C again stops at once)")
        task.cancel()

    obey(stop)
    try:
        while not task.done():  # what is to be seen of it changes on a terminal
            await asyncio.wait([task], timeout=_LOOK)
            look()
        await task
    except asyncio.CancelledError:
        if not stopped:
            raise
    return stopped


def _others(counts: Counts) -> str:
    """What is to be said beside how many are done."""
    facts = [f"{counts.partial:,} partial"] if counts.partial else []
    facts += [f"{counts.failed:,} failed"] if counts.failed else []
    facts += [f"{counts.under_way:,} under way"] if counts.under_way else []
    facts += [dollars(counts.cost)] if counts.cost else []
    return "".join(f", {fact}" for fact in facts)


def _ended(counts: Counts, output: Path, *, stopped: bool, quiet: bool) -> int:
    """Say what came of it, and how to go on; the exit code."""
    before = f" ({counts.before:,} of them before)" if counts.before else ""
    told = f"{counts.done:,} of {counts.lines:,} lines answered{before}{_others(counts)}: {output}"
    if stopped:
        say(f"stopped; the same command goes on. {told}")
        return INTERRUPTED
    if counts.unpaid:
        say(f"the budget leaves {counts.left:,} lines undone; the same command goes on when there is more")
    elif counts.failed and not quiet:
        say("--retry-failed does the lines again that failed")
    if not quiet:
        say(told)
    if counts.done == counts.lines:
        return ANSWERED
    if counts.done or counts.partial:
        return PARTIAL
    return SHORT if counts.unpaid else FAILED
