"""`stretto` as a child process that has its imports behind it: they take ten times as long as most commands.

A server of `multiprocessing` makes them once and forks for each command. A child has what the installed program has: a
process, a folder, an environment and pipes of its own.
"""

import multiprocessing
import os
import pkgutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from multiprocessing import forkserver
from multiprocessing.connection import Connection, wait
from pathlib import Path
from threading import Lock
from typing import IO, Any, Self

import stretto
from command import carry_out

_ONE = Lock()  # an exit code can be read once: two threads that asked for it at once would have one between them
_PATIENCE = 120.0  # seconds that a command may take
Stream = int | IO[Any]
"""A descriptor or an open file; `subprocess.PIPE`, or `subprocess.DEVNULL`."""
_LEFT_OUT = ("stretto.__main__", "stretto.models.local", "stretto.testing")  # no command of a test's needs them
_NAMES = [found.name for found in pkgutil.walk_packages(stretto.__path__, "stretto.")]
IMPORTED = ["aiohttp.web", "rich.console", "rich.markdown", *(n for n in _NAMES if not n.startswith(_LEFT_OUT))]
"""What there is to import before a command begins."""

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["pytest", "stretto.__main__", *IMPORTED, "warmed"])


class Child:
    """A command under way, with what `subprocess.Popen` has: its streams, its end and its exit code.

    `session`: it leads a session of its own, and the terminal that is its standard error is the one it is steered from.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        folder: Path,
        environ: Mapping[str, str],
        *,
        stdin: Stream = subprocess.DEVNULL,
        stdout: Stream = subprocess.PIPE,
        stderr: Stream = subprocess.PIPE,
        session: bool = False,
        program: str = "stretto",
    ) -> None:
        self.args = list(arguments)
        self.returncode: int | None = None
        feed, self.stdin = _ends(stdin, "wb")
        out, self.stdout = _ends(stdout, "rb")
        err, self.stderr = _ends(stderr, "rb")
        told = (program, self.args, str(folder), dict(environ), session, feed, out, err)
        self._process = _FORKS.Process(target=carry_out, args=told)
        with _ONE:  # whoever starts a process asks after all others, too
            _serve()
            self._process.start()
        for end in (feed, out, err):
            end.close()
        assert self._process.pid is not None
        self.pid: int = self._process.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for stream in (self.stdin, self.stdout, self.stderr):
            if stream:
                stream.close()
        self.wait()

    def poll(self) -> int | None:
        """The exit code, if it has ended."""
        with _ONE:
            self.returncode = self._process.exitcode
        return self.returncode

    def wait(self, timeout: float = _PATIENCE) -> int:
        """The exit code, once it has ended."""
        wait([self._process.sentinel], timeout)
        code = self.poll()
        assert code is not None, f"{self.args}: not over after {timeout:g} s"
        return code

    def communicate(self, fed: bytes = b"", timeout: float = _PATIENCE) -> tuple[bytes, bytes]:
        """What it writes until its end; it is killed if that does not come."""
        with ThreadPoolExecutor(3) as threads:
            feeding = threads.submit(_feed, self.stdin, fed)
            out, err = (threads.submit(_read, stream) for stream in (self.stdout, self.stderr))
            wait([self._process.sentinel], timeout)
            if late := self.poll() is None:
                self.kill()
        assert not late, f"{self.args}: not over after {timeout:g} s: {err.result().decode()}"
        feeding.result()
        return out.result(), err.result()

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            with suppress(ProcessLookupError):  # it ends just now, and who forked it has asked for that already
                os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def forked(
    arguments: Sequence[str], folder: Path, environ: Mapping[str, str], stdin: bytes = b""
) -> tuple[int, bytes, bytes]:
    """The exit code, standard output and standard error of `stretto` with these arguments."""
    child = Child(arguments, folder, environ, stdin=subprocess.PIPE)
    out, err = child.communicate(stdin)
    return child.wait(), out, err


def python(
    *words: str | Path, folder: Path | None = None, environ: Mapping[str, str] | None = None
) -> "subprocess.CompletedProcess[str]":
    """What `python` does with these words: `-c` and a text, `-m` and a module, or a file."""
    child = python_begun(*words, folder=folder, environ=environ, stderr=subprocess.PIPE)
    out, err = child.communicate()
    return subprocess.CompletedProcess(child.args, child.wait(), out.decode(), err.decode())


def python_begun(
    *words: str | Path,
    folder: Path | None = None,
    environ: Mapping[str, str] | None = None,
    stdin: Stream = subprocess.DEVNULL,
    stdout: Stream = subprocess.PIPE,
    stderr: Stream = 2,
) -> Child:
    """The same, under way; what it says on standard error is the tests' own, unless it is asked for."""
    told, place, world = [str(word) for word in words], folder or Path.cwd(), os.environ if environ is None else environ
    return Child(told, place, world, stdin=stdin, stdout=stdout, stderr=stderr, program="python")


def _serve() -> None:
    """Start what forks, if it is not there yet: a process of its own, that looks for `warmed` where this file is."""
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.path.dirname(__file__)  # noqa: PTH120
    try:
        forkserver.ensure_running()
    finally:
        del os.environ["PYTHONPATH"]
        if before is not None:
            os.environ["PYTHONPATH"] = before


def _ends(stream: Stream, mode: str) -> tuple[Connection, IO[bytes] | None]:
    """A child's end of a stream, and ours if it is a pipe; `mode` is what we do there."""
    if stream == subprocess.PIPE:
        reads, writes = os.pipe()
        ours, theirs = (reads, writes) if mode == "rb" else (writes, reads)
        return Connection(theirs), os.fdopen(ours, mode)
    if stream == subprocess.DEVNULL:
        return Connection(os.open(os.devnull, os.O_RDWR)), None
    return Connection(os.dup(stream if isinstance(stream, int) else stream.fileno())), None


def _feed(end: IO[bytes] | None, data: bytes) -> None:
    if end:
        with suppress(BrokenPipeError), end:
            end.write(data)  # not every command reads it


def _read(end: IO[bytes] | None) -> bytes:
    if not end:
        return b""
    with end:
        return end.read()
