"""The nouns of a run: frozen, and without knowledge of events, models or storage."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Literal

from msgspec import Struct, field

RoleName = Literal["orchestrator", "worker", "synthesizer"]
Outcome = Literal["done", "truncated", "cut", "failed", "skipped"]
AnswerState = Literal["complete", "truncated", "cut", "unmerged"]
PlanState = Literal["complete", "incomplete", "bounded"]
Verdict = Literal["holds", "fails", "unchecked"]
Merge = Literal["synthesize", "vote", "best"]

_MILLION = Decimal(1_000_000)
OUTCOMES: tuple[Outcome, ...] = ("done", "truncated", "cut", "failed", "skipped")


class Usage(Struct, frozen=True):
    """Tokens of one call, or the sum of several."""

    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    reasoning_tokens: int = 0

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            self.cached_tokens + other.cached_tokens,
            self.reasoning_tokens + other.reasoning_tokens,
        )


class Quota(Struct, frozen=True):
    """What a provider says of one limit: how much it is, what is left of it, and seconds until all of it is back."""

    limit: float
    remaining: float
    reset: float | None = None


class Allowance(Struct, frozen=True):
    """What a provider says of its limits with an answer."""

    requests: Quota | None = None
    tokens: Quota | None = None


class Price(Struct, frozen=True):
    """US dollars for a million tokens; `cached` for those of the input that came from the provider's cache.

    `above` names prices of long calls: from so many input tokens on, the whole call costs that instead.
    """

    input: Decimal
    output: Decimal
    cached: Decimal | None = None
    above: tuple[tuple[int, "Price"], ...] = ()

    def of(self, usage: Usage) -> Decimal:
        """What a call with this usage costs."""
        price = self
        for least, dearer in self.above:
            price = dearer if usage.input_tokens >= least else price
        cost = usage.input_tokens * price.input + usage.output_tokens * price.output
        if usage.cached_tokens and price.cached is not None:
            cost -= min(usage.cached_tokens, usage.input_tokens) * (price.input - price.cached)
        return cost / _MILLION


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

    @property
    def candidates(self) -> tuple[str, ...]:
        """The model and its fallbacks."""
        return (self.model,) if isinstance(self.model, str) else tuple(self.model)


class Limits(Struct, frozen=True):
    """What one workflow may use.

    `parallel`: calls in flight. `max_subtasks`: of the whole run. `rounds`: how often subtasks are planned, each time
    with all results so far in view; the orchestrator may stop before. `rpm`, `tpm`: requests and tokens a minute. Of
    one run: `budget`, US dollars; `tokens`, of input and output together; `deadline`, seconds from its start (or its
    resumption) to the answer. `hedge`: the share of a run's cost that may go into asking stragglers a second time.
    `unpriced`: whether a run with a budget refuses a model whose price is unknown, or asks it uncounted. `attempts`:
    how often a call is asked before its error counts. `timeout`: seconds of one whole call. `max_wait`: seconds a call
    may be held back by rate limits.
    """

    parallel: int = 64
    max_subtasks: int = 64
    rounds: int = 1
    rpm: float | None = None
    tpm: float | None = None
    budget: Decimal | None = None
    tokens: int | None = None
    deadline: float | None = None
    hedge: float = 0.0
    unpriced: Literal["refuse", "allow"] = "refuse"
    attempts: int = 4
    timeout: float = 600.0
    max_wait: float = 900.0


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


class Definition(Struct, frozen=True):
    """A workflow as data: who does what, within which limits.

    Without an `orchestrator` every worker does the whole task; without a `synthesizer` the results are the answer.
    """

    orchestrator: Role | None
    workers: dict[str, Role]
    synthesizer: Role | None = None
    limits: Limits = Limits()
    memory: Memory = Memory()


class Subtask(Struct, frozen=True):
    """One line of the plan; `needs` are ids of subtasks listed before it.

    `value` ranks it, if the plan does: what is worth least is given up first when the budget gets short. `round`: in
    which one it was planned. `reads`: the pieces of the inputs that it has (`i1`, `i3:1-400`: those lines); all of them
    if it names none.
    """

    id: str
    type: str
    description: str
    needs: tuple[str, ...] = ()
    value: float | None = None
    round: int = 1
    reads: tuple[str, ...] = ()


class Result(Struct, frozen=True):
    """What a worker returned, or why it did not.

    `text` is complete only if the outcome is `done`; a `truncated` result keeps what arrived. `error` says why for
    every other outcome. `verdict` is what its check came to, if it has one: it holds, it fails, or nobody could say;
    `remark` is what the check, or the merging of several replies, says of it.
    """

    subtask: str
    outcome: Outcome
    text: str = ""
    error: str | None = None
    verdict: Verdict | None = None
    remark: str = ""


class Missing(Struct, frozen=True):
    """A subtask the answer could not rest on, and why."""

    subtask: str
    type: str
    outcome: Outcome
    reason: str


class Doubtful(Struct, frozen=True):
    """A result that the answer rests on though its check does not hold, or could not be made (`unchecked`)."""

    subtask: str
    type: str
    verdict: Verdict
    remark: str


class Coverage(Struct, frozen=True):
    """How much of the plan the answer rests on: counts by outcome, what is missing, and what is doubtful.

    `plan` is `incomplete` if the plan itself could not be had whole, `bounded` if it was longer than `max_subtasks`.
    `answer` is `truncated` if the answer met its token limit, `cut` if the deadline came while it was written, and
    `unmerged` if nothing was left to merge the results with: then they are the answer. `degraded` says by which policy
    the run gave up what. `condensed` are the subtasks whose results were too long for who wrote the answer,
    and were condensed or cut for that.
    """

    counts: dict[Outcome, int] = {}
    missing: tuple[Missing, ...] = ()
    plan: PlanState = "complete"
    answer: AnswerState = "complete"
    degraded: tuple[str, ...] = ()
    doubtful: tuple[Doubtful, ...] = ()
    condensed: tuple[str, ...] = ()

    @property
    def complete(self) -> bool:
        """Nothing at all is missing, and every check that was to be made holds."""
        whole = self.plan == "complete" and self.answer == "complete"
        return whole and not self.missing and not self.doubtful


class Citation(Struct, frozen=True):
    """A passage of the answer, and what it rests on: a subtask, or an input of the task.

    `start`, `end`: the passage in the answer, in characters. `source`: the subtask's id, or the input's (`i1`, `i2`, …,
    in their order). Of an input: its `name`, the `lines` (first and last, from 1) and the `quote` that stands there.
    `verified`: the quote was found in the input; False if it was not, or the lines are not there; None where there is
    nothing to be found.
    """

    start: int
    end: int
    source: str
    name: str = ""
    lines: tuple[int, int] | None = None
    quote: str = ""
    verified: bool | None = None


class Reply(Struct, frozen=True):
    """What a model answered to one call, as the memo keeps it; `asked`: the fallback that gave it, if one did."""

    text: str
    finish: str
    usage: Usage | None = None
    model: str | None = None
    reasoning: str = ""
    simulated: bool = False
    asked: str | None = None


class Message(Struct, frozen=True):
    """One message of a request."""

    role: Literal["system", "user", "assistant"]
    content: str


class Input(Struct, frozen=True, omit_defaults=True):
    """A text that a task comes with (a file, a page), and what it is called; or an image.

    An image has no `text`; `data` is it in base64, `media` its type (`image/png`).
    """

    name: str
    text: str = ""
    media: str = ""
    data: str = ""


class Head(Struct, frozen=True):
    """The inputs of a run as one text, which stands at the head of every prompt, the same in each.

    `digest` stands for the text wherever that would be kept or hashed once a call; `size`: bytes of UTF-8, and what an
    image counts for. `images`: as data URIs, for which their digests stand in the text. A recorded request has neither
    text nor images: the inputs are in the run's `basis`.
    """

    digest: str
    size: int
    text: str = ""
    images: tuple[str, ...] = ()


class Request(Struct, frozen=True):
    """What is asked of a model, above the wire; its canonical form is a call's identity.

    `model` as written (`provider:model`). `schema` is the JSON schema the reply must fit, if any. `sample` tells wanted
    repetitions of one request apart. `head` goes before all `messages` (`stretto.head` joins them).
    """

    model: str
    messages: tuple[Message, ...]
    options: dict[str, Any] = {}
    schema: dict[str, Any] | None = None
    sample: int = 0
    head: Head | None = None


class Plan(Struct, frozen=True):
    """The subtasks in the order they were planned, and whether that is all of them (None: still being written).

    `rounds`: how many are over.
    """

    subtasks: tuple[Subtask, ...] = ()
    state: PlanState | None = None
    analysis: str = ""
    remarks: tuple[str, ...] = field(default=())
    rounds: int = 0


class Basis(Struct, frozen=True):
    """What a run begins with beside its task.

    `origin`: the run whose recorded replies it may reuse. `plan`: one that is given and not asked for. `samples`: by
    subtask (or `orchestrator`, `synthesizer`) the sample number of its request, where that is not 0. `only`: of a given
    plan, the subtasks that are computed; the others' results are the origin's. `fresh`: what is asked anew.
    `inputs`: the texts that its task comes with. `plans`: those of workflows within, by the fingerprint of the request
    for each, whose replies are not recorded whole; they are given to whoever asks just that.
    """

    origin: str | None = None
    plan: Plan | None = None
    samples: dict[str, int] = {}
    only: tuple[str, ...] = ()
    fresh: tuple[str, ...] = ()
    inputs: tuple[Input, ...] = ()
    plans: dict[str, Plan] = {}
