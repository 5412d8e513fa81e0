"""The picture of a run as it was, from its events."""

from collections.abc import Iterable, Iterator

from stretto import events as e
from stretto.cli.live.drawing import drawn
from stretto.cli.live.lines import painted
from stretto.cli.live.page import Page
from stretto.cli.live.picture import Picture
from stretto.cli.live.summary import summary_lines
from stretto.cli.totals import between, totals
from stretto.runs import Run
from stretto.text import seemly


def picture_of(events: Iterable[e.AnyEvent]) -> tuple[Picture, float]:
    """The picture, and the seconds it reaches to: those in which the run was carried, without the time between."""
    picture, now, last = Picture(), 0.0, ""
    for event in events:
        if last and not isinstance(event, e.RunResumed):
            now += max(0.0, between(last, event.at))
        last = event.at
        if isinstance(event, e.RunResumed):
            picture.end(now)
        picture.take(event, now)
    return picture, now


def shown(run: Run, events: Iterable[e.AnyEvent], width: int, height: int, *, carried: bool) -> Iterator[str]:
    """The picture of a run, its answer and what it came to, as lines that a terminal takes.

    `carried`: somebody carries it still, so what is under way there is under way.
    """
    picture, now = picture_of(events)
    if not carried:
        picture.end(now)
    for line in drawn(picture, now, width, height, moving=False):
        yield painted(line)
    if run.status == "finished":
        page = Page()
        page.take(seemly(run.answer))
        yield "\n" + page.end(min(100, width))
    if run.status == "finished":
        for line in summary_lines(totals(run), run, width):
            yield painted(line)
