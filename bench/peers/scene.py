"""What an endpoint is to do, and what it has seen: told to its process and by it as JSON."""

from typing import Literal

from msgspec import Struct

from bench.job import Job

RoleName = Literal["orchestrator", "worker", "synthesizer"]
Kind = Literal["429", "500", "disconnect", "malformed", "cut", "fenced"]

UNLUCKY = 4
"""The part whose worker meets a fault."""


class Fault(Struct, frozen=True):
    """What goes wrong with the first `times` requests of one worker (`UNLUCKY`), or of the orchestrator.

    `kind`: a status, a `disconnect` in the middle of the body, or a plan that is `malformed` (quotes that are not
    escaped), `cut` after two thirds (finish reason `length`) or `fenced` in Markdown. `retry_after`: seconds.
    """

    kind: Kind
    times: int = 1
    retry_after: float = 1.0

    def concerns(self, role: RoleName, part: int | None) -> bool:
        """Whether it hits requests of this role for this part of the plan."""
        if self.kind in ("malformed", "cut", "fenced"):
            return role == "orchestrator"
        return role == "worker" and part == UNLUCKY


class Scene(Struct, frozen=True):
    """An endpoint: how long each reply takes (`job`; how many subtasks is the task's to say), limits, what fails.

    `rpm`: requests a minute, with a bucket of `bucket` and `Retry-After: 1` on what is refused.
    """

    job: Job = Job(0)
    rpm: float | None = None
    bucket: float = 20
    fault: Fault | None = None


class Seen(Struct):
    """What an endpoint has seen.

    `requests`: all of them; `rejected`: 429 because of the limit; `failed`: by a fault; `completed`: replies sent to
    their end; `twice`: of these, worker replies that had been completed before; `plans`: of these, plans. `tokens`: of
    completed requests and their replies, four bytes each. `peak`: the most in flight. `results`: how many workers'
    results stood in the request whose reply became the answer.
    """

    requests: int = 0
    rejected: int = 0
    failed: int = 0
    completed: int = 0
    twice: int = 0
    plans: int = 0
    tokens: int = 0
    in_flight: int = 0
    peak: int = 0
    results: int = 0
