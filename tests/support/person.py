"""Somebody at a terminal, for tests."""

import os
import pty
import select
import time

from terminal import Terminal


class Person:
    """Somebody at a terminal, who sees what `stretto` says there and answers."""

    def __init__(self, terminal: Terminal, *args: str) -> None:
        self._fd, side = pty.openpty()
        environ = {**terminal.environ, "TERM": "dumb"}
        self._child = terminal.child(*args, environ=environ, session=True, stdin=side, stdout=side, stderr=side)
        os.close(side)
        self.seen = ""

    def waits_for(self, text: str) -> None:
        until = time.monotonic() + 30
        while text not in self.seen and time.monotonic() < until and (piece := self._some()) is not None:
            self.seen += piece
        assert text in self.seen, self.seen

    def types(self, line: str) -> None:
        os.write(self._fd, line.encode() + b"\n")

    def ends(self) -> int:
        while (piece := self._some()) is not None:
            self.seen += piece
        os.close(self._fd)
        return self._child.wait(30)

    def _some(self) -> str | None:
        select.select([self._fd], [], [], 30)
        try:
            return os.read(self._fd, 65536).decode("utf-8", "replace") or None
        except OSError:  # Linux says so when the other side is closed
            return None
