"""Who does what, within which limits: a workflow as data.

What type checkers are told stands in the stub beside this: a checker may be a function, of which the workflow makes a
role.
"""

from collections.abc import Sequence
from typing import Any, Literal

from msgspec import Struct

from stretto.types.keywords import Keyworded
from stretto.types.limits import Limits

RoleName = Literal["orchestrator", "worker", "synthesizer"]
Merge = Literal["synthesize", "vote", "best"]


class Role(Struct, frozen=True, metaclass=Keyworded):
    """Which model does a part of the work, and how it is asked.

    Of any role:

    - `model`: written `provider:model`; of several, each is a fallback for those before it. Empty where `models` or a
      `workflow` do the work, and in a file that leaves it to its users.
    - `prompt`: a template with the placeholders of the role (`docs/design.md`, Formats); by itself that role's default.
    - `system`: the system message of its requests; none.
    - `options`: what goes into the request as it is (`temperature`, `max_tokens`, …); nothing.
    - `stream`: whether a worker's call is streamed too, for gateways that cut silent connections; it is not.
    - `schema`: what a worker's result, or the answer, must fit: a JSON schema of an object, or a Python type of which
      one is made (see `schema_of`). None: any text.
    - `context`: tokens that its model takes, request and reply together; what is longer is made shorter before it is
      asked. None: what is known of the model.

    Of a worker:

    - `about`: what it is good for, in one line that the orchestrator reads; nothing is said of it.
    - `models`: several that are asked side by side; none but `model`.
    - `samples`: how often each of them is asked; 1.
    - `merge`: how several replies become one result. `"synthesize"`, the default: `model` (or the first
      of `models`) writes it from all of them; `"vote"`: the one that most of them gave; `"best"`: the one that `model`
      prefers.
    - `check`: who reads its results against what was asked: a role, whose `about` is what to look at, or that alone; a
      checker without a model is the worker's own. None: nobody does.
    - `workflow`: what does its subtasks, each as a task of its own, in place of a model; `prompt` is then how the
      subtask becomes that task. None.
    - `share`: tokens of the inputs that it reads at once, where each is to read a part of them; None: all of them.
    - `needs`: what becomes of a subtask if none of what it needs is there. `"any"`, the default: it is done all the
      same, and told what is missing; `"all"`: it is skipped.
    - `batch`: whether its calls can wait, and go out with the provider's Batch API, which answers within a day at a
      lower price; they do not.
    - `expired`: what becomes of a call that its batch did not answer. `"live"`, the default: it is asked like any
      other; `"fail"`: so does its subtask.
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
    batch: bool = False
    expired: Literal["live", "fail"] = "live"

    @property
    def candidates(self) -> tuple[str, ...]:
        """The model and its fallbacks."""
        return (self.model,) if isinstance(self.model, str) else tuple(self.model)

    @property
    def all_models(self) -> tuple[str, ...]:
        """Every model that it may ask, as written: the model, its fallbacks, and those that are asked side by side."""
        return tuple(dict.fromkeys((*self.candidates, *self.models)))


class Memory(Struct, frozen=True, metaclass=Keyworded):
    """What is recorded of a run, and which recorded replies answer its calls.

    - `reuse`: which replies answer a call that asks the same. `"run"`, the default: those of the run itself; `"store"`:
      also those of every earlier run in its store; `"off"`: none, and only a resumed run takes what it has recorded.
    - `reuse_sampled`: whether `"store"` holds for calls, too, whose options set a `temperature` above 0; it does not.
    - `record`: what is kept. `"all"`, the default; `"usage"`: no prompts, and replies and results only
      until the run is finished.
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
