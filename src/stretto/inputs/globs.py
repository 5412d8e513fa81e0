"""The files that a glob means: as `glob` finds them, but through no link that the pattern does not name itself."""

import glob
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from stretto.inputs.patterns import Part, part


def files_matching(pattern: str) -> Iterator[Path]:
    """Every file that a pattern means (`*`, `?`, `[…]`, `**`), each once; hidden ones only where it says the dot.

    What stands before the first such sign is taken as it is named, a link too; from there on links are left out, for
    they may lead out of the folder, or in a circle.
    """
    names = Path(pattern).parts
    first = next(number for number, name in enumerate(names) if glob.has_magic(name))
    if pattern.endswith("/") or ".." in names[first:]:  # it means folders, or goes back through what it found
        return
    parts = [(name.startswith("."), part(name, escapes=False)) for name in names[first:]]
    once = [each for each, before in zip(parts, [None, *parts], strict=False) if each != before or each[1]]
    yield from dict.fromkeys(_below(Path(*names[:first]), once))


def _below(folder: Path, parts: Sequence[tuple[bool, Part]]) -> Iterator[Path]:
    (hidden, fits), *rest = parts
    if fits is None and rest:  # no folder at all
        yield from _below(folder, rest)
    for entry in _entries(folder, hidden=hidden):
        deeper = parts if fits is None else rest
        if fits is not None and not fits(entry.name):
            continue
        if entry.is_dir(follow_symlinks=False):
            if deeper:
                yield from _below(folder / entry.name, deeper)
        elif not rest and entry.is_file():
            yield folder / entry.name


def _entries(folder: Path, *, hidden: bool) -> list[os.DirEntry[str]]:
    """What is in a folder, but for links and (unless wanted) hidden ones; nothing if it is none, or none of ours."""
    try:
        with os.scandir(folder) as entries:
            return [each for each in entries if not each.is_symlink() and (hidden or not each.name.startswith("."))]
    except OSError:
        return []
