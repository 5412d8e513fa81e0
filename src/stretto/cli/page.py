"""A run as a page in one file, for `stretto show --html`."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from stretto import events as e
from stretto.cli.screen import say
from stretto.cli.stored import write_whole
from stretto.page.content import content_of
from stretto.page.document import document
from stretto.runs import Run
from stretto.store.sqlite import Record
from stretto.views.timeline.past import timeline_of


def write_page(file: Path, run: Run, events: Sequence[e.AnyEvent], records: Mapping[str, Record], status: str) -> None:
    """The run as a page, into a file or onto stdout (`-`); `status` is how it stands, `killed` if nobody carries it."""
    timeline, now = timeline_of(events)
    if status != "running":
        timeline.end(now)
    said = {fingerprint: (record.request, record.reply) for fingerprint, record in records.items()}
    page = document(content_of(run, timeline, now, said, status=status)).encode()
    if str(file) == "-":
        sys.stdout.flush()
        sys.stdout.buffer.write(page)
        return
    write_whole(file, [page], "--html")
    say(f"written to {file}; it holds all prompts and replies" if said else f"written to {file}")
