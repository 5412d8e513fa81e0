"""A PostgreSQL server of a test's own, in a folder of its own; not as root, whom it refuses."""

import os
import shutil
import socket
import subprocess
from contextlib import suppress
from pathlib import Path
from tempfile import mkdtemp
from typing import Self

_FOUND = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: int(folder.parent.name))


class Postgres:
    """A server at a free port of this machine, in a folder of its own; used as `with`.

    Not in one of pytest's: each pytest that begins makes those its user's only, and the server has another user.
    """

    def __init__(self) -> None:
        self.folder = Path(mkdtemp(prefix="stretto-postgres-"))
        self._binaries = _FOUND[-1] if _FOUND else Path(shutil.which("initdb") or "/").parent
        self._count = 0
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        if os.getuid() == 0:
            shutil.chown(self.folder, "postgres")
        self._do("initdb", "-D", str(self.folder / "data"), "--no-sync", "-A", "trust", "-U", "stretto", "-E", "UTF8")

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop("immediate")
        shutil.rmtree(self.folder)

    def start(self) -> None:
        """Start it, and wait until it answers."""
        settings = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off"
        log = str(self.folder / "log")
        self._do("pg_ctl", "-D", str(self.folder / "data"), "-l", log, "-w", "-o", settings, "start")

    def stop(self, mode: str = "fast") -> None:
        """Stop it; `immediate`: as a crash does."""
        with suppress(subprocess.CalledProcessError):
            self._do("pg_ctl", "-D", str(self.folder / "data"), "-w", "-m", mode, "stop")

    def database(self) -> str:
        """The address of a new database."""
        self._count += 1
        name = f"runs_{os.getpid()}_{self._count}"
        self._do("createdb", "-h", "127.0.0.1", "-p", str(self.port), "-U", "stretto", name)
        return f"postgresql://stretto@127.0.0.1:{self.port}/{name}"

    def _do(self, program: str, *arguments: str) -> None:
        command = [str(self._binaries / program), *arguments]
        if os.getuid() == 0:
            command = ["runuser", "-u", "postgres", "--", *command]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd="/")
