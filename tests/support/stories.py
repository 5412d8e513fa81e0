"""Runs as they are told by events, for pictures of them."""

from decimal import Decimal
from typing import Any

from stretto import RoleName, Usage
from stretto import events as e
from stretto.cli.live.drawing import drawn
from stretto.cli.live.lines import Line, cells
from stretto.views.timeline.timeline import Timeline


def text_of(line: Line) -> str:
    """A line of the picture without its styles."""
    return "".join(text for text, _ in line).rstrip()


class Story:
    """Tells a picture what happens, second by second."""

    def __init__(self) -> None:
        self.picture = Timeline()
        self._calls = 0
        self._open: dict[tuple[str | None, str], str] = {}

    def planned(self, at: float, id_: str, type_: str = "general", text: str = "", needs: tuple[str, ...] = ()) -> None:
        text = text or "Say what it is and why it is so."
        self.picture.take(e.SubtaskPlanned(subtask=id_, type=type_, description=text, needs=needs), at)

    def asked(
        self, at: float, id_: str | None, part: str = "", role: RoleName = "worker", model: str = "sim:m1"
    ) -> None:
        if id_ and not part:
            self.picture.take(e.SubtaskStarted(subtask=id_), at)
        self._calls += 1
        call = self._open[id_, part] = f"c{self._calls}"
        self.picture.take(
            e.CallStarted(call=call, role=role, subtask=id_, fingerprint=call, model=model, part=part), at
        )

    def answered(
        self, at: float, id_: str | None, part: str = "", role: RoleName = "worker", model: str = "sim:m1", **facts: Any
    ) -> None:
        told = {"finish": "stop", "usage": Usage(220, 180), "cost": Decimal("0.0021"), **facts}
        call = self._open.pop((id_, part))
        self.picture.take(
            e.CallFinished(call=call, role=role, subtask=id_, fingerprint=call, model=model, part=part, **told), at
        )

    def again(self, at: float, id_: str, wait: float, **facts: Any) -> None:
        call = self._open.get((id_, ""), "")
        told = {"reason": "HTTP 500", "attempt": 2, "call": call, "subtask": id_, **facts}
        self.picture.take(e.CallRetried(wait=wait, **told), at)

    def ended(self, at: float, id_: str, outcome: Any = "done", **facts: Any) -> None:
        self.picture.take(e.SubtaskFinished(subtask=id_, outcome=outcome, **facts), at)

    def plan(self, at: float, count: int, *, until: float | None = None) -> None:
        """The orchestrator is asked at 0 and has finished then."""
        self.asked(0.0, None, role="orchestrator", model="openai:gpt-5")
        self.answered(at if until is None else until, None, role="orchestrator", model="openai:gpt-5")
        self.picture.take(e.PlanFinished(state="complete", subtasks=count), at)

    def drawn(self, at: float, width: int = 100, height: int = 24, *, moving: bool = True) -> str:
        """The screen; no line of it is wider than the terminal."""
        lines = drawn(self.picture, at, width, height, moving=moving)
        assert len(lines) <= height
        told = [text_of(line) for line in lines]
        assert all(cells(line) <= width for line in told)
        assert all(letter.isprintable() for line in told for letter in line)
        return "\n".join(told) + "\n"
