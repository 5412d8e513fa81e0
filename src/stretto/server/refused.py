"""How a server here says no: a status, and a body in OpenAI's form."""

import math
from collections.abc import Mapping
from typing import Any

import msgspec
from aiohttp import web

from stretto import errors as e
from stretto.models.error_bodies import Refusal, bad_request

_JSON = "application/json"
_INVALID, _OURS, _THEIRS = "invalid_request_error", "server_error", "upstream_error"

OURS = Refusal(500, _OURS, "stretto_failed", "an error of the server's own, which its log tells")
"""What is said of an error that nobody has foreseen."""


class RefusedError(Exception):
    """A request that cannot be answered; `refusal` is what is said in place of an answer, `headers` goes with it."""

    def __init__(self, refusal: Refusal, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal
        self.headers = headers or {}


class BadBodyError(RefusedError):
    """The body is not what this address takes; `param` names what is wrong in it."""

    def __init__(self, message: str, param: str | None = None) -> None:
        super().__init__(bad_request(message, param))


def conflict(code: str, message: str) -> RefusedError:
    """What is said where a run is not in the state that a request is for."""
    return RefusedError(Refusal(409, "conflict", code, message))


def not_found(code: str, message: str, param: str | None = None) -> RefusedError:
    """What is said of something that is not there."""
    return RefusedError(Refusal(404, _INVALID, code, message, param=param))


def error_facts(refusal: Refusal) -> dict[str, Any]:
    """What an error says of itself."""
    return {"message": refusal.message, "type": refusal.kind, "code": refusal.code, "param": refusal.param}


def error_body(refusal: Refusal) -> bytes:
    """The body of an error response."""
    return msgspec.json.encode({"error": error_facts(refusal)})


def refused(refusal: Refusal, headers: Mapping[str, str] | None = None) -> web.Response:
    """The response of a refusal, with when to come again."""
    lines = dict(headers or {})
    if refusal.retry_after is not None:
        lines["retry-after"] = str(math.ceil(refusal.retry_after))
        if not float(refusal.retry_after).is_integer():
            lines["retry-after-ms"] = str(math.ceil(refusal.retry_after * 1000))
    return web.Response(status=refusal.status, body=error_body(refusal), content_type=_JSON, headers=lines)


def refusal_of(error: e.StrettoError, run: str = "") -> Refusal:  # noqa: C901, PLR0912 - one arm for each kind of error, by design
    """What a client is told of an error that a run, or a call, ended with.

    What only whoever keeps the server can mend (a file, the store, a key) is told there, and not to clients.
    """
    see = f"; the server's own log says more of run {run}" if run else "; the server's own log says more"
    match error:
        case e.TaskError():
            return bad_request(str(error), "messages")
        case e.ContextError():
            return Refusal(400, _INVALID, "context_length_exceeded", str(error), param="messages")
        case e.DayBudgetError():
            message = "what runs may cost on a day is used up here; go on tomorrow (UTC)"
            return Refusal(402, "billing_error", "budget_exceeded", message)
        case e.BudgetError():
            return Refusal(402, "billing_error", "budget_exceeded", str(error))
        case e.QuotaError():
            return Refusal(402, "billing_error", "insufficient_quota", str(error))
        case e.RateLimited():
            return Refusal(429, "rate_limit_error", "rate_limit_exceeded", str(error), error.retry_after)
        case e.AuthError():
            return Refusal(502, _THEIRS, "provider_refused_key", f"a provider refuses the key it is asked with{see}")
        case e.RequestError() if error.status in {400, 404, 413, 415, 422}:
            return Refusal(error.status, _INVALID, "provider_refused_request", str(error))
        case e.DeadlineError() | e.CallTimeout():
            return Refusal(504, "timeout", "deadline_exceeded", str(error))
        case e.CallError():
            return Refusal(502, _THEIRS, "provider_failed", str(error))
        case e.StoreLocked():
            return Refusal(503, _OURS, "store_away", f"the store cannot be reached just now; try again{see}", 2.0)
        case e.PlanError() | e.ShapeError() | e.WorkError():
            return Refusal(502, _THEIRS, "no_answer", str(error))
        case _:
            return Refusal(500, _OURS, "stretto_failed", f"this cannot be answered as the server is set up{see}")
