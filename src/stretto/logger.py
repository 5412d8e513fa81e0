"""Runs in the `logging` of Python, under the name `stretto`: quiet until a program sets up logging.

Each record has `run`, `kind` (the event's), `subtask`, `call` and `model` as attributes, None where they do not apply;
the event itself is `event`. No record's message tells a prompt, a reply or an answer. Levels:

    DEBUG      what is planned, asked, answered and done
    INFO       a run begins, goes on, has its plan, is finished; a provider holds calls back (429)
    WARNING    a call or subtask failed or is asked again, something was given up, an answer lacks something, a run was
               stopped
    ERROR      a run failed
"""

import logging
from logging import DEBUG, ERROR, INFO, WARNING

from stretto import events as e
from stretto.ground.text import one_line

_LOGGER = logging.getLogger("stretto")
_LOGGER.addHandler(logging.NullHandler())  # or Python would print warnings of a library to stderr


def _in_one_line(record: logging.LogRecord) -> bool:
    """Make a record's message one line: a model, an endpoint or a file name that says two must not write a record."""
    record.msg, record.args = one_line(record.getMessage()), ()
    return True


_LOGGER.addFilter(_in_one_line)

_FIELDS = ("subtask", "call", "model")
_LONGEST = 500  # characters of what a provider or a model said


def log(event: e.AnyEvent) -> None:
    """Pass an event on to whoever has set up logging."""
    level = _level(event)
    if level and _LOGGER.isEnabledFor(level):
        extra: dict[str, object] = {"run": event.run, "kind": event.kind, "event": event}
        extra |= {name: getattr(event, name, None) or None for name in _FIELDS}
        _LOGGER.log(level, "run %s: %s", event.run, _words(event)[:_LONGEST], extra=extra)


def _level(event: e.AnyEvent) -> int:
    match event:  # those first of which each subtask has one
        case e.SubtaskPlanned() | e.SubtaskStarted() | e.CallStarted():
            return DEBUG
        case e.CallFinished():
            return WARNING if event.error else DEBUG
        case e.SubtaskFinished():
            return DEBUG if event.outcome == "done" else WARNING
        case e.AnswerDelta():
            return 0
        case e.RunFailed():
            return ERROR
        case e.RunFinished():
            return INFO if event.coverage.complete else WARNING
        case e.CallRetried():
            return INFO if event.rate_limited or event.duplicate else WARNING
        case e.RunDegraded() | e.RunInterrupted() | e.PlanWithdrawn() | e.SubtaskStopped() | e.SubtaskReopened():
            return WARNING
        case e.RunStarted() | e.RunResumed() | e.PlanFinished() | e.PlanProposed() | e.PlanApproved():
            return INFO
    return DEBUG


def _words(event: e.AnyEvent) -> str:  # noqa: C901, PLR0912 - one arm for each kind of event, by design
    """What an event says, in one line."""
    match event:
        case e.CallStarted():
            return f"{_call(event)} left"
        case e.CallRetried():
            return f"{_call(event)} is asked again in {event.wait:.1f} s{_why(event.reason)}"
        case e.CallFinished() if event.error:
            return f"{_call(event)} failed{_why(event.error)}"
        case e.CallFinished():
            told = f", {event.usage.input_tokens} tokens in, {event.usage.output_tokens} out" if event.usage else ""
            return f"{_call(event)} answered: {event.finish}{told}{', from the records' if event.reused else ''}"
        case e.SubtaskPlanned():
            needs = f", needs {', '.join(event.needs)}" if event.needs else ""
            return f"subtask {event.subtask} ({event.type}{needs}) is planned"
        case e.SubtaskStarted():
            return f"subtask {event.subtask} has what it needs"
        case e.SubtaskFinished():
            return f"subtask {event.subtask}: {event.outcome}{_why(event.error)}"
        case e.SubtaskStopped():
            return f"subtask {event.subtask} is stopped"
        case e.SubtaskReopened():
            return f"subtask {event.subtask} is asked anew{_why(event.remark)}"
        case e.PlanFinished():
            return f"plan {event.state}: {event.subtasks} subtasks"
        case e.PlanWithdrawn():
            return f"plan withdrawn: {event.reason}"
        case e.PlanProposed():
            return f"plan of {event.subtasks} subtasks waits for approval"
        case e.PlanApproved():
            return "plan approved"
        case e.RunStarted():
            return f"started{' (simulated)' if event.simulated else ''}"
        case e.RunResumed():
            return "goes on"
        case e.RunDegraded():
            return f"{event.policy}: {event.reason}"
        case e.RunFailed():
            return f"failed: {event.error_type}{_why(event.error)}"
        case e.RunInterrupted():
            return event.reason
        case e.RunFinished():
            missing = len(event.coverage.missing)
            lacks = f", {missing} subtasks are missing" if missing else "" if event.coverage.complete else ", in part"
            return f"finished, {event.usage.input_tokens} tokens in, {event.usage.output_tokens} out{lacks}"
    return ""


def _call(event: e.CallStarted | e.CallRetried | e.CallFinished) -> str:
    whose = f"subtask {event.subtask}" if event.subtask else event.role
    return f"call {event.call} ({whose}{f', {event.part}' if event.part else ''}) to {event.model}"


def _why(error: str | None) -> str:
    return f": {' '.join(error.split())}" if error else ""
