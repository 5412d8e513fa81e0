"""The terminal a person sits at: lines they write, and an editor for them, while the event loop goes on."""

import asyncio
import contextlib
import os
import shlex
import sys
import tempfile
from pathlib import Path
from typing import Self

from stretto.cli.screen import say

_MOST = 65_536  # bytes of one line


class Console:
    """Reads from the terminal at `fd`, whatever standard input and output are."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    @classmethod
    def found(cls) -> Self | None:
        """The terminal, if there is one and it shows what goes to stderr."""
        if not sys.stderr.isatty():
            return None
        if sys.stdin.isatty():
            return cls(sys.stdin.fileno())
        try:
            fd = os.open("/dev/tty", os.O_RDWR | getattr(os, "O_NOCTTY", 0))
        except OSError:
            return None
        return cls(fd)

    def show(self, text: str) -> None:
        """Write a text to stderr, without anything that a terminal would obey."""
        with contextlib.suppress(OSError):
            sys.stderr.write("".join(letter for letter in text if letter.isprintable() or letter == "\n"))
            sys.stderr.flush()

    async def line(self, prompt: str) -> str | None:
        """What is written after the prompt, without its end; None if nothing more will be (Ctrl-D)."""
        self.show(prompt)
        read = (await self._readable()).decode("utf-8", "replace")
        if not read:
            self.show("\n")
            return None
        return read.rstrip("\r\n")

    async def agrees(self, question: str) -> bool:
        """Whether the answer to a question is yes."""
        return (await self.line(question) or "").strip().lower() in {"y", "yes"}

    async def _readable(self) -> bytes:
        """The next line: a terminal gives one at a time."""
        loop = asyncio.get_running_loop()
        ready = asyncio.Event()
        try:
            loop.add_reader(self._fd, ready.set)
        except NotImplementedError:  # Windows: nothing is under way, so nothing waits for the loop either
            return os.read(self._fd, _MOST)
        try:
            await ready.wait()
            return os.read(self._fd, _MOST)
        except OSError:  # the terminal is gone
            return b""
        finally:
            loop.remove_reader(self._fd)

    async def edited(self, text: bytes, suffix: str) -> bytes | None:
        """The text as it comes back from `$VISUAL` or `$EDITOR`; None if there is no such editor, or it failed."""
        editor = os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
        # It draws on the terminal, even if stdout is a file.
        screen = sys.stderr.fileno() if self._fd == sys.stdin.fileno() else self._fd
        with tempfile.TemporaryDirectory(prefix="stretto-") as folder:  # which only its owner can read
            path = Path(folder) / f"plan{suffix}"
            path.write_bytes(text)
            try:
                command = [*shlex.split(editor), str(path)]
                child = await asyncio.create_subprocess_exec(*command, stdin=self._fd, stdout=screen)
            except (OSError, ValueError) as error:
                say(f"{editor}: cannot be started: {error}; set VISUAL or EDITOR to an editor")
                return None
            try:
                code = await child.wait()
            finally:
                if child.returncode is None:
                    child.terminate()
            if code:
                say(f"{editor}: ended with exit code {code}; nothing was changed")
                return None
            return path.read_bytes()
