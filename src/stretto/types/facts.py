"""What there is to an error beside its class and its message, for programs, as logs keep it."""

from msgspec import Struct

from stretto.errors import CallError, StrettoError


class Facts(Struct, frozen=True, omit_defaults=True):
    """What programs read of an error beside its class: what `stretto.errors.CallError` says of these.

    - `status`: the HTTP status of the answer.
    - `context`: tokens that the model takes, request and reply together.
    - `binding`: the limits of the run that are to be raised, `budget` and `tokens`.
    """

    status: int | None = None
    context: int | None = None
    binding: tuple[str, ...] = ()


def facts_of(error: StrettoError) -> Facts | None:
    """What a log keeps of an error for programs; None if that is nothing."""
    if not isinstance(error, CallError) or not (error.status or error.context or error.binding):
        return None
    return Facts(error.status, error.context, error.binding)


def error_of(kind: type[StrettoError], message: str, facts: Facts | None) -> StrettoError:
    """An error that was recorded, as it was when it was raised."""
    error = kind(message)
    if facts is not None and isinstance(error, CallError):
        error.status, error.context, error.binding = facts.status, facts.context, facts.binding
    return error
