"""The tables of the gauntlet, in Markdown."""

import os
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from statistics import median

from bench.gauntlet.tasks import Task
from bench.gauntlet.trial import Tokens, Trial

_RANK = {"none": 0, "part": 1, "full": 2}
_MARK = {"none": "not", "part": "part", "full": "full"}
_NONE = "-"
_LONG = 3  # times the median


def heading(model: str, tasks: int, times: int) -> str:
    """What was asked, where and when; a load above the number of cores says that seconds are not the model's alone."""
    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    date = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    return f"{model}, {tasks} tasks, {times} times; {date}, {os.cpu_count()} cores{load}\n"


def tables(trials: Sequence[Trial], tasks: Sequence[Task], ways: Sequence[str]) -> str:
    """All of them: what was answered, what went wrong on the way, what it took, and task by task."""
    by_way = {way: [trial for trial in trials if trial.way == way] for way in ways}
    by_way = {way: own for way, own in by_way.items() if own}
    parts = [_answers(by_way), _mishaps(by_way), _costs(by_way), _tasks(by_way, tasks), _reasons(trials)]
    return "\n".join(parts)


def _answers(by_way: dict[str, list[Trial]]) -> str:
    """Only tasks that a preset is made for count as answered in full or in part; not to answer counts everywhere."""
    direct = by_way.get("direct", [])
    head = "way|runs|answered|in full|whole but wrong|in part|not|as good as direct|exit 0 / 4 / other"
    rows = []
    for way, own in by_way.items():
        fit = [trial for trial in own if trial.fit]
        count = {name: sum(trial.judgement.verdict == name for trial in fit) for name in _RANK}
        wrong = sum(trial.judgement.wrong for trial in fit)
        codes = [trial.exit for trial in own]
        exits = f"{codes.count(0)} / {codes.count(4)} / {len(codes) - codes.count(0) - codes.count(4)}"
        some = sum(trial.judgement.verdict != "none" for trial in own)
        rows.append(
            (
                way,
                len(own),
                _share(some, len(own)),
                _share(count["full"], len(fit)),
                wrong,
                count["part"] - wrong,
                len(own) - some,
                _beside(fit, direct),
                exits,
            )
        )
    return _table(head, rows)


def _beside(own: Iterable[Trial], direct: Iterable[Trial]) -> str:
    """In how many trials the verdict is no worse than that of the direct call."""
    theirs = {(trial.task, trial.time): _RANK[trial.judgement.verdict] for trial in direct}
    pairs = [(trial, theirs[trial.task, trial.time]) for trial in own if (trial.task, trial.time) in theirs]
    return _share(sum(_RANK[trial.judgement.verdict] >= rank for trial, rank in pairs), len(pairs))


def _mishaps(by_way: dict[str, list[Trial]]) -> str:
    head = (
        "way|plans valid|needs valid|asked directly instead|asked again|remarks|subtasks without a call|our words|"
        "our headings|replies cut at a limit|ended by the clock"
    )
    rows = []
    for way, own in by_way.items():
        plans = [trial.plan_valid for trial in own if trial.plan_valid is not None]
        named, valid = (sum(trial.needs[at] for trial in own) for at in (0, 1))
        rows.append(
            (
                way,
                _share(sum(plans), len(plans)),
                f"{valid}/{named}" if named else _NONE,
                sum(trial.direct for trial in own),
                sum(trial.repairs for trial in own),
                sum(len(trial.remarks) for trial in own),
                sum(trial.uncalled for trial in own),
                sum(bool(trial.echo) for trial in own),
                sum(bool(trial.heading) for trial in own),
                sum(trial.met_limit for trial in own),
                sum(trial.endless for trial in own),
            )
        )
    return _table(head, rows)


def _costs(by_way: dict[str, list[Trial]]) -> str:
    """`x notebook`: tokens for a subtask (plan and answer are one each), over the notebook's where both answered."""
    head = (
        "way|calls|subtasks|tokens in|of them cached|out|x notebook|seconds, median|longest|above 3 x median|"
        "tokens written, median|most|above 3 x median|condensing"
    )
    rows = []
    for way, own in by_way.items():
        tokens = sum((trial.tokens for trial in own), Tokens())
        rows.append(
            (
                way,
                sum(trial.calls for trial in own),
                sum(trial.subtasks for trial in own),
                f"{tokens.input:,}",
                f"{tokens.cached:,}",
                f"{tokens.output:,}",
                _over(own, by_way.get("notebook", [])),
                *_spread([trial.seconds for trial in own]),
                *_spread([trial.tokens.output for trial in own]),
                sum(trial.condensing for trial in own),
            )
        )
    return _table(head, rows)


def _spread(figures: Sequence[float]) -> tuple[str, str, int]:
    """The median, the most, and how many are above three times the median."""
    middle = median(figures)
    return f"{middle:.0f}", f"{max(figures):.0f}", sum(each > _LONG * middle for each in figures)


def _over(own: Sequence[Trial], theirs: Sequence[Trial]) -> str:
    answered = {(trial.task, trial.time) for trial in theirs if trial.answer}
    both = answered & {(trial.task, trial.time) for trial in own if trial.answer}
    ratio = [_for_a_subtask([trial for trial in side if (trial.task, trial.time) in both]) for side in (own, theirs)]
    return f"{ratio[0] / ratio[1]:.2f}" if both and own[0].way not in {"notebook", "direct"} else _NONE


def _for_a_subtask(trials: Iterable[Trial]) -> float:
    tokens = parts = 0
    for trial in trials:
        tokens += trial.tokens.input + trial.tokens.output
        parts += trial.subtasks + 2
    return tokens / parts if parts else 0.0


def _tasks(by_way: dict[str, list[Trial]], tasks: Sequence[Task]) -> str:
    rows = []
    for task in tasks:
        cells = [[trial for trial in own if trial.task == task.id] for own in by_way.values()]
        rows.append((f"{task.id} ({task.kind})", *(", ".join(map(_cell, cell)) or _NONE for cell in cells)))
    return _table("|".join(["task", *by_way]), rows)


def _cell(trial: Trial) -> str:
    verdict = trial.judgement.verdict
    mark = "wrong" if trial.judgement.wrong else _MARK[verdict] if trial.fit or verdict == "none" else "some"
    return f"{mark} {trial.seconds:.0f} s"


def _reasons(trials: Iterable[Trial]) -> str:
    lines = []
    for trial in trials:
        told = [*trial.judgement.why, trial.error[:200]]
        told += [f"our words: {trial.echo}"] if trial.echo else []
        told += [f"our heading: {trial.heading}"] if trial.heading else []
        if why := "; ".join(" ".join(each.split()) for each in told if each):
            lines.append(f"- {trial.task}, {trial.way}, {trial.time}: {_MARK[trial.judgement.verdict]}: {why}\n")
    return "".join(lines)


def _share(some: int, all_: int) -> str:
    return f"{some}/{all_} ({100 * some / all_:.0f} %)" if all_ else _NONE


def _table(head: str, rows: Iterable[Sequence[object]]) -> str:
    """The names of the columns with a | between them, and the rows."""
    names = head.split("|")
    lines = [names, ["---"] * len(names), *rows]
    return "".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |\n" for line in lines)
