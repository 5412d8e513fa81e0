"""A `.gitignore` file, read as git reads it (https://git-scm.com/docs/gitignore), whoever wrote it, in bounded time."""

from pathlib import Path

from msgspec import Struct

from stretto.inputs.patterns import Part, fits, part

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
            if _is_plain(pattern):
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


def _is_plain(pattern: str) -> bool:
    """Whether a pattern is the name of files or folders at any depth."""
    return not any(sign in pattern.rstrip("/") for sign in "/*?[\\")
