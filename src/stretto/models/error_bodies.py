"""How an endpoint says no: one form for the simulator's typed errors and for the bodies of our servers."""

from msgspec import Struct

from stretto.errors import AuthError, CallError, QuotaError, RateLimited, RequestError, ServerError
from stretto.types import Allowance

_SAID = {
    400: ("invalid_request_error", "invalid_request", "The request is not valid for this model."),
    401: ("invalid_request_error", "invalid_api_key", "The API key is not correct."),
    402: ("billing_error", "insufficient_balance", "The account has no credit left."),
    403: ("permission_error", "permission_denied", "This key may not use this model."),
    404: ("invalid_request_error", "model_not_found", "There is no such model, or this key may not use it."),
    408: ("timeout", "request_timeout", "The request took too long."),
    409: ("conflict", "conflict", "The request met another one; try again."),
    413: ("invalid_request_error", "request_too_large", "The request is too large."),
    429: ("rate_limit_error", "rate_limit_exceeded", "Too many requests: slow down."),
    503: ("overloaded_error", "overloaded", "The model is overloaded at the moment; try again later."),
}
_SERVER_ERROR = ("server_error", "internal_error", "The server had an error while it worked on the request.")
_INSUFFICIENT_QUOTA = "insufficient_quota"


class Refusal(Struct, frozen=True):
    """An error status and what goes with it.

    `kind` is the `type` of its body, `retry_after` is in seconds, `param` names what is wrong in the request.
    """

    status: int
    kind: str
    code: str
    message: str
    retry_after: float | None = None
    param: str | None = None

    def error(self, model: str, request_id: str | None = None, allowance: Allowance | None = None) -> CallError:
        """The typed error this status stands for."""
        cls = self._error_class()
        message = f"sim:{model}: {self.status}: {self.message}"
        return cls(
            message, status=self.status, request_id=request_id, retry_after=self.retry_after, allowance=allowance
        )

    def _error_class(self) -> type[CallError]:
        if self.code == _INSUFFICIENT_QUOTA:
            return QuotaError
        known: dict[int, type[CallError]] = {
            401: AuthError, 402: QuotaError, 403: AuthError, 408: ServerError, 409: ServerError, 429: RateLimited,
        }  # fmt: skip
        return known.get(self.status, ServerError if self.status >= 500 else RequestError)


def refusal(status: int, *, retry_after: float | None = None) -> Refusal:
    """What a provider says with this status."""
    fallback = _SERVER_ERROR if status >= 500 else _SAID[400]
    kind, code, message = _SAID.get(status, fallback)
    return Refusal(status, kind, code, message, retry_after)


def out_of_quota() -> Refusal:
    """The 429 that waiting does not help."""
    return Refusal(429, _INSUFFICIENT_QUOTA, _INSUFFICIENT_QUOTA, "The quota is used up; check plan and billing.")


def rate_limited(what: str, limit: float, retry_after: float | None) -> Refusal:
    """The 429 of a limit; `what` is `requests` or `tokens`; without a time it tells as little as it can."""
    if retry_after is None:
        return refusal(429)
    message = f"Rate limit reached: {limit:g} {what} per min. Please try again in {retry_after:.3f} s."
    return Refusal(429, what, "rate_limit_exceeded", message, retry_after)


def bad_request(message: str, param: str | None = None) -> Refusal:
    """The 400 for a body that is no chat-completions request."""
    return Refusal(400, "invalid_request_error", "invalid_request", message, param=param)
