"""Who carries a line: the batch's workflow, or the one call that a request asks for."""

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from stretto.batch.lines import Line
from stretto.errors import ConfigError, TaskError
from stretto.ground.ids import named_ulid
from stretto.inputs import gather
from stretto.models.functions import Functions
from stretto.run.roles import check_definition
from stretto.run.stream import RunStream
from stretto.server.body import ChatBody, chat_of
from stretto.server.endpoint.asked import answering, asked_of, chat_asked, check_options, with_function
from stretto.server.endpoint.carrying import request_of
from stretto.server.refused import BadBodyError
from stretto.types import Definition, Input, Message, Role
from stretto.workflow import Workflow


class Job(Struct, frozen=True):
    """A line with who carries it. `messages`: what a single call is asked; `function`: what its answer calls."""

    line: Line
    workflow: Workflow[Any]
    task: str
    inputs: tuple[str | Input, ...] = ()
    direct: bool = False
    messages: tuple[Message, ...] = ()
    function: str | None = None


class Jobs(Struct, frozen=True):
    """Makes jobs of lines: by the `workflow`, which requests know as the model `name`.

    `batch` names the batch among all others: the same line of the same batch is the same run. Each has the inputs
    `given` to all, and those that are named with it within `most` bytes.
    """

    workflow: Workflow[Any]
    name: str
    batch: str
    given: Sequence[Input]
    most: int

    def run_id(self, line: Line) -> str:
        """The id of the line's run."""
        return named_ulid(self.batch, f"{line.key}\0{line.digest}")

    def of(self, line: Line, where: str) -> Job:
        """What is to be done for a line; raises `TaskError` naming what cannot be."""
        if line.form == "task":
            return Job(line, self.workflow, line.task, line.inputs)
        try:
            body = copy.deepcopy(line.body)  # which is taken apart
            chat = chat_of(body) if line.form == "chat" else chat_asked(body)
            return self._asking(line, with_function(chat, ignore=False))
        except (BadBodyError, ConfigError) as error:
            raise TaskError(f"{where}: {error}") from error

    def inputs(self, job: Job) -> tuple[Input, ...]:
        """The inputs of a job, those of all lines first; raises `TaskError` for those that cannot be read."""
        named = [each for each in job.inputs if isinstance(each, str)]
        read = [each for one in gather(named, self.most) for each in one.inputs] if named else []
        return (*self.given, *(each for each in job.inputs if isinstance(each, Input)), *read)

    def stream(self, job: Job, inputs: tuple[Input, ...]) -> RunStream[Any]:
        """The run of a job, or what is left of it."""
        return job.workflow.stream(
            job.task, inputs=inputs, direct=job.direct, messages=job.messages, run_id=self.run_id(job.line)
        )

    def _asking(self, line: Line, chat: ChatBody) -> Job:
        """What a request asks: its model is the workflow, or one that is asked alone."""
        name = chat.request.model
        if name == self.name:
            check_options(chat.request.options)
            asked = asked_of(chat)
            workflow = answering(self.workflow, chat)
            return Job(line, workflow, asked.task, asked.inputs, asked.direct, function=chat.function)
        models = tuple(each.strip() for each in name.split(","))
        if unknown := next((each for each in models if not self._is_known(each)), None):
            meant = "PROVIDER:MODEL" if ":" in unknown else f"PROVIDER:{unknown[:60]} (openai:{unknown[:60]}, say)"
            known = ", ".join(provider for provider in self.workflow.providers if ":" in unknown)
            raise BadBodyError(
                f"unknown model {unknown[:100]!r}; write {meant}, or {self.name!r} for the workflow"
                + (f"; providers are {known}" if known else ""),
                "model",
            )
        request = request_of(chat, models)
        caller = Role(models, options=request.options, schema=request.schema)
        task = next((each.content for each in reversed(request.messages) if each.content.strip()), "")
        if not task:
            raise BadBodyError("every message is empty; say what is to be done", "messages")
        return Job(line, self._alone(caller), task, messages=request.messages, function=chat.function)

    def _is_known(self, model: str) -> bool:
        provider, colon, name = model.partition(":")
        known = self.workflow.providers.get(provider)
        return bool(colon and name) and known is not None and not isinstance(known, Functions)

    def _alone(self, caller: Role) -> Workflow[Any]:
        """The workflow whose run is one call of this role: the same providers, prices, limits, store and pool."""
        alone = copy.copy(self.workflow)
        known = self.workflow.definition
        worker = replace(caller, schema=None)
        alone.definition = Definition(None, {"call": worker}, caller, known.limits, known.memory)
        alone.shape = None
        check_definition(alone.definition, alone.providers)
        return alone


def batch_name(output: Path) -> str:
    """What a batch is called: by the file that it writes."""
    return f"batch {output.resolve()}"
