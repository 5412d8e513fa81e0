"""Signals that ask a process to end: Ctrl-C, an end that is asked for, and a terminal that is gone."""

import asyncio
import signal
from collections.abc import Callable
from contextlib import suppress


def obey(then: Callable[..., object], *args: object) -> None:
    """Call this whenever one comes, until `disobey`.

    Where the loop takes no signal handlers (Windows), Ctrl-C raises KeyboardInterrupt as everywhere.
    """
    with suppress(NotImplementedError):
        for number in _endings():
            asyncio.get_running_loop().add_signal_handler(number, then, *args)


def disobey() -> None:
    """Whoever comes next does as Python does by itself."""
    with suppress(NotImplementedError):
        for number in _endings():
            asyncio.get_running_loop().remove_signal_handler(number)


def _endings() -> list[signal.Signals]:
    found = [signal.SIGINT, signal.SIGTERM]
    hangup = getattr(signal, "SIGHUP", None)
    return found if hangup is None or signal.getsignal(hangup) is signal.SIG_IGN else [*found, hangup]  # nohup
