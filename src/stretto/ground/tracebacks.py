"""Errors as whoever calls us sees them: at the line that called, without the frames in which they came about."""

import contextlib
from types import TracebackType

from stretto.errors import StrettoError


class _WithoutFrames(contextlib.ContextDecorator):
    """As a decorator or in a `with`: a `StrettoError` that leaves it says what is wrong, and shows no engine."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, _: object, error: BaseException | None, __: TracebackType | None) -> None:
        """Cut the frames, of the causes that are ours as well; all others are gone, for the message says it."""
        while isinstance(error, StrettoError):
            error.__traceback__ = None
            if not isinstance(error.__cause__, StrettoError):
                error.__cause__ = None
            error.__context__, error.__suppress_context__ = None, True
            error = error.__cause__


without_frames = _WithoutFrames()
"""What every public door stands in."""
