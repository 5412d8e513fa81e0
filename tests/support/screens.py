"""A terminal with a screen: `stretto` behind a pseudo-terminal, and what somebody in front of it would see."""

import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from fcntl import ioctl
from typing import Self

import pyte

from terminal import Begun, Terminal

_PATIENCE = 60.0  # seconds that anything may take


class Seat:
    """Runs `stretto` at a screen of so many columns and lines; with `out` its stdout is a pipe instead.

    `installed`: it is the program from its first line on, a child of this process, whatever is in `environ`.
    """

    def __init__(
        self,
        terminal: Terminal,
        *args: str,
        columns: int = 80,
        lines: int = 24,
        out: bool = False,
        environ: Mapping[str, str] | None = None,
        installed: bool = False,
    ) -> None:
        self._ours, theirs = pty.openpty()
        self.screen = pyte.HistoryScreen(columns, lines, history=10_000, ratio=0.5)
        self._stream = pyte.ByteStream(self.screen)
        self.raw = b""
        self._set_size(columns, lines)

        names = {name: value for name, value in terminal.environ.items() if name != "COLUMNS"}
        names |= {"TERM": "xterm-256color", **(environ or {})}
        streams = {"stdin": theirs, "stdout": subprocess.PIPE if out else theirs, "stderr": theirs}
        self.child: Begun = terminal.child(*args, environ=names, installed=installed, session=True, **streams)
        os.close(theirs)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.child.poll() is None:
            self.child.kill()
        self.child.wait()
        if self.child.stdout:
            self.child.stdout.close()
        os.close(self._ours)

    def until(self, seen: str | Callable[[str], bool]) -> str:
        """Watch until something is to be seen on the screen; what there is then."""
        wanted = (lambda text: seen in text) if isinstance(seen, str) else seen
        end = time.monotonic() + _PATIENCE
        while not wanted(self.text):
            assert time.monotonic() < end, f"never seen: {seen}\n{self.everything}"
            if not self._read(0.05) and self.child.poll() is not None and not wanted(self.text):
                self._drain()
                assert wanted(self.text), f"ended without: {seen}\n{self.everything}"
        return self.text

    def end(self) -> int:
        """Watch until the command has ended; its exit code."""
        end = time.monotonic() + _PATIENCE
        while self.child.poll() is None:
            assert time.monotonic() < end, self.everything
            self._read(0.05)
        self._drain()
        return self.child.wait()

    def write(self, text: str) -> None:
        """Type something."""
        os.write(self._ours, text.encode())

    def resize(self, columns: int, lines: int) -> None:
        """Pull at a corner of the window."""
        self.screen.resize(lines, columns)
        self._set_size(columns, lines)
        with suppress(ProcessLookupError):
            os.kill(self.child.pid, signal.SIGWINCH)

    @property
    def text(self) -> str:
        """What is on the screen."""
        return "\n".join(line.rstrip() for line in self.screen.display).rstrip()

    @property
    def everything(self) -> str:
        """What has scrolled away, and what is on the screen."""
        columns = self.screen.columns
        above = ["".join(line[x].data for x in range(columns)).rstrip() for line in self.screen.history.top]
        return "\n".join([*above, self.text])

    @property
    def out(self) -> str:
        """What the pipe that is stdout has, once the command has ended."""
        assert self.child.stdout
        return self.child.stdout.read().decode()

    @property
    def cursor_hidden(self) -> bool:
        return self.screen.cursor.hidden

    def _set_size(self, columns: int, lines: int) -> None:
        ioctl(self._ours, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def _read(self, patience: float) -> bool:
        if not select.select([self._ours], [], [], patience)[0]:
            return False
        try:
            piece = os.read(self._ours, 65_536)
        except OSError:  # Linux: the other side was closed
            return False
        self.raw += piece
        self._stream.feed(piece)
        return bool(piece)

    def _drain(self) -> None:
        while self._read(0.05):
            pass
