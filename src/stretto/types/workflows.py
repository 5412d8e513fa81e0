"""Who does what, within which limits: a workflow as data.

What type checkers are told stands in the stub beside this: a checker may be a function, of which the workflow makes a
role.
"""

from collections.abc import Sequence
from typing import Any, Literal

from msgspec import Struct

from stretto.types.limits import Limits

RoleName = Literal["orchestrator", "worker", "synthesizer"]
Merge = Literal["synthesize", "vote", "best"]


class Role(Struct, frozen=True):
    """Which model does a part of the work, and how it is asked.

    `model` is written `provider:model`; of several, each is a fallback for those before it. `prompt` is a template with
    the placeholders of its role (`docs/design.md`, Formats); without one the default of that role is used. `options` go
    into the request as they are (`temperature`, `max_tokens`, …). `about` tells the orchestrator in one line what a
    worker is good for. `stream` streams a worker's call too, for gateways that cut silent connections. `schema` is the
    JSON schema (of an object) that a worker's result, or the answer, must fit; `schema_of` makes one of a Python type.

    Of a worker: `models` are asked side by side, each `samples` times, and `merge` says how their replies become one
    result: `synthesize`, `model` (or the first of `models`) writes it from all of them; `vote`, the one most of them
    gave; `best`, the one `model` prefers. `check` is who reads its results against what was asked: a role, whose
    `about` is what to look at, or that alone; a checker without a model is the worker's own. `workflow` does its
    subtasks, each as a task of its own, in place of a model: `prompt` is then how the subtask becomes that task.

    `context`: tokens that its model takes, request and reply together; what is longer is made shorter before it is
    asked. `share`, of a worker: tokens of the inputs that it reads at once, where each is to read a part of them.
    `needs`, of a worker: what becomes of a subtask if none of what it needs is there. `any`: it is done all the same,
    and told what is missing; `all`: it is skipped.
    """

    model: str | Sequence[str] = ""
    prompt: str | None = None
    system: str | None = None
    options: dict[str, Any] = {}
    about: str = ""
    stream: bool = False
    schema: dict[str, Any] | None = None
    models: tuple[str, ...] = ()
    samples: int = 1
    merge: Merge = "synthesize"
    check: "Role | str | None" = None
    workflow: "Definition | None" = None
    context: int | None = None
    share: int | None = None
    needs: Literal["any", "all"] = "any"

    @property
    def candidates(self) -> tuple[str, ...]:
        """The model and its fallbacks."""
        return (self.model,) if isinstance(self.model, str) else tuple(self.model)


class Memory(Struct, frozen=True):
    """What is recorded of a run, and which recorded replies answer its calls.

    `reuse`: `run`, those of the run itself, whose identical calls are one; `store`, also those of every earlier run in
    its store, but for calls whose options set a `temperature` above 0 unless `reuse_sampled`; `off`, none: every call
    is asked, and only a resumed run takes what it has recorded. `record`: `all`, or `usage`, which keeps no prompts,
    and replies and results only until the run is finished.
    """

    reuse: Literal["run", "store", "off"] = "run"
    reuse_sampled: bool = False
    record: Literal["all", "usage"] = "all"


class Known(Struct, frozen=True, omit_defaults=True):
    """What is known of a model that nobody wrote down: its `context`, in tokens, and `bytes`, how many make a token.

    `bytes` is the least that its replies have shown so far. `others`: what its server, on this machine, lists in its
    place; some servers answer to any name, others refuse.
    """

    context: int | None = None
    bytes: float | None = None
    others: tuple[str, ...] = ()


class Definition(Struct, frozen=True):
    """A workflow as data: who does what, within which limits.

    Without an `orchestrator` every worker does the whole task; without a `synthesizer` the results are the answer.
    `known`: what was known of its models, as written, when the run began; it is recorded, so that whoever goes on with
    the run, repeats or explains it reckons alike.
    """

    orchestrator: Role | None
    workers: dict[str, Role]
    synthesizer: Role | None = None
    limits: Limits = Limits()
    memory: Memory = Memory()
    known: dict[str, Known] = {}
