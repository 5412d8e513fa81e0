"""The files in a folder that are meant, without hidden ones, links, and what .gitignore names; and those of a glob."""

import glob
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from msgspec import Struct

from stretto.inputs.patterns import Part, fits, part

_FILES = (".gitignore", ".git/info/exclude")
_LARGEST = 100_000  # bytes of such a file
_MOST = 2_000  # patterns that are more than a name


class _Rule(Struct, frozen=True):
    """A line: whether what fits is `ignored` (else it is not, whatever stands above), and whether it means folders."""

    parts: tuple[Part, ...]
    ignored: bool
    folders: bool


class Rules:
    """The lines of a file; the last one that a path fits decides."""

    def __init__(self, lines: list[str]) -> None:
        self._names: dict[str, list[tuple[int, _Rule]]] = {}
        self._patterns: list[tuple[int, _Rule]] = []
        for number, line in enumerate(lines):
            pattern = _without_blanks(line)
            ignored = not pattern.startswith("!")
            pattern = pattern.removeprefix("!")
            if not pattern.strip("/") or line.startswith("#"):
                continue
            if not any(sign in pattern.rstrip("/") for sign in "/*?[\\"):  # a name, at any depth
                self._names.setdefault(pattern.rstrip("/"), []).append((number, _rule(pattern, ignored=ignored)))
            elif len(self._patterns) < _MOST:
                self._patterns.append((number, _rule(pattern, ignored=ignored)))
            else:
                raise ValueError(f"more than {_MOST:,} patterns in a .gitignore")

    def decide(self, names: list[str], *, folder: bool) -> bool | None:
        """Whether a path is ignored, by its names from where the file stands; None if nothing is said of it."""
        said, by = -1, None
        for number, rule in reversed(self._names.get(names[-1], ())):
            if folder or not rule.folders:
                said, by = number, rule
                break
        for number, rule in reversed(self._patterns):
            if number < said:
                break
            if (folder or not rule.folders) and fits(rule.parts, names):
                by = rule
                break
        return None if by is None else by.ignored


def rules_in(file: Path) -> Rules:
    """The rules in a file; raises `OSError`, or `ValueError` if there are too many to be looked at for every file."""
    with file.open("rb") as opened:
        data = opened.read(_LARGEST + 1)
    if len(data) > _LARGEST:
        raise ValueError(f"{file} has more than {_LARGEST:,} bytes, which is no .gitignore")
    return Rules(data.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "surrogateescape").split("\n"))


def _without_blanks(line: str) -> str:
    """The line without the blanks at its end, but for one that a backslash stands before."""
    line = line.removesuffix("\r")
    kept = line.rstrip(" ")
    backslashes = len(kept) - len(kept.rstrip("\\"))
    return line[: len(kept) + 1] if backslashes % 2 and len(kept) < len(line) else kept


def _rule(pattern: str, *, ignored: bool) -> _Rule:
    folders = pattern.endswith("/")
    written = pattern.rstrip("/") if folders else pattern
    names = written.removeprefix("/").split("/")
    if "/" not in written:
        names = ["**", *names] if names != ["**"] else ["*"]
    if names[-1] == "**":  # what is inside, not the folder itself
        names.append("*")
    return _Rule(tuple(part(name, escapes=True) for name in names), ignored, folders)


class Ignored:
    """What the .gitignore files of a folder, of those above it in its repository, and of those on the way, name.

    As git has it (https://git-scm.com/docs/gitignore), whoever wrote them, in bounded time: the file nearest decides,
    and the last line of it that matches.
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
    yield from dict.fromkeys(_fitting(Path(*names[:first]), once))


def _fitting(folder: Path, parts: Sequence[tuple[bool, Part]]) -> Iterator[Path]:
    (hidden, fits), *rest = parts
    if fits is None and rest:  # no folder at all
        yield from _fitting(folder, rest)
    for entry in _entries(folder, hidden=hidden):
        deeper = parts if fits is None else rest
        if fits is not None and not fits(entry.name):
            continue
        if entry.is_dir(follow_symlinks=False):
            if deeper:
                yield from _fitting(folder / entry.name, deeper)
        elif not rest and entry.is_file():
            yield folder / entry.name


def _entries(folder: Path, *, hidden: bool) -> list[os.DirEntry[str]]:
    """What is in a folder, but for links and (unless wanted) hidden ones; nothing if it is none, or none of ours."""
    try:
        with os.scandir(folder) as entries:
            return [each for each in entries if not each.is_symlink() and (hidden or not each.name.startswith("."))]
    except OSError:
        return []
