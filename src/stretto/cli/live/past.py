"""The picture of a run as it was, with its answer below."""

from collections.abc import Iterable, Iterator

from stretto import events as e
from stretto.cli.live.drawing import drawn, summary_lines
from stretto.cli.live.lines import painted
from stretto.cli.live.page import Page
from stretto.cli.totals import totals
from stretto.ground.text import seemly
from stretto.runs import Run
from stretto.views.timeline.past import timeline_of


def shown(run: Run, events: Iterable[e.AnyEvent], width: int, height: int, *, carried: bool) -> Iterator[str]:
    """The picture of a run, its answer and what it came to, as lines that a terminal takes.

    `carried`: somebody carries it still, so what is under way there is under way.
    """
    timeline, now = timeline_of(events)
    if not carried:
        timeline.end(now)
    for line in drawn(timeline, now, width, height, moving=False):
        yield painted(line)
    if run.status == "finished":
        page = Page()
        page.take(seemly(run.answer))
        yield "\n" + page.end(min(100, width))
    if run.status == "finished":
        for line in summary_lines(totals(run), run, width):
            yield painted(line)
