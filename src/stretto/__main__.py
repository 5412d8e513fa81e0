"""The command `stretto`, and `python -m stretto`: what is needed until there is something that could be stopped."""

import os
import signal
from types import FrameType

_INTERRUPTED = 130


def main() -> None:
    """The command line. Ctrl-C before a command has begun, or after its end, ends the program without a word."""
    obeys = signal.getsignal(signal.SIGINT) is signal.default_int_handler  # else whoever started it wants no Ctrl-C
    if obeys:
        signal.signal(signal.SIGINT, _end)
    from stretto.cli import main as command  # takes its time

    try:
        command(lambda: signal.signal(signal.SIGINT, signal.default_int_handler) if obeys else None)
    finally:
        if obeys:
            signal.signal(signal.SIGINT, _end)


def _end(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - what a signal handler is given
    # At once: an exception would come up in the midst of an import, and with a traceback.
    os._exit(_INTERRUPTED)


if __name__ == "__main__":
    main()
