"""Everything Stretto raises.

    StrettoError
    ├── ConfigError            a workflow, file, prompt or environment that cannot work
    │   └── MissingKey         the environment variable that should hold a key is empty
    ├── TaskError              a task or input that cannot be used
    ├── PlanError              the orchestrator's reply held no plan
    ├── ShapeError             a reply does not fit its schema, and neither does its repair
    ├── WorkError              every subtask failed, so there is nothing to answer from
    ├── DeadlineError          the deadline came before there was anything to answer from
    ├── StoreError             the run store cannot be read or written
    │   ├── StoreLocked        another program holds it
    │   ├── RunNotFound
    │   │   └── NoStore        there is no store yet
    │   ├── RunBusy            another process is carrying this run
    │   └── MissingRecord      a replay needs a call that is not recorded
    └── CallError              a request to a model failed
        ├── AuthError          401, 403: the key is refused
        ├── BatchError         the provider's batch has ended, or was refused, without an answer to the call
        ├── BudgetError        the run's budget does not allow the call
        │   └── DayBudgetError
        ├── CircuitOpen        the model failed too often and is left alone for a while
        ├── QuotaError         out of credit or quota; waiting does not help
        ├── RequestError       400, 404, 413, 422, …: the request itself is refused
        │   └── ContextError   because it is longer than what the model takes
        ├── ReplyError         an answer that is no chat completion (a proxy's page, say)
        ├── RateLimited        429: wait and ask again
        │   └── Loading        503: the server still loads the model
        └── TransientError     may pass if asked again
            ├── ServerError    408, 409, 5xx
            ├── ConnectError   the connection broke before the reply began
            │   └── Unreachable    there was none: nothing was sent
            ├── CutError       the reply ended without a finish reason
            ├── CallTimeout    nothing arrived in time
            ├── UnfitReply     the provider refuses what its model wrote
            └── EmptyReply     a finished reply without text

A message says what went wrong, where, and what to do about it. No message contains a key.
"""


class StrettoError(Exception):
    """Anything Stretto raises on purpose; `run_id` is the run that it ended, if it ended one."""

    run_id: str | None = None


class ConfigError(StrettoError):
    """A workflow, file, prompt or environment that cannot work."""


class MissingKey(ConfigError):
    """The environment variable that should hold a provider's key is empty."""


class TaskError(StrettoError):
    """A task or input that cannot be used."""


class PlanError(StrettoError):
    """The orchestrator's reply held no plan, and neither did the repair."""


class ShapeError(StrettoError):
    """A reply does not fit the schema it must fit, and neither does its repair; `text` is what was said at last."""

    def __init__(self, message: str, *, text: str = "") -> None:
        super().__init__(message)
        self.text = text


class WorkError(StrettoError):
    """Every subtask failed, so there is nothing to answer from."""


class DeadlineError(StrettoError):
    """The deadline came before there was anything to answer from."""


class StoreError(StrettoError):
    """The run store cannot be read or written."""


class StoreLocked(StoreError):
    """Another program holds the store locked."""


class RunNotFound(StoreError):
    """No run with this id is in the store."""


class NoStore(RunNotFound):
    """There is no store yet, and so no run."""


class RunBusy(StoreError):
    """Another process is carrying this run."""


class MissingRecord(StoreError):
    """A replay needs a call that is not recorded."""


class CallError(StrettoError):
    """A request to a model failed; `status` is the HTTP status, `request_id` the provider's name for the request.

    `context`: tokens that the model takes, request and reply together, if the provider said so. `binding`: the limits
    of the run that are to be raised, `budget` and `tokens`.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        request_id: str | None = None,
        retry_after: float | None = None,
        allowance: object = None,
        context: int | None = None,
        binding: tuple[str, ...] = (),
    ) -> None:
        super().__init__(message)
        self.status = status
        self.context = context
        self.binding = binding
        self.request_id = request_id
        self.retry_after = retry_after
        """Seconds the provider asked to wait, if it said."""
        self.allowance = allowance
        """What the answer said of the provider's limits: a `stretto.types.Allowance`, or None."""
        self.said = ""
        """What the provider said, in its own words; the message has more."""
        self.call = ""
        """The id of the call that ended with it, if one did."""


class AuthError(CallError):
    """The key is refused (401, 403)."""


class BatchError(CallError):
    """The provider's batch, with which the call went out, has ended without an answer to it."""


class BudgetError(CallError):
    """The run's budget does not allow the call; nothing was sent."""


class DayBudgetError(BudgetError):
    """What one run may cost is not left of what all runs of its store may on this day; nothing was asked."""


class CircuitOpen(CallError):
    """The model failed too often and is left alone for a while; nothing was sent."""


class QuotaError(CallError):
    """Out of credit or quota: waiting does not help (402, or a 429 that says so)."""


class RequestError(CallError):
    """The provider refuses the request itself (400, 404, 413, 422, …)."""


class ContextError(RequestError):
    """The request is longer than what the model takes."""


class ReplyError(CallError):
    """What answered is no chat-completions endpoint (a proxy's HTML page, say)."""


class RateLimited(CallError):
    """The provider asks to slow down (429)."""


class Loading(RateLimited):
    """The server still loads the model (503): it is asked again until it has, or for as long as `max_wait`."""


class TransientError(CallError):
    """May pass if it is asked again."""


class ServerError(TransientError):
    """The provider failed (408, 409, 5xx)."""


class ConnectError(TransientError):
    """No connection, or it broke before the reply began."""


class Unreachable(ConnectError):
    """There was no connection at all: nothing was sent, and nothing is paid."""


class CutError(TransientError):
    """The reply ended without a finish reason."""


class CallTimeout(TransientError):
    """Nothing arrived in time."""


class UnfitReply(TransientError):
    """The provider refuses what its model wrote (no JSON, a tool that is none), not what was asked."""


class EmptyReply(TransientError):
    """A finished reply without any text."""


def cause_of(error: BaseException) -> BaseException:
    """The first real error inside the groups that task groups raise."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def error_named(name: str | None) -> type[StrettoError]:
    """The error whose class has this name, as logs tell it; `StrettoError` where that is none of ours."""
    found = globals().get(name or "")
    return found if isinstance(found, type) and issubclass(found, StrettoError) else StrettoError
