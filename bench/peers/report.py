"""The table in Markdown, and its place in a document."""

import os
import platform
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from bench.peers.environments import Environment, Peer
from bench.peers.setting import Row

WHOLE, DOOR = (
    f"<!-- begin: `python -m bench.peers {what}` writes what follows -->" for what in ("--write", "--door --write")
)
"""What stands before the table in a document, and before that of what is behind the door."""
END = "<!-- end -->"


def heading(command: str, peers: Sequence[tuple[Peer, Environment]], absent: Mapping[str, str]) -> str:
    """When, how and where it was measured, and the versions; `absent`: why a peer is not there."""
    date = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    machine = f"{os.cpu_count()} cores, Python {platform.python_version()}, {platform.system()} {platform.machine()}"
    load = f", load {os.getloadavg()[0]:.1f} before it began" if hasattr(os, "getloadavg") else ""
    versions = "; ".join(f"{peer.title}: {', '.join(place.versions)}" for peer, place in peers)
    lines = [f"Measured {date} with `{command}`, on {machine}{load}.", "", f"Versions: {versions}."]
    lines += [f"\n{title} could not be installed: {why}" for title, why in absent.items()]
    return "\n".join(lines)


def table(peers: Sequence[Peer], rows: Sequence[Row]) -> str:
    """All rows under the peers' titles."""
    head = [_line("", *(peer.title for peer in peers)), _line(*["---"] * (len(peers) + 1))]
    return "\n".join([*head, *(line(peers, row) for row in rows)])


def line(peers: Sequence[Peer], row: Row) -> str:
    """One row; a peer without a cell has an empty one."""
    what = row.what.replace("  ", "&emsp;", 1) if row.what.startswith("  ") else row.what
    return _line(what, *(row.cells.get(peer.name, "") for peer in peers))


def marked(path: Path, begin: str) -> bool:
    """Whether this is a document with this mark, and one of its end."""
    return path.is_file() and re.search(f"{re.escape(begin)}.*{re.escape(END)}", _read(path), re.DOTALL) is not None


def write(path: Path, begin: str, text: str) -> None:
    """Put the text between the two marks of a document that has them."""
    before, rest = _read(path).split(begin, 1)
    after = rest.split(END, 1)[1]
    path.write_text(f"{before}{begin}\n\n{text}\n\n{END}{after}", encoding="utf-8")


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def _line(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
