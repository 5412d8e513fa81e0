"""All that doing one subtask takes."""

from collections.abc import Sequence

from stretto.engine.asking import Ask, Asking
from stretto.engine.requests import role_of, worker_request
from stretto.engine.results import result_said
from stretto.types import Definition, Head, Result, Subtask


def work(
    definition: Definition,
    task: str,
    subtask: Subtask,
    needed: Sequence[tuple[Subtask, Result]],
    sample: int = 0,
    head: Head | None = None,
) -> Asking[Result]:
    """Ask the worker of a subtask; its result."""
    request = worker_request(definition, task, subtask, needed, sample, head)
    (said,) = yield [Ask(role_of(definition, subtask), request)]
    return result_said(subtask.id, said)
