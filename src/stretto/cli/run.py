"""`stretto run` and `stretto demo`."""

from pathlib import Path
from typing import Any

import click

from stretto.cli.carry import carry, shown_by
from stretto.cli.confirm import approval, confirm_options
from stretto.cli.each import check, each_options, list_of_flags
from stretto.cli.help import command, option
from stretto.cli.meaning import build, chosen_models, wanted
from stretto.cli.options import answer_options, fresh_option, input_options, plan_option, task_options, workflow_options
from stretto.cli.plan import plan_file
from stretto.cli.stored import store_option, store_path
from stretto.cli.task import checked, not_a_file, read_named, read_task, reads_stdin
from stretto.config import Configuration, Source, presets, read_preset
from stretto.config.preset import preset
from stretto.config.values import schema_at
from stretto.inputs.lists import read_list
from stretto.store.locations import Location

LEAP_YEARS = "Write a program that prints the next 20 leap years."
_BRISK = Source("the demo", None, {"providers": {"sim": {"ttft": 0.2, "tokens_per_second": 300}}})
"""A pace at which one can see what happens, without waiting for it."""


@command(
    'stretto run "Compare Postgres and SQLite for a job queue"',
    "stretto run -m together:openai/gpt-oss-120b -f task.md -o answer.md",
    'stretto run -i docs/ -i "src/**/*.py" "Which claims of the docs does the code not keep?"',
    "git log -20 | stretto run -m workers=groq:openai/gpt-oss-20b -",
    'stretto run -w solve -m sim:fast "Write a program that prints the next 20 leap years."',
    'stretto run --confirm-over 0.50 -i docs/ "What changed for users?"',
    'stretto run --each cities.csv -o out.csv "Name the river that {city} in {country} lies on."',
    'stretto run --json "Name three uses of a brick" | jq -r .kind',
)
@task_options
@input_options
@plan_option
@each_options
@fresh_option
@workflow_options
@confirm_options
@answer_options
def run(
    task: str | None,
    file: Path | None,
    inputs: tuple[str, ...],
    max_input: float | None,
    plan: Path | None,
    fresh: tuple[str, ...],
    **flags: Any,
) -> int:
    """Answer TASK: an orchestrator plans it, workers do the parts in parallel, a synthesizer writes the answer.

    Without TASK, or with -, it is read from standard input. The answer goes to stdout, streamed on a terminal and whole
    into a pipe; everything else goes to stderr. With --each, TASK is done for each item of a list.
    """
    each, free = list_of_flags(flags), not reads_stdin(task, file)
    output, progress = shown_by(flags, as_completed=bool(each and each.as_completed))
    check(each, plan=plan, output=output.file, cite=output.cite, stdin=free and "-" not in inputs)
    given = plan_file(plan) if plan else None
    planned = given.task if given and task is None and file is None else ""
    not_a_file(task, inputs)
    items = read_list(each.source, each.form) if each else None
    texts = read_named(inputs, max_input, progress.input, stdin=bool(planned) or free)
    text = planned or read_task(task, file, example(flags["named"]))
    schema = flags.pop("schema") if each else None  # then it is that of each row
    workflow = wanted(flags, progress.model)
    approve = approval(workflow.definition, progress, flags)
    more: dict[str, Any] = {"fresh": fresh, "inputs": texts, "approve": approve}
    if each and items:
        answer = None if schema is None else schema_at(schema, f"--schema {schema}")
        stream = workflow.map(text, items, then=each.then, answer=answer, worker=each.worker, **more).events
    else:
        stream = workflow.stream(text, plan=given, **more)
    return carry(stream, output, progress, workflow)


@command("stretto demo", "stretto demo -q -o answer.md", "stretto demo -m local:model.gguf")
@click.argument("task", default=LEAP_YEARS)
@option("-m", "--model", metavar="MODEL", default="sim:default", help="A real model in the simulator's place.")
@store_option
@answer_options
def demo(task: str, model: str, store: Location | None, **flags: Any) -> int:
    """The main job on the built-in simulator: no key, no network, no configuration, no language model.

    It carries a full script for its own task, the next 20 leap years; for any other TASK its texts are made up. With -m
    a model does it: `local:FILE.gguf` is one that needs neither key nor network.
    """
    output, progress = shown_by(flags)
    # Nobody's configuration: what is recommended when that is broken must not read it.
    solve = Configuration([_BRISK, read_preset("solve")])
    workflow = build(solve, chosen_models([model], environment=False), {}, store_path(store), progress.model)
    return carry(workflow.stream(checked(task, "TASK")), output, progress, workflow)


def example(named: str | None) -> str:
    """How the workflow that -w names is called, as far as anybody knows."""
    return preset(named).example if named in presets() else "stretto run TASK"
