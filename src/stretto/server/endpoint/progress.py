"""What a run is doing, in words for a chat window: they go out as reasoning, beside the answer."""

from stretto import events as e
from stretto.ground.text import one_line

_LONGEST = 300  # characters of what others say
_LONG = 3.0  # seconds of a wait that is told


class Progress:
    """Says of each event what somebody who waits would want to know: a line, or nothing."""

    def __init__(self) -> None:
        self._writing = False

    def line(self, event: e.AnyEvent) -> str:
        """The line of one event, with its end; empty if it tells nothing."""
        told = self._told(event)
        return f"{told}\n" if told else ""

    def _told(self, event: e.AnyEvent) -> str:
        match event:
            case e.RunStarted() if event.basis.plan is None and event.workflow["definition"]["orchestrator"]:
                return "planning"
            case e.SubtaskPlanned():
                return f"- {event.subtask} ({event.type}): {short(event.description)}"
            case e.PlanFinished() if event.subtasks and not event.within:
                return f"planned: {event.subtasks} subtask{'' if event.subtasks == 1 else 's'}"
            case e.SubtaskFinished():
                return f"- {event.subtask} {event.outcome}{f': {short(event.error)}' if event.error else ''}"
            case e.SubtaskReopened():
                return f"- {event.subtask} is asked anew{f': {short(event.remark)}' if event.remark else ''}"
            case e.CallRetried() if event.wait >= _LONG or not event.rate_limited:
                whose = event.subtask or event.role
                return f"{whose}: asked again in {event.wait:.0f} s: {short(event.reason)}"
            case e.RunDegraded():
                return f"{event.policy}: {short(event.reason)}"
            case e.CallStarted() if event.role == "synthesizer" and not self._writing:
                self._writing = True
                return "writing the answer"
        return ""


def short(text: str) -> str:
    """A text on one line, cut if it is long."""
    line = one_line(text)
    return line if len(line) <= _LONGEST else line[: _LONGEST - 1] + "…"
