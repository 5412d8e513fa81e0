"""`stretto replay`."""

from typing import Any

from stretto.cli import FAILED
from stretto.cli.carry import carry, shown_by
from stretto.cli.help import command, option
from stretto.cli.options import answer_options
from stretto.cli.screen import say
from stretto.cli.stored import find_run, run_options, store_option, store_path
from stretto.replay import ReplayStream, recording_of
from stretto.store.locations import Location
from stretto.store.sqlite import Store
from stretto.store.travel import entries


@command(
    "stretto replay --last",
    "stretto replay 01K9ZQ4T --timed",
    "stretto import bug.jsonl && stretto replay --last --json",
)
@run_options
@option("--timed", is_flag=True, help="In the time that was recorded, not at once.")
@store_option
@answer_options
def replay(run: str | None, last: bool, timed: bool, store: Location | None, **flags: Any) -> int:
    """Carry RUN out once more, from its records: no key, no network, and the same answer to the byte.

    RUN is a run's id, or the beginning or end of it; without one it is the newest. The plan is read, subtasks are
    dispatched and prompts are written as then; only what the models said comes from the records. Nothing is stored.
    The exit code is that of the run, or 1 if a call is not recorded or anything comes out differently.
    """
    path = store_path(store)
    recording = recording_of(entries(path, find_run(Store(path), run, last=last)))
    output, progress = shown_by(flags)
    progress.tell("replay", f"{recording.run.id}, from its records: nothing is asked, nothing is stored")
    stream = ReplayStream(recording, timed=timed)
    code = carry(stream, output, progress)
    for difference in stream.differences:
        say(f"the replay differs from the run: {difference}")
    return FAILED if stream.differences else code
