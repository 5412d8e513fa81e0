"""From what a user names to the inputs of a run, within a bound."""

import glob
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from msgspec import Struct

from stretto.errors import TaskError
from stretto.ground.files import resolved
from stretto.inputs.folders import files_in, files_matching, kept
from stretto.inputs.texts import NoTextError, decoded, read_image, read_text, too_large
from stretto.types import Input
from stretto.types.images import image_input
from stretto.types.keywords import renamed

MOST = 1_000_000
"""Bytes of all inputs together: about 330,000 tokens, in every call."""

_LARGEST = 3  # files that are named when it is too much
_PICTURES = (".png", ".jpg", ".jpeg", ".gif", ".webp")  # the end of a glob that means images
_URL = ("http://", "https://")


class Gathered(Struct, frozen=True):
    """What one source gave, and in words what of it was left out."""

    source: str
    inputs: tuple[Input, ...]
    remarks: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """Bytes of UTF-8; images are none."""
        return sum(len(each.text.encode()) for each in self.inputs)


@renamed(most="max_input")
def read_inputs(*sources: str | Path, max_input: int = MOST) -> list[Input]:
    """The inputs in files, folders (without what .gitignore names), globs and at addresses, each file once.

    Raises `TaskError` for whatever is missing, empty, no UTF-8 text, or with all others together above `max_input`
    bytes. That bounds what is read; how much of it a model takes in one request is the `context` of a `Role`.
    """
    if wrong := next((source for source in sources if not isinstance(source, str | Path)), None):
        raise TaskError(f"read_inputs: {wrong!r} is no name of a file; of a list name each: read_inputs(*names)")
    return [each for one in gather([str(source) for source in sources], max_input) for each in one.inputs]


def gather(sources: Sequence[str], most: int = MOST, stdin: Callable[[int], bytes] | None = None) -> list[Gathered]:
    """What each source gives; `-` is what `stdin` reads, given the most bytes it may.

    Raises `TaskError` with the place and the remedy.
    """
    gathered, known, size = list[Gathered](), set[Path](), 0
    for source in sources:
        found = _gather(source, most, known, stdin)
        gathered.append(found)
        size += found.size
        if size > most:
            raise _too_much(gathered, most)
    return gathered


def _gather(source: str, most: int, known: set[Path], stdin: Callable[[int], bytes] | None) -> Gathered:
    path = Path(source)
    if source == "-":
        return Gathered("-", (_standard_input(stdin, most),))
    if source.startswith(_URL):
        return _page(source, most)
    if not source:
        raise TaskError("an input has no name; name a file, a folder, a glob, an address, or - for standard input")
    try:
        if path.is_dir():
            found = _several(source, files_in(path), most, known, "there is no file with text in it")
        elif path.exists() or path.is_symlink():
            found = _one(path, most, known)
        elif glob.has_magic(source):
            matches = kept(sorted(files_matching(source)))  # folders among them are none
            found = _several(source, matches, most, known, "no file with text in it has such a name")
        else:
            raise TaskError(
                f"{source}: there is no such file or folder; name one, a quoted glob, or - for standard input"
            )
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        place = getattr(error, "filename", None) or source  # of a folder, what in it
        raise TaskError(f"{place}: cannot be read: {why}; check its permissions, or leave it out") from error
    return found


def _standard_input(stdin: Callable[[int], bytes] | None, most: int) -> Input:
    if stdin is None:
        raise TaskError("-: standard input is not read here; name a file, or make an Input of the text")
    try:
        data = stdin(most + 1)
        if len(data) > most:
            raise too_large(len(data), most)
        return Input("stdin", decoded(data))
    except NoTextError as error:
        raise TaskError(f"standard input: {error}") from error


def _page(url: str, most: int) -> Gathered:
    from stretto.inputs.pages import read_page, told  # with it comes all that talks over the network

    name = told(url)
    try:
        return Gathered(name, (Input(name, read_page(url, most)),))
    except NoTextError as error:
        raise TaskError(f"{name}: {error}") from error


def _one(path: Path, most: int, known: set[Path]) -> Gathered:
    """A file that was named itself: what is wrong with it is an error."""
    if (place := resolved(path)) in known:
        return Gathered(str(path), (), (f"{path}: left out: it is there already",))
    known.add(place)
    try:
        return Gathered(str(path), (_input(path, most, images=True),))
    except NoTextError as error:
        raise TaskError(f"{path}: {error}") from error


def _input(path: Path, most: int, *, images: bool) -> Input:
    """What is in a file: a text, or (with `images`) an image."""
    image = read_image(path) if images else None
    return Input(_name(path), read_text(path, most)) if image is None else image_input(_name(path), image)


def _several(source: str, paths: Iterable[Path | str], most: int, known: set[Path], nothing: str) -> Gathered:
    """Files that were found: what is no text among them is left out, and that is said."""
    images = source.lower().endswith(_PICTURES)  # a folder full of them is seldom meant to be sent
    inputs, left_out, again, size = list[Input](), list[str](), 0, 0
    for path in paths:
        if isinstance(path, str):
            left_out.append(path)
        elif (place := resolved(path)) in known:
            again += 1
        else:
            known.add(place)
            try:
                inputs.append(_input(path, most, images=images))
                size += len(inputs[-1].text)
            except NoTextError as error:
                if error.too_large:
                    raise TaskError(f"{path}: {error}") from error
                left_out.append(f"{path}: left out: {error}")
            except OSError as error:
                left_out.append(f"{path}: left out: cannot be read: {error.strerror}")
        if size > most:  # the rest would not change what is said then
            raise _too_much([Gathered(source, tuple(inputs))], most)
    if not inputs and not again:
        more = f" ({left_out[0]})" if left_out else ""
        raise TaskError(
            f"{source}: {nothing}{more}; hidden files and what .gitignore names are left out unless named themselves"
        )
    return Gathered(
        source, tuple(inputs), (*left_out, *([f"{source}: left out: all of it is there already"] if not inputs else []))
    )


def _name(path: Path) -> str:
    """What a file is called in a prompt: as seen from here, if it is here, and the same on every system."""
    try:
        return Path(os.path.abspath(path)).relative_to(Path.cwd()).as_posix()  # noqa: PTH100 - a link keeps its name
    except ValueError:
        return path.as_posix()


def _too_much(gathered: Sequence[Gathered], most: int) -> TaskError:
    inputs = sorted((each for one in gathered for each in one.inputs), key=lambda each: -len(each.text.encode()))
    largest = ", ".join(f"{each.name} ({len(each.text.encode()):,} bytes)" for each in inputs[:_LARGEST])
    sources = ", ".join(one.source for one in gathered)
    return TaskError(
        f"{sources}: more than {most:,} bytes, and every call carries all of it; the largest: {largest}; name less, or "
        "permit more (--max-input)"
    )
