"""`stretto diff`."""

import difflib
from collections.abc import Iterator
from typing import Any

import click

from stretto.cli.help import command, option
from stretto.cli.moments import between
from stretto.cli.screen import tell
from stretto.cli.stored import find_run, store_option, store_path
from stretto.cli.words import dollars, short
from stretto.errors import TaskError
from stretto.runs import Run
from stretto.store.locations import Location
from stretto.store.sqlite import Store
from stretto.types import Result, Subtask


@command("stretto diff 01K9ZQ4T 01K9ZR7M", "stretto diff 01K9ZR7M", "stretto diff --last")
@click.argument("run1", required=False)
@click.argument("run2", required=False)
@option("--last", is_flag=True, help="The newest run, with the one it is a rerun of; so it is if none is named.")
@option("--brief", is_flag=True, help="Which parts differ, without their texts.")
@store_option
def diff(run1: str | None, run2: str | None, last: bool, brief: bool, store: Location | None) -> None:
    """Compare RUN1 with RUN2: plan, results, answer, cost.

    Each is a run's id, or the beginning or end of it. Without RUN2, the run that RUN1 is a rerun of is compared with
    it; without both, RUN1 is the newest.
    """
    kept = Store(store_path(store))
    one = kept.run(find_run(kept, run1, last=last))
    if run2 is not None:
        before, after = one, kept.run(find_run(kept, run2, last=False))
    elif one.basis.origin:
        before, after = kept.run(one.basis.origin), one
    else:
        raise TaskError(f"{one.id} is no rerun of another run; name the run to compare it with")
    for line in _lines(before, after, brief=brief):
        tell(line)


def _lines(before: Run, after: Run, *, brief: bool) -> Iterator[str]:
    yield from (f"--- {before.id}  {before.started_at}", f"+++ {after.id}  {after.started_at}", "")
    if before.task != after.task:
        yield from ("Task differs", *_texts(before.task, after.task, brief=brief), "")
    yield from _models(before, after)
    yield from _plan(before, after)
    yield from _results(before, after, brief=brief)
    yield from _part("Answer", before.answer, after.answer, brief=brief)
    yield ""
    old, new = (_told(run) for run in (before, after))
    for name, figure in old.items():
        yield f"{name + ':':<13} {figure}" + (f" -> {new[name]}" if figure != new[name] else "")


def _models(before: Run, after: Run) -> Iterator[str]:
    """Roles whose part of the definition differs."""
    old, new = (_roles(run) for run in (before, after))
    for place in dict.fromkeys([*old, *new]):
        one, other = (roles.get(place) or {} for roles in (old, new))
        keys = [key for key in dict.fromkeys([*one, *other]) if one.get(key) != other.get(key)]
        if keys:
            yield f"Workflow: {place} differs ({', '.join(keys)})"


def _roles(run: Run) -> dict[str, dict[str, Any]]:
    """The roles of a run's definition by their places."""
    definition = run.workflow.get("definition", {})
    workers = {f'workers."{name}"': role for name, role in definition.get("workers", {}).items()}
    outer = {name: definition.get(name) or {} for name in ("orchestrator", "synthesizer")}
    return {**outer, **workers}


def _plan(before: Run, after: Run) -> Iterator[str]:
    old, new = ({subtask.id: subtask for subtask in run.plan.subtasks} for run in (before, after))
    lines = [_line("-", subtask) for id_, subtask in old.items() if id_ not in new]
    for id_, subtask in new.items():
        if id_ not in old:
            lines.append(_line("+", subtask))
        elif subtask != old[id_]:
            lines += [_line("-", old[id_]), _line("+", subtask)]
    yield "Plan differs" if lines else f"Plan: the same {len(new)} subtask{'s' if len(new) != 1 else ''}"
    yield from lines


def _line(sign: str, subtask: Subtask) -> str:
    needs = f", needs {', '.join(subtask.needs)}" if subtask.needs else ""
    return f"{sign} {subtask.id} ({subtask.type}{needs}): {short(subtask.description, 200)}"


def _results(before: Run, after: Run, *, brief: bool) -> Iterator[str]:
    same = 0
    for id_ in dict.fromkeys([*before.results, *after.results]):
        old, new = (run.results.get(id_) for run in (before, after))
        if old == new:
            same += 1
        else:
            yield ""
            yield from _part(f"Result of {id_}{_outcomes(old, new)}", _text(old), _text(new), brief=brief)
    yield f"Results: {same} the same"


def _outcomes(old: Result | None, new: Result | None) -> str:
    was, is_ = (result.outcome if result else "none" for result in (old, new))
    return f" ({was} -> {is_})" if was != is_ else ""


def _text(result: Result | None) -> str:
    return (result.text or result.error or "") if result else ""


def _part(name: str, old: str, new: str, *, brief: bool) -> Iterator[str]:
    if old == new:
        yield f"{name}: the same"
        return
    yield f"{name} differs"
    yield from _texts(old, new, brief=brief)


def _texts(old: str, new: str, *, brief: bool) -> Iterator[str]:
    if not brief:
        changes = difflib.unified_diff(old.splitlines(), new.splitlines(), lineterm="", n=1)
        yield from (line for line in changes if not line.startswith(("---", "+++")))


def _told(run: Run) -> dict[str, str]:
    """What a run came to."""
    finished = [call.finished for call in run.calls if call.finished]
    reused = sum(call.reused for call in finished)
    return {
        "Status": run.status,
        "Calls paid": str(len(finished) - reused),
        "Calls reused": str(reused),
        "Tokens paid": f"{run.usage.input_tokens:,} + {run.usage.output_tokens:,}",
        "Cost": "unknown" if run.cost is None else dollars(run.cost),
        "Time": f"{between(run.started_at, run.last_at):.1f} s",
    }
