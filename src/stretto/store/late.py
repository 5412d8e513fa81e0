"""What a run says while another program holds its store: kept beside that, and taken in as soon as it is free.

So a run goes on, is stopped, and keeps its deadline, whoever holds the store and for how long. A file a run, of frames
with a checksum each; the end of one that was cut by a crash is not there, and nobody was told that it was.
"""

import errno
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from zlib import crc32

import msgspec
from msgspec import Struct

from stretto.store.database import Database, transaction
from stretto.store.locations import Location, Server
from stretto.store.rows import Entry, keep
from stretto.store.schema import beside, explain

_NONE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG})
_HEAD = 8  # bytes of a frame before what is in it: how many that are, and their checksum


class _Frame(Struct, frozen=True, omit_defaults=True):
    """Entries that were written together; `left`: the owner who carries the run no longer."""

    entries: list[Entry] = []
    left: str = ""


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Frame).decode


def put_by(path: Path, run: str, entries: Sequence[Entry]) -> None:
    """Keep entries of a run beside its store, on the disk; raises `StoreError`."""
    _append(path, run, _Frame(list(entries)))


def those_with(location: Location) -> list[str]:
    """The runs of a store of which something was put by; none of a server's ever is."""
    if isinstance(location, Server):
        return []
    try:
        return [entry.name for entry in beside(location, ".late").iterdir()]
    except OSError as error:
        if error.errno in _NONE:
            return []
        raise explain(location, error) from error


def waits(path: Path, run: str) -> bool:
    """Whether anything was put by of a run."""
    return _file(path, run).exists()


def left(path: Path, run: str, owner: str) -> None:
    """Keep beside the store that this owner carries the run no longer; raises `StoreError`."""
    _append(path, run, _Frame(left=owner))


def take_in(db: Database, path: Path, run: str) -> None:
    """Write what was put by of a run into its store, in one transaction; only for whoever carries the run."""
    if not waits(path, run):
        return
    with transaction(db):
        write(db, path, run)
    clear(path, run)


def write(db: Database, path: Path, run: str) -> None:
    """The same within the caller's transaction, who is to `clear` it away when that is on the disk."""
    if not (file := _file(path, run)).exists():
        return
    for frame in _frames(file):
        if frame.entries:
            keep(db, frame.entries, again=True)
        if frame.left:
            db.execute("DELETE FROM carriers WHERE run = ? AND owner = ?", (run, frame.left))


def clear(path: Path, run: str) -> None:
    """What was put by is in the store. After a crash before this, it is written again, and is there already."""
    _file(path, run).unlink(missing_ok=True)


def _file(path: Path, run: str) -> Path:
    return beside(path, ".late") / run


def _append(path: Path, run: str, frame: _Frame) -> None:
    folder = beside(path, ".late")
    data = _encode(frame)
    try:
        folder.mkdir(exist_ok=True, mode=0o700)
        new = not (folder / run).exists()
        number = os.open(folder / run, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        with open(number, "ab", closefd=True) as file:  # noqa: PTH123 - it is open already
            file.write(len(data).to_bytes(4, "big") + crc32(data).to_bytes(4, "big") + data)
            file.flush()
            os.fsync(file.fileno())
        if new:
            _settle(folder)
            _settle(folder.parent)
    except OSError as error:
        raise explain(path, error) from error


def _settle(folder: Path) -> None:
    """The names in a folder are on the disk."""
    if os.name == "nt":
        return  # folders cannot be opened there
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def _frames(file: Path) -> Iterator[_Frame]:
    with file.open("rb") as data:
        while len(head := data.read(_HEAD)) == _HEAD:
            body = data.read(int.from_bytes(head[:4], "big"))
            if crc32(body) != int.from_bytes(head[4:], "big"):
                return
            yield _decode(body)
