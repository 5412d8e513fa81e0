"""`stretto resume`."""

from typing import Any

from stretto.cli.carry import carry, shown_by
from stretto.cli.confirm import approval, confirm_options
from stretto.cli.help import command
from stretto.cli.meaning import going_on
from stretto.cli.options import answer_options, recorded_options
from stretto.cli.stored import run_options


@command(
    "stretto resume --last",
    "stretto resume 01K9ZQ4T",
    "stretto resume --last -m workers=groq:openai/gpt-oss-20b --parallel 4",
)
@run_options
@recorded_options
@confirm_options
@answer_options
def resume(run: str | None, last: bool, **flags: Any) -> int:
    """Go on with RUN where it stopped: what is complete is taken from its records, only the rest is asked.

    RUN is a run's id, or the beginning or end of it; without one it is the newest. Workflow, models and limits are
    those the run was started with, whatever has become of ./stretto.toml since: -w names another workflow, -m other
    models, and flags other limits. What they change is asked again.
    """
    output, progress = shown_by(flags)
    run_id, workflow = going_on(run, last=last, flags=flags, say=progress.model)
    approve = approval(workflow.definition, progress, flags)
    return carry(workflow.resume(run_id, approve=approve), output, progress, workflow)
