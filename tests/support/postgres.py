"""A PostgreSQL server of a test's own, in a folder of its own; not as root, whom it refuses."""

import os
import shutil
import socket
import subprocess
from contextlib import suppress
from pathlib import Path

_FOUND = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: int(folder.parent.name))


class Postgres:
    """A server at a free port of this machine; `url` names a fresh database with each call."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._binaries = _FOUND[-1] if _FOUND else Path(shutil.which("initdb") or "/").parent
        self._count = 0
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        folder.mkdir(mode=0o755, parents=True)
        if os.getuid() == 0:
            for each in (folder, *folder.parents):  # the server's user comes this far
                if each == Path("/tmp") or each.stat().st_uid != 0:  # noqa: S108 - pytest's own folders lie in it
                    break
                each.chmod(each.stat().st_mode | 0o055)
            shutil.chown(folder, "postgres")
        self._do("initdb", "-D", str(folder / "data"), "--no-sync", "-A", "trust", "-U", "stretto", "-E", "UTF8")

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
