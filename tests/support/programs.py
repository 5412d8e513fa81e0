"""`stretto`, `python` and `pytest` for a shell: each call of one is a fork of a process that has its imports made."""

import os
import shutil
import socket
import sys
import tempfile
from pathlib import Path
from threading import Thread
from typing import Self

from forked import Child

NAMES = ("stretto", "python", "pytest")
_ASKS = """#!{python} -IS
# Asks for a fork that has this one's streams, folder and environment, and ends as it does.
import _socket, os, struct, sys
asked = _socket.socket(_socket.AF_UNIX)
asked.connect({place!r})
words = [*map(os.fsencode, [{name!r}, os.getcwd(), str(len(sys.argv) - 1), *sys.argv[1:]])]
words += (name + b"=" + value for name, value in os.environb.items())
asked.sendmsg([b"\\0"], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, struct.pack("3i", 0, 1, 2))])
asked.sendall(b"\\0".join(words))
asked.shutdown(_socket.SHUT_WR)
os._exit((asked.recv(1) or b"\\xff")[0])
"""


class Programs:
    """A folder of programs for PATH, for as long as this is open."""

    def __enter__(self) -> Self:
        self.folder = Path(tempfile.mkdtemp(prefix="programs-"))  # a socket's path has a hundred characters at the most
        place = str(self.folder / "asked")
        for name in NAMES:
            (self.folder / name).write_text(_ASKS.format(python=sys.executable, name=name, place=place))
            (self.folder / name).chmod(0o755)
        self._door = socket.socket(socket.AF_UNIX)
        self._door.bind(place)
        self._door.listen()
        Thread(target=self._open, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._door.shutdown(socket.SHUT_RDWR)
        self._door.close()
        shutil.rmtree(self.folder)

    def _open(self) -> None:
        while True:
            try:
                asked, _ = self._door.accept()
            except OSError:  # it is closed
                return
            Thread(target=_answer, args=(asked,), daemon=True).start()


def _answer(asked: socket.socket) -> None:
    with asked:
        _, streams, *_ = socket.recv_fds(asked, 1, 3)
        name, folder, count, *words = map(os.fsdecode, _all(asked).split(b"\0"))
        arguments, environ = words[: int(count)], dict(word.split("=", 1) for word in words[int(count) :])
        feed, out, err = streams
        child = Child(arguments, Path(folder), environ, stdin=feed, stdout=out, stderr=err, program=name)
        for stream in streams:
            os.close(stream)
        code = child.wait()
        asked.sendall(bytes([code if code >= 0 else 128 - code]))


def _all(asked: socket.socket) -> bytes:
    pieces = []
    while piece := asked.recv(65_536):
        pieces.append(piece)
    return b"".join(pieces)
