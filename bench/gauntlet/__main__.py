"""`python -m bench.gauntlet`: ask, judge, print the tables."""

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import msgspec

from bench.gauntlet import tasks, texts
from bench.gauntlet.endpoint import SMOLLM, opened
from bench.gauntlet.passing import NAMES, judged, passed
from bench.gauntlet.setting import Setting
from bench.gauntlet.table import heading, tables
from bench.gauntlet.tasks import Task
from bench.gauntlet.trial import Trial
from stretto.errors import StrettoError

QUICK = (("percent", "birthday", "himmel"), ("general", "cookbook", "direct"))
"""Tasks and ways of the quick form, which looks at no quality: whether there is an answer, and an end."""
_SHORT = 48  # tokens of a reply in the quick form


def _arguments(given: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench.gauntlet", description="Everyday tasks by every way, on a real model."
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument(
        "--judge", type=Path, nargs="+", metavar="FILE", help="files of --json, to be judged anew together"
    )
    what.add_argument("--model", help=f"a GGUF file, {SMOLLM}, or provider:model")
    parser.add_argument("--tasks", type=Path, default=tasks.TABLE, help="another table of tasks")
    parser.add_argument("--workflows", default="", help=f"some of {','.join(NAMES)}")
    parser.add_argument("--only", default="", help="ids of tasks")
    parser.add_argument("--times", type=int, default=1, help="how often each task goes each way")
    parser.add_argument("--quick", action="store_true", help="three tasks, three ways, short replies, and no quality")
    parser.add_argument("--save", type=Path, help="a folder for all texts, a file a task")
    parser.add_argument("--json", type=Path, help="a file for all figures and texts")
    parser.add_argument(
        "--parallel", type=int, default=1, help="trials at once; more than 1 makes seconds incomparable"
    )
    parser.add_argument("--slots", type=int, default=4, help="of the server of a GGUF file")
    parser.add_argument("--context", type=int, default=4096, help="tokens of a slot of it")
    parser.add_argument("--threads", type=int, help="of it")
    parser.add_argument("--limit", type=float, default=180.0, help="seconds of a trial")
    parser.add_argument(
        "--temperature", type=float, default=0.2, help="of calls that set none; the notebook has its own"
    )
    parser.add_argument("--no-seed", action="store_true", help="no seed in the options")
    parser.add_argument("--notebook", type=Path, help="the cookbook's notebook, to take its own prompts")
    parser.add_argument("--no-code", action="store_true", help="do not run the code in answers")
    return parser.parse_args(given)


def main(given: Sequence[str] | None = None) -> int:
    """1 if the quick form found a trial without an answer or an end, 2 if something cannot be used."""
    arguments = _arguments(given)
    try:
        chosen, ways = _chosen(arguments)
        return asyncio.run(_judge(arguments, chosen, ways) if arguments.judge else _run(arguments, chosen, ways))
    except (StrettoError, ValueError, OSError, msgspec.DecodeError) as error:
        print(f"bench.gauntlet: {error}", file=sys.stderr)
        return 2


def _chosen(arguments: argparse.Namespace) -> tuple[list[Task], list[str]]:
    quick: tuple[Sequence[str], Sequence[str]] = QUICK if arguments.quick else ((), NAMES)
    ways = _listed(arguments.workflows) or quick[1]
    if unknown := [way for way in ways if way not in NAMES]:
        raise ValueError(f"--workflows: no {', '.join(unknown)}; there are {', '.join(NAMES)}")
    return tasks.load(arguments.tasks, _listed(arguments.only) or quick[0]), list(ways)


def _listed(text: str) -> list[str]:
    return [each.strip() for each in text.split(",") if each.strip()]


async def _run(arguments: argparse.Namespace, chosen: Sequence[Task], ways: Sequence[str]) -> int:
    with tempfile.TemporaryDirectory(prefix="stretto-gauntlet-") as folder:
        async with opened(arguments.model, arguments.slots, arguments.context, arguments.threads) as endpoint:
            setting = Setting(
                endpoint,
                Path(folder) / "runs.db",
                temperature=arguments.temperature,
                seed=None if arguments.no_seed else 1,
                limit=arguments.limit,
                most=_SHORT if arguments.quick else None,
                notebook=arguments.notebook,
                runs_code=not (arguments.no_code or arguments.quick),
            )
            trials = await _all(arguments, setting, chosen, ways)
    print(heading(arguments.model, len(chosen), arguments.times))
    print(tables(trials, chosen, ways))
    if not arguments.quick:
        return 0
    return int(any(trial.endless or trial.error or not (trial.answer or "").strip() for trial in trials))


async def _judge(arguments: argparse.Namespace, chosen: Sequence[Task], ways: Sequence[str]) -> int:
    """The tables of trials that were recorded."""
    found = {task.id: task for task in chosen}
    read = [trial for file in arguments.judge for trial in msgspec.json.decode(file.read_bytes(), type=list[Trial])]
    code = not arguments.no_code
    trials = [await judged(trial, found[trial.task], runs_code=code) for trial in read if trial.task in found]
    print(tables(trials, chosen, ways))
    if arguments.save:
        arguments.save.mkdir(parents=True, exist_ok=True)
        for task in chosen:
            texts.save(arguments.save, task, trials)
    return 0


async def _all(
    arguments: argparse.Namespace, setting: Setting, chosen: Sequence[Task], ways: Sequence[str]
) -> list[Trial]:
    """Every task by every way, in their order; what is there is written after every trial."""
    trials: list[Trial] = []
    gate = asyncio.Semaphore(arguments.parallel)
    total = arguments.times * len(chosen) * len(ways)
    if arguments.save:
        arguments.save.mkdir(parents=True, exist_ok=True)

    async def one(task: Task, way: str, time: int) -> None:
        async with gate:
            trial = await passed(way, task, setting, time)
        trials.append(trial)
        told = "; ".join(trial.judgement.why)
        print(
            f"{len(trials)}/{total} {task.id} by {way}: {trial.judgement.verdict}, {trial.seconds:.0f} s"
            f"{', ' + told if told else ''}{', ' + trial.error[:120] if trial.error else ''}",
            file=sys.stderr,
            flush=True,
        )
        if arguments.save:
            texts.save(arguments.save, task, trials)
        if arguments.json:
            arguments.json.write_bytes(msgspec.json.format(msgspec.json.encode(trials)))

    async with asyncio.TaskGroup() as group:
        for time in range(1, arguments.times + 1):
            for task in chosen:
                for way in ways:
                    group.create_task(one(task, way, time))
    trials.sort(key=lambda trial: (trial.time, [t.id for t in chosen].index(trial.task), list(ways).index(trial.way)))
    return trials


if __name__ == "__main__":
    sys.exit(main())
