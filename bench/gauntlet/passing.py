"""One task by one way, judged."""

from bench.gauntlet import workflows
from bench.gauntlet.echoes import echo_in, heading_in, prompts_of
from bench.gauntlet.judging import judge
from bench.gauntlet.notebook import Prompts, direct, notebook, prompts_from
from bench.gauntlet.ours import ours
from bench.gauntlet.setting import Setting
from bench.gauntlet.tasks import Task
from bench.gauntlet.trial import Trial

BARE = {"notebook": notebook, "direct": direct}
"""The ways that are not Stretto's."""
NAMES = [*workflows.names(), *BARE]
"""Every way."""


async def passed(way: str, task: Task, setting: Setting, time: int) -> Trial:
    """What came of it, and what that is worth."""
    bare = BARE.get(way)
    trial = await (bare(task, setting, time) if bare else ours(way, task, setting, time))
    theirs = [task.text, *(each.text for each in task.inputs)]
    trial.echo = echo_in(trial.answer or "", _prompts(way, setting), theirs)
    return await judged(trial, task, runs_code=setting.runs_code)


async def judged(trial: Trial, task: Task, *, runs_code: bool = True) -> Trial:
    """What came of it is worth so much; a recorded trial can be judged anew."""
    trial.fit = trial.way not in workflows.SPECIAL or trial.way in task.fits
    trial.heading = heading_in(trial.answer or "")
    trial.judgement = await judge(task, trial.answer, whole=trial.whole, runs_code=runs_code)
    return trial


def _prompts(way: str, setting: Setting) -> list[str]:
    """What stands before a model that is not the task's."""
    if way == "direct":
        return []
    if way == "notebook":
        used = prompts_from(setting.notebook) if setting.notebook else Prompts()
        return [used.orchestrator, used.worker, used.synthesizer]
    return prompts_of(workflows.definition_of(way, setting))
