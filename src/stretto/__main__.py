"""The command `stretto`, and `python -m stretto`: what is needed until there is something that could be stopped."""

import gc
import os
import sys

_INTERRUPTED = 130


def main() -> None:
    """The command line. Ctrl-C before a command has begun, or after its end, ends the program without a word."""
    gc.disable()  # what is imported stays for ever: to look for garbage in it took a quarter of a short run's time
    sys.excepthook = _end_quietly
    import signal  # takes its time

    obeys = signal.getsignal(signal.SIGINT) is signal.default_int_handler  # else whoever started it wants no Ctrl-C
    if obeys:
        signal.signal(signal.SIGINT, _end)
    from stretto.cli import main as command  # takes its time, too

    def begin() -> None:
        gc.freeze()
        gc.enable()
        if obeys:
            signal.signal(signal.SIGINT, signal.default_int_handler)

    try:
        command(begin)
    finally:
        if obeys:
            signal.signal(signal.SIGINT, _end)


def _end(*_: object) -> None:
    # At once: an exception would come up in the midst of an import, where it may be taken for something else.
    os._exit(_INTERRUPTED)


def _end_quietly(kind: type[BaseException], error: BaseException, *trace: object) -> None:
    if kind is KeyboardInterrupt:
        _end()
    sys.__excepthook__(kind, error, *trace)  # type: ignore[arg-type]


if __name__ == "__main__":
    main()
