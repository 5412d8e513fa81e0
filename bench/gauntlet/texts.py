"""All texts of a task side by side, one Markdown file a task, for reading."""

from collections.abc import Iterable
from pathlib import Path

from bench.gauntlet.tasks import Task
from bench.gauntlet.trial import Part, Trial

_FENCE = "~~~~~~~~"


def save(folder: Path, task: Task, trials: Iterable[Trial]) -> None:
    """Write the file of a task: the answers first, so that they can be compared, then how each came about."""
    own = [trial for trial in trials if trial.task == task.id]
    text = [f"# {task.id} ({task.kind})\n", _fenced(task.whole)]
    text += [_answer(trial) for trial in own]
    text += [_way(trial) for trial in own if trial.plan or trial.parts]
    (folder / f"{task.id}.md").write_text("\n".join(text), encoding="utf-8")


def _answer(trial: Trial) -> str:
    why = f" ({'; '.join(trial.judgement.why)})" if trial.judgement.why else ""
    told = [
        f"## {trial.way}, {trial.time}: {trial.judgement.verdict}{why}\n",
        _took(trial),
        f"Error: {trial.error}\n" if trial.error else "",
        _fenced(trial.answer or "(no answer)"),
    ]
    return "\n".join(each for each in told if each)


def _took(trial: Trial) -> str:
    tokens = f"{trial.tokens.input} tokens in, {trial.tokens.output} out"
    return f"{trial.seconds:.0f} s, {trial.calls} calls, {trial.subtasks} subtasks, {tokens}, exit {trial.exit}\n"


def _way(trial: Trial) -> str:
    remarks = "".join(f"- {remark}\n" for remark in trial.remarks)
    told = [
        f"## How {trial.way}, {trial.time} came to it\n",
        f"Coverage: `{trial.coverage}`\n" if trial.coverage else "",
    ]
    told += [f"Plan as it was written:\n\n{_fenced(trial.plan)}" if trial.plan else "", remarks]
    told += [_part(part) for part in trial.parts]
    return "\n".join(each for each in told if each)


def _part(part: Part) -> str:
    why = f": {part.why}" if part.why else ""
    asked = f"Asked:\n\n{_fenced(part.prompt)}\n" if part.prompt else ""
    head = f"### {part.id} ({part.type}), {part.outcome}{why}\n\n{part.description}\n"
    return f"{head}\n{asked}Result:\n\n{_fenced(part.text)}"


def _fenced(text: str) -> str:
    return f"{_FENCE}\n{text.strip()}\n{_FENCE}\n"
