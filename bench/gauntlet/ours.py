"""One task by one of Stretto's workflows, and what its run tells of itself.

Figures come from the finished `Run` and from its exported log (`stretto export`), whose form is documented, so that a
new field of either changes nothing here.
"""

import asyncio
import json
from collections import Counter
from collections.abc import Iterable
from typing import Any

import msgspec

from bench.gauntlet.plans import needs_in, plan_is_valid
from bench.gauntlet.setting import Setting
from bench.gauntlet.tasks import Task
from bench.gauntlet.trial import Part, Tokens, Trial
from bench.gauntlet.workflows import workflow
from stretto import Run, StrettoError, Workflow
from stretto.errors import AuthError, BudgetError, ConfigError, DeadlineError
from stretto.store.travel import exported

Line = dict[str, Any]


async def ours(way: str, task: Task, setting: Setting, time: int) -> Trial:
    """Run it, at most for the time there is; an error or the clock leaves no answer."""
    flow = workflow(way, setting, time)
    trial = Trial(task=task.id, way=way, time=time)
    loop = asyncio.get_running_loop()
    start = loop.time()
    stream = flow.stream(task.text.strip(), inputs=task.inputs)
    async with stream as events:
        try:
            async with asyncio.timeout(setting.limit):
                await events.finished()
        except TimeoutError:
            trial.endless, trial.error, trial.exit = True, f"no answer in {setting.limit:.0f} s", 1
        except StrettoError as error:
            trial.error, trial.exit = str(error), _exit(error)
        except Exception as error:  # noqa: BLE001 - a bug of ours is a finding like any other, and is told
            trial.error, trial.exit = f"{type(error).__name__}: {error}", 1
    trial.seconds = loop.time() - start
    run = stream.run
    if not run.started_at:  # it never began, and the error says why
        return trial
    _answer(trial, run)
    _figures(trial, run, flow, [json.loads(line) for line in exported(setting.store, run.id)][1:])
    return trial


def _exit(error: StrettoError) -> int:
    """As the command line has it."""
    if isinstance(error, BudgetError | DeadlineError):
        return 5
    return 3 if isinstance(error, ConfigError | AuthError) else 1


def _answer(trial: Trial, run: Run) -> None:
    trial.answer, trial.whole = run.answer, run.coverage.answer == "complete"
    if not trial.error and not run.coverage.complete:
        trial.exit = 4
    trial.coverage = msgspec.json.encode(run.coverage).decode()
    trial.direct = bool(json.loads(trial.coverage).get("direct"))
    usage = run.usage
    trial.tokens = Tokens(usage.input_tokens, usage.output_tokens, usage.cached_tokens)


def _figures(trial: Trial, run: Run, flow: Workflow, log: list[Line]) -> None:
    calls = [line for line in log if line["kind"] == "call_finished" and not line.get("reused")]
    asked: dict[str, Line] = {line["call"]: line["request"] for line in log if line.get("request")}
    begun = {line.get("subtask") for line in log if line["kind"] in {"call_started", "call_finished"}}
    planned = [line for line in log if line["kind"] == "subtask_planned"]
    trial.calls, trial.subtasks = len(calls), len(run.plan.subtasks)
    trial.condensing = sum(str(line.get("part", "")).startswith("condense") for line in calls)
    trial.met_limit = sum(line.get("finish") == "length" for line in calls)
    trial.uncalled = sum(
        result.outcome in {"failed", "skipped"} and id_ not in begun for id_, result in run.results.items()
    )
    trial.repairs = _repairs(calls, run.plan.rounds)
    trial.remarks = tuple(_remarks(run, planned))
    trial.parts = [_part(each.id, run, calls, asked) for each in run.plan.subtasks]
    if flow.definition.orchestrator:
        written = [_said(line) for line in calls if line["role"] == "orchestrator"]
        trial.plan = "\n\n".join(written)
        trial.plan_valid = bool(written) and plan_is_valid(written[0], flow.definition.workers)
        trial.needs = needs_in(written[0]) if written else (0, 0)


def _repairs(calls: Iterable[Line], rounds: int) -> int:
    """Calls that ask for the same thing once more; a plan is asked for once a round."""
    counts = Counter((line["role"], line.get("subtask"), line.get("part", "")) for line in calls)
    condensing = {key for key in counts if str(key[2]).startswith("condense")}
    return sum(
        max(0, count - (max(1, rounds) if role == "orchestrator" else 1))
        for (role, subtask, part), count in counts.items()
        if (role, subtask, part) not in condensing
    )


def _remarks(run: Run, planned: Iterable[Line]) -> Iterable[str]:
    yield from run.plan.remarks
    yield from (f"{line['subtask']}: {line['remark']}" for line in planned if line.get("remark"))
    yield from run.remarks
    yield from run.coverage.degraded


def _part(subtask: str, run: Run, calls: Iterable[Line], asked: dict[str, Line]) -> Part:
    planned = next(each for each in run.plan.subtasks if each.id == subtask)
    result = run.results.get(subtask)
    own = [line["call"] for line in calls if line.get("subtask") == subtask]
    messages = asked.get(own[0], {}).get("messages", []) if own else []
    prompt = "\n\n".join(message["content"] for message in messages)
    if result is None:
        return Part(subtask, planned.type, planned.description, "unfinished", prompt=prompt)
    return Part(subtask, planned.type, planned.description, result.outcome, result.text, result.error or "", prompt)


def _said(line: Line) -> str:
    reply = line.get("reply") or {}
    return str(reply.get("text", ""))
