"""`stretto resume`."""

from decimal import Decimal
from pathlib import Path
from typing import Any

from stretto.cli.carry import Output, carry
from stretto.cli.confirm import approval, confirm_options
from stretto.cli.help import command
from stretto.cli.live import progress as progress_for
from stretto.cli.local import prepare
from stretto.cli.meaning import build, chosen_models, recorded, tell_drift
from stretto.cli.options import answer_options, recorded_options
from stretto.cli.stored import find_run, run_options, same_store, store_path
from stretto.store.locations import Location
from stretto.store.sqlite import Store


@command(
    "stretto resume --last",
    "stretto resume 01K9ZQ4T",
    "stretto resume --last -m workers=groq:openai/gpt-oss-20b --parallel 4",
)
@run_options
@recorded_options
@confirm_options
@answer_options
def resume(
    run: str | None,
    last: bool,
    named: str | None,
    models: tuple[str, ...],
    store: Location | None,
    output: Path | None,
    quiet: bool,
    plain: bool,
    as_json: str | None,
    cite: bool,
    confirm: bool,
    confirm_over: Decimal | None,
    **flags: Any,
) -> int:
    """Go on with RUN where it stopped: what is complete is taken from its records, only the rest is asked.

    RUN is a run's id, or the beginning or end of it; without one it is the newest. Workflow, models and limits are
    those the run was started with, whatever has become of ./stretto.toml since: -w names another workflow, -m other
    models, and flags other limits. What they change is asked again.
    """
    path = store_path(store)
    run_id = find_run(Store(path), run, last=last)
    progress = progress_for(quiet=quiet, as_json=bool(as_json), plain=plain)
    configuration = recorded(Store(path), run_id, named)
    # STRETTO_MODEL is for new work; a run keeps its models unless a flag says otherwise.
    chosen = chosen_models(models, environment=bool(named))
    workflow = build(configuration, chosen, flags, path, progress.model)
    if named is None:
        tell_drift(Store(path), run_id, workflow.definition, progress.model)
    prepare(workflow, progress.model)
    approve = approval(workflow.definition, progress, confirm=confirm, confirm_over=confirm_over)
    return carry(workflow.resume(run_id, approve=approve), Output(output, as_json, same_store(), cite), progress)
