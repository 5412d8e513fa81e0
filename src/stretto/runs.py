"""What a run amounts to, as data; `stretto.fold` reads it from the run's events."""

from collections.abc import Container, Iterable, Iterator, Mapping
from typing import Any, Generic, Literal

import msgspec
from typing_extensions import TypeVar

from stretto.plan.naming import same_work
from stretto.records import Approval, CallRecord, Part, RunRecord, Status, Withdrawn
from stretto.types import (
    OUTCOMES,
    AnswerState,
    Coverage,
    Doubtful,
    Missing,
    Outcome,
    PlanState,
    Result,
    Row,
    Subtask,
)

__all__ = ["Approval", "CallRecord", "Parsed", "Part", "Run", "Status", "Withdrawn", "coverage_of"]

_UNREAD = "there was no room for it in what the answer is written from; give the synthesizer a larger context"

Parsed = TypeVar("Parsed", default=Any)
"""What `run.parsed` is: the type that the workflow was given as its `answer`, else anything."""


class Run(RunRecord, Generic[Parsed], frozen=True, kw_only=True):
    """One execution of a workflow, complete or not, as its events tell it.

    `basis` is what it began with beside its task; its `plan` is also one that took another's place before it was
    approved. `withdrawn` are those plans in whose place the orchestrator was asked for another.
    `results` maps subtask ids to results, in the plan's order. `usage` and `cost` are what the run paid over all its
    executions, `saved` is the usage of reused calls. `cost` is None where a price is unknown. `unreadable` is a run, in
    a list of runs, whose log is damaged; `error` says how. `answer` is the text of a finished run; one with another
    `status` has none, which is `""` here and null as data. `parsed` is the answer as the object it had to be
    (`Workflow(answer=…)`), of its Python type where the workflow has that, and None where there is no answer.
    `citations` are what the answer's passages rest on, `remarks` what had to be removed from it. `assumed`:
    models whose price was found by their name alone, and whose it is. `parts` are the workflows that do subtasks, by
    the subtask. `pauses`: between which moments nobody carried it, one before each further of its `executions`. `code`
    is `stopped` if whoever was to approve the plan of an `interrupted` run has stopped it. `approval`: `asked` while
    its plan is before somebody, `given` once that one has approved it. `stopped`: by their full names, the subtasks
    that somebody has stopped, with what there was of each.
    """

    parsed: Parsed = None  # type: ignore[assignment]  # of a finished run it is there, and nobody asks another for it

    def part(self, within: str) -> Part:
        """What is planned and done within a subtask; within "" that of the run itself."""
        return self.parts.get(within, Part()) if within else Part(self.plan, self.results)

    @property
    def forgotten(self) -> bool:
        """Whether its texts were not kept (`Memory.record`): there is no task without any."""
        return not self.task

    @property
    def rows(self) -> list[Row]:
        """Of a map, what came of each item (a `Row`), in the order of the list, as far as it is there."""
        from stretto.maps import rows_of

        return rows_of(self.basis.each, self.results, self.calls)

    def to_frame(self, what: Literal["subtasks", "calls"] = "subtasks") -> Any:
        """A `pandas.DataFrame`: a row for each of its `subtasks` or its `calls`, with typed columns.

        Columns are those of `SubtaskRow` and `CallRow` (`stretto.views.rows`). Raises `ConfigError` without pandas.
        """
        from stretto.views.frame import frame

        return frame(self, what)

    def to_dict(self) -> dict[str, Any]:
        """All of it as data of JSON's types: amounts of money as texts, times as they are told."""
        return msgspec.json.decode(self.to_json(), type=dict[str, Any])

    def to_json(self) -> str:
        """All of it as JSON, on one line; an answer that is not there is null."""
        facts = msgspec.structs.asdict(self)
        facts["answer"] = self.answer if self.status == "finished" else None
        return msgspec.json.encode(facts, enc_hook=_plain).decode()

    def __iter__(self) -> Iterator[tuple[str, Any]]:
        """Its fields and what they hold, as data: so `dict(run)` works, and what FastAPI makes of a returned object."""
        yield from self.to_dict().items()

    @classmethod
    def __get_pydantic_core_schema__(cls, *_: Any) -> Any:
        """For pydantic (in a model, or as what a FastAPI route returns): one of these, that is written as its data."""
        from pydantic_core import core_schema  # only pydantic calls this

        written = core_schema.plain_serializer_function_ser_schema(cls.to_dict)
        return core_schema.is_instance_schema(cls, serialization=written)

    def __repr__(self) -> str:
        from stretto.views.summary import summary

        return f"<Run {self.id} {summary(self)}>"

    def _repr_html_(self) -> str:
        """The run as a notebook shows it: plan, timeline, costs, what is missing, answer."""
        from stretto.views.page import run_page

        return run_page(self)


def _plain(parsed: Any) -> Any:
    """What the answer was made into, where that is no type that JSON libraries know: pydantic's, as a rule."""
    return parsed.model_dump(mode="json") if hasattr(parsed, "model_dump") else str(parsed)


def coverage_of(
    subtasks: Iterable[Subtask],
    results: Mapping[str, Result],
    plan: PlanState = "complete",
    answer: AnswerState = "complete",
    degraded: tuple[str, ...] = (),
    condensed: tuple[str, ...] = (),
    unread: Container[str] = (),
    direct: str = "",
) -> Coverage:
    """What an answer written from these results rests on.

    `condensed`: those that were too long to be read whole, `unread`: those for which there was no room at all.
    `direct`: why it rests on none of them. What a later round has done after all is not missing.
    """
    counts: dict[Outcome, int] = dict.fromkeys(OUTCOMES, 0)
    missing, doubtful = [], []
    told = [(subtask, results[subtask.id]) for subtask in subtasks if subtask.id in results]
    done = [subtask for subtask, result in told if result.outcome == "done"]
    rounds = {same_work(subtask): subtask.round for subtask in done} if len(done) < len(told) else {}
    for subtask, result in told:
        counts[result.outcome] += 1
        if result.outcome != "done" and rounds.get(same_work(subtask), 0) <= subtask.round:
            missing.append(Missing(subtask.id, subtask.type, result.outcome, result.error or result.outcome))
        elif result.outcome == "done" and subtask.id in unread:
            missing.append(Missing(subtask.id, subtask.type, result.outcome, _UNREAD))
        elif result.outcome == "done" and result.verdict in {"fails", "unchecked"}:
            doubtful.append(Doubtful(subtask.id, subtask.type, result.verdict, result.remark))
    return Coverage(counts, tuple(missing), plan, answer, degraded, tuple(doubtful), condensed, direct)
