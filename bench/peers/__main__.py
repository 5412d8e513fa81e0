"""`python -m bench.peers`: print the table, or write it into a document."""

import argparse
import shlex
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from bench.__main__ import permit_files
from bench.peers import door, figures, mishaps, report
from bench.peers.environments import PEERS, Environment, NotInstalledError, Peer, here, made
from bench.peers.setting import Part, Row, Setting
from bench.processes import ROOT

_FIGURES: dict[str, Callable[[Setting], Part]] = {
    "speed": figures.speed,
    "uneven": figures.uneven,
    "limited": figures.limited,
    "memory": figures.memory,
}
_PARTS = {**_FIGURES, **mishaps.PARTS}
_FAULTS = "faults"
_SECONDS = 25 * 60
_DOCUMENT = ROOT / "docs" / "peers.md"


def main() -> None:
    """Measure what was asked for, of those that were asked for."""
    parser = _parser()
    given = parser.parse_args()
    chosen = [name for names in given.only for name in names.split(",")]
    known = {peer.name: peer for peer in PEERS}
    if unknown := [name for name in chosen if name not in {*known, *_PARTS, _FAULTS}]:
        parser.error(f"--only: {unknown[0]!r} is none of {', '.join([*known, *_PARTS, _FAULTS])}")
    if given.write == _DOCUMENT and (chosen or given.quick or given.here or given.workers):
        parser.error("--write: the document has the whole table; with a part of it, name another file")
    begin = report.DOOR if given.door else report.WHOLE
    if given.write and not report.marked(given.write, begin):
        parser.error(f"--write: {given.write} needs a line {begin!r} and after it one {report.END!r}")
    peers = [peer for peer in PEERS if peer.name in chosen or not known.keys() & set(chosen)]
    if given.door:
        peers = [peer for peer in peers if peer.name != "stretto"]
    if given.here:
        peers = [peer for peer in peers if peer.pins is None]
    parts = [door.behind] if given.door else [part for name, part in _PARTS.items() if _is_chosen(name, chosen)]
    permit_files()
    places, absent = _places(peers, here_only=given.here)
    command = shlex.join(["uv", "run", "python", "-m", "bench.peers", *sys.argv[1:]])
    top = report.heading(command, places, absent)
    present = [peer for peer, _ in places]
    print(f"{top}\n\n{report.table(present, [])}", flush=True)
    if not present:
        sys.exit(1)
    setting = Setting(tuple(places), given.quick, time.monotonic() + _SECONDS, given.workers)
    rows: list[Row] = []
    for part in parts:
        for row in part(setting):
            print(report.line(present, row), flush=True)
            rows.append(row)
    if given.write:
        report.write(given.write, begin, f"{top}\n\n{report.table(present, rows)}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.peers", description="The same job with Stretto and others.")
    parser.add_argument("--quick", action="store_true", help="fewer workers and rounds: some five minutes")
    parser.add_argument(
        "--only", action="append", default=[], metavar="PEER,PART", help="only these peers, these parts, or both"
    )
    parser.add_argument("--door", action="store_true", help="others, unchanged, behind `stretto serve` (10 minutes)")
    parser.add_argument("--workers", type=int, metavar="N", help="so many workers in every part")
    parser.add_argument("--here", action="store_true", help="Stretto and the bare loop in this environment only")
    parser.add_argument(
        "--write", nargs="?", type=Path, const=_DOCUMENT, metavar="FILE", help="into docs/peers.md, or FILE"
    )
    return parser


def _is_chosen(part: str, chosen: Sequence[str]) -> bool:
    if not {*_PARTS, _FAULTS} & set(chosen):
        return True
    return part in chosen or (_FAULTS in chosen and part in mishaps.PARTS)


def _places(peers: Sequence[Peer], *, here_only: bool) -> tuple[list[tuple[Peer, Environment]], dict[str, str]]:
    """The environments, and why those that could not be made are absent."""
    places, absent = list[tuple[Peer, Environment]](), dict[str, str]()
    for peer in peers:
        print(f"environment: {peer.title}", file=sys.stderr, flush=True)
        try:
            places.append((peer, here(peer) if here_only else made(peer)))
        except NotInstalledError as error:
            absent[peer.title] = str(error)
    return places, absent


if __name__ == "__main__":
    main()
