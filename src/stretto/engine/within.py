"""A workflow that does a subtask, as a task of its own; whatever happens is the subtask's result."""

from collections.abc import Callable
from typing import NoReturn

from stretto.engine.asking import Said
from stretto.engine.deadline import Deadline
from stretto.engine.results import result_said
from stretto.engine.setbacks import Setbacks
from stretto.engine.spine import Spine
from stretto.engine.steering import done_within
from stretto.errors import StoreError, StrettoError, cause_of
from stretto.runs import Part
from stretto.types import Coverage, Definition, Result, Verdict


class Within:
    """Has subtasks done by workflows: `spine` makes what carries one, `part` says what it has come to so far."""

    def __init__(
        self,
        spine: Callable[[Definition, str, str], Spine],
        part: Callable[[str], Part],
        deadline: Deadline,
        setbacks: Setbacks,
    ) -> None:
        self._spine = spine
        self._part = part
        self._deadline = deadline
        self._setbacks = setbacks

    def close(self) -> None:
        """Nothing more is done: whoever made this is not to be kept for it."""
        self._spine = self._part = _closed

    async def result(self, workflow: Definition, task: str, name: str) -> Result:
        """The result of the subtask of this full name, whose task this is."""
        subtask = name.rpartition("/")[2]
        try:
            async with self._deadline.work():
                carried = await self._spine(workflow, task, f"{name}/").carry()
        except TimeoutError:
            self._setbacks.cut()
            done = done_within(self._part(name))
            return Result(subtask, "cut", done, "the deadline came before its workflow had an answer")
        except Exception as failure:  # noqa: BLE001 - what is no fault of the workflow's is raised again
            cause = cause_of(failure)
            if isinstance(cause, StoreError) or not isinstance(cause, StrettoError):
                raise cause from cause.__cause__
            return result_said(subtask, Said(error=cause))
        verdict: Verdict | None = None if carried.coverage.complete else "unchecked"
        return Result(subtask, "done", carried.answer.text, verdict=verdict, remark=_gaps(carried.coverage))


def _closed(*_: object) -> NoReturn:
    raise RuntimeError("the run is over")


def _gaps(coverage: Coverage) -> str:
    """What the answer of a workflow lacks, in few words."""
    if coverage.complete:
        return ""
    gaps = [f"{missing.subtask} ({missing.type}) is {missing.outcome}" for missing in coverage.missing]
    gaps += [f"{doubtful.subtask} ({doubtful.type}) is doubtful" for doubtful in coverage.doubtful]
    gaps += ["the end of its plan is missing"] if coverage.plan != "complete" else []
    gaps += [f"its answer is {coverage.answer}"] if coverage.answer != "complete" else []
    if coverage.direct:
        return f"answered directly, without its subtasks: {coverage.direct}"
    return f"of its own {sum(coverage.counts.values())} subtasks: {', '.join(gaps)}"
