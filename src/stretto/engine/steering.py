"""Steering a run that is under way: one subtask is stopped, or asked anew, by an event that goes before all else."""

from typing import Protocol

from stretto import events as e
from stretto import prompts
from stretto.engine.caller import Caller
from stretto.errors import TaskError
from stretto.ground.text import clean
from stretto.runs import Part
from stretto.store.journal import Journal


class Work(Protocol):
    """The subtasks of one plan while they are done."""

    def running(self, subtask: str) -> bool:
        """Whether somebody is asked for it right now."""
        ...

    def stop(self, subtask: str) -> None:
        """Give up what is asked for it, as the log says."""
        ...

    def fixed(self, subtask: str) -> str:
        """Why it cannot be asked anew; empty if it can."""
        ...

    def again(self, subtask: str) -> None:
        """Begin anew with it, and with all that need it."""
        ...


class Steering:
    """Stops subtasks of a run, or has them asked anew: by their full names, those of workflows within included."""

    def __init__(self, journal: Journal, caller: Caller) -> None:
        self._journal = journal
        self._caller = caller
        self._works: dict[str, Work] = {}

    def enter(self, path: str, work: Work) -> None:
        """From now on the subtasks with this path before their ids are these."""
        self._works[path] = work

    def stop(self, subtask: str) -> None:
        """What a subtask has said so far is its result, which is `cut`; raises `TaskError` if it is not running."""
        work, own = self._found(subtask)
        if not work.running(own):
            raise TaskError(f"subtask {subtask[:80]} is not running: there is nothing to stop")
        self._journal.append(e.SubtaskStopped(subtask=subtask, text=self._said(subtask)))
        work.stop(own)

    def again(self, subtask: str, remark: str = "") -> None:
        """Ask a subtask anew, with a remark in its prompt; whatever needs it, directly or not, begins anew as well.

        Raises `TaskError` if it cannot be.
        """
        work, own = self._found(subtask)
        if why := work.fixed(own):
            raise TaskError(f"subtask {subtask[:80]} cannot be asked anew: {why}")
        self._journal.append(e.SubtaskReopened(subtask=subtask, remark=clean(remark.strip())))
        work.again(own)

    def _found(self, subtask: str) -> tuple[Work, str]:
        within, slash, own = subtask.rpartition("/")
        work = self._works.get(within + slash)
        if work is None or own not in {each.id for each in self._journal.run.part(within).plan.subtasks}:
            raise TaskError(f"there is no subtask {subtask[:80]!r} in the plan of this run")
        return work, own

    def _said(self, subtask: str) -> str:
        """What there is of a subtask: the longest that was written for it, or the results within it that are done."""
        longest = max((each.text for each in self._caller.said.get(subtask, ())), key=len, default="")
        return longest if longest.strip() else done_within(self._journal.run.part(subtask))


def done_within(part: Part) -> str:
    """What a workflow has of its task before there is an answer: the results that are whole, which are paid for."""
    done = [
        each
        for each in part.plan.subtasks
        if each.id in part.results and part.results[each.id].outcome == "done" and part.results[each.id].text.strip()
    ]
    return prompts.joined_text(done, part.results, "complete").strip() if done else ""
