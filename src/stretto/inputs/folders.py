"""The files in a folder that are meant: without hidden ones, links, and what .gitignore names."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from stretto.inputs.ignoring import Rules, rules_in

_FILES = (".gitignore", ".git/info/exclude")


class Ignored:
    """What the .gitignore files of a folder, of those above it in its repository, and of those on the way, name.

    As git has it (https://git-scm.com/docs/gitignore): the file nearest decides, and the last line of it that matches.
    """

    def __init__(self, folder: Path) -> None:
        self._rules: dict[Path, list[Rules]] = {}
        here = folder.resolve()
        tops = [each for each in (here, *here.parents) if (each / ".git").exists()]
        self._top = tops[0] if tops else here
        if tops and self.above(here):  # who names an ignored folder wants it
            self._top = here

    def names(self, path: Path, *, folder: bool) -> bool:
        """Whether a path (absolute, in the folder) is ignored; what is above it is taken not to be."""
        place = path.parent
        while place.is_relative_to(self._top):
            written = list(path.relative_to(place).parts)
            for rules in self._of(place):
                if (decided := rules.decide(written, folder=folder)) is not None:
                    return decided
            place = place.parent
            if place == place.parent:
                break
        return False

    def above(self, path: Path) -> bool:
        """Whether a path or a folder above it is ignored."""
        chain = [each for each in path.parents if each != self._top and each.is_relative_to(self._top)]
        return any(self.names(each, folder=True) for each in chain) or self.names(path, folder=path.is_dir())

    def _of(self, place: Path) -> list[Rules]:
        if place not in self._rules:
            self._rules[place] = [rules_in(place / name) for name in _FILES if (place / name).is_file()]
        return self._rules[place]


def files_in(folder: Path) -> Iterator[Path | str]:
    """Every file in a folder and those below it, in the order of names; a text says what was left out and why."""
    ignored, start = Ignored(folder), folder.resolve()
    yield from _below(folder, start, ignored)


def kept(paths: Iterable[Path]) -> Iterator[Path]:
    """Of the files that a glob found, those that .gitignore does not name."""
    known: dict[Path, Ignored] = {}
    for path in paths:
        place = path.resolve()
        if place.parent not in known:
            known[place.parent] = Ignored(place.parent)
        if not known[place.parent].above(place):
            yield path


def _below(folder: Path, place: Path, ignored: Ignored) -> Iterator[Path | str]:
    with os.scandir(place) as entries:
        found = sorted(entries, key=lambda entry: entry.name)
    for entry in found:
        is_folder = entry.is_dir(follow_symlinks=False)
        path = folder / entry.name
        if entry.name.startswith(".") or ignored.names(place / entry.name, folder=is_folder):
            continue
        if entry.is_symlink():
            yield f"{path}: left out: a link; name what it leads to"
        elif is_folder:
            yield from _below(path, place / entry.name, ignored)
        elif entry.is_file():
            yield path
        else:
            yield f"{path}: left out: no regular file"
