"""The tasks of the gauntlet: a table in TOML, and the texts that some of them come with."""

import tomllib
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
from msgspec import Struct

from bench.gauntlet import made
from stretto import Input

ROOT = Path(__file__).parents[2]
TABLE = Path(__file__).with_name("tasks.toml")
_MADE: dict[str, Callable[[], str]] = {"log": made.log}


class Given(Struct, frozen=True, forbid_unknown_fields=True):
    """A text that a task comes with: the beginning of a file of the repository, or a made one."""

    name: str
    file: str = ""
    made: str = ""
    characters: int = 6000


class Program(Struct, frozen=True, forbid_unknown_fields=True):
    """What the answer's Python, with `append` behind it, must print (`output`) and must not (`lacks`)."""

    output: tuple[str, ...]
    append: str = ""
    lacks: tuple[str, ...] = ()


class Query(Struct, frozen=True, forbid_unknown_fields=True):
    """What the answer's SQL must find in these tables; a row is a line, its values with blanks between them."""

    tables: str
    output: tuple[str, ...]


class Task(Struct, frozen=True, forbid_unknown_fields=True):
    """One task, and how it is judged; `tasks.toml` says what its keys mean."""

    id: str
    kind: str
    text: str
    about: str
    points: tuple[str, ...] = ()
    full: int | None = None
    right: tuple[str, ...] = ()
    right_full: int | None = None
    words: int = 5
    most: int | None = None
    language: str = "en"
    program: Program | None = None
    query: Query | None = None
    input: Given | None = None
    fits: tuple[str, ...] = ()

    @property
    def inputs(self) -> tuple[Input, ...]:
        """The text that the task comes with, if any, as Stretto takes it."""
        return (Input(self.input.name, _text(self.input)),) if self.input else ()

    @property
    def whole(self) -> str:
        """Task and text in one, for whoever takes nothing beside a prompt."""
        return "\n\n".join([self.text.strip(), *(f"{each.name}:\n{each.text}" for each in self.inputs)])


class _Table(Struct, forbid_unknown_fields=True):
    task: list[Task]


def load(path: Path = TABLE, only: Sequence[str] = ()) -> list[Task]:
    """The tasks of a table, or those with the ids in `only`; raises `ValueError` that names what is wrong."""
    try:
        table = msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), _Table)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise ValueError(
            f"{path}: no table of tasks: {error}; bench/gauntlet/tasks.toml says what belongs in one"
        ) from error
    ids = [task.id for task in table.task]
    if unknown := [each for each in only if each not in ids]:
        raise ValueError(f"{path.name}: no task {', '.join(unknown)}; there are {', '.join(ids)}")
    if len(set(ids)) < len(ids):
        raise ValueError(f"{path.name}: an id stands there twice; rename one")
    return [task for task in table.task if not only or task.id in only]


def _text(given: Given) -> str:
    if given.made:
        return _MADE[given.made]()
    return (ROOT / given.file).read_text(encoding="utf-8")[: given.characters]
