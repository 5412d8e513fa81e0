"""How many subtasks a task deserves: sizes, each a range, of which the orchestrator says one before it lists them."""

from msgspec import Struct


class Size(Struct, frozen=True):
    """A size of plan: from `least` to `most` subtasks, and what it is for.

    A plan of size `one` may have one subtask: who writes one means it, and a worker may have a model of its own.
    """

    name: str
    least: int
    most: int
    meant: str


_ENDLESS = 10**9
_SIZES = (
    Size("one", 0, 1, "What one good reply can do, or what cannot be divided sensibly."),
    Size("small", 2, 3, "A task with a few sides."),
    Size("medium", 4, 8, "A broad task, or several questions that each need work."),
    Size("large", 9, _ENDLESS, "Many pieces of one kind: files, candidates, chapters, places."),
)


def sizes(max_subtasks: int) -> tuple[Size, ...]:
    """The sizes a plan of so many subtasks at most can have, each within that number."""
    return tuple(Size(s.name, s.least, min(s.most, max_subtasks), s.meant) for s in _SIZES if s.least <= max_subtasks)


def size_lines(max_subtasks: int) -> str:
    """The sizes as the orchestrator reads them, a line each."""
    return "\n".join(f'- "{size.name}": {_range(size)}. {size.meant}' for size in sizes(max_subtasks))


def _range(size: Size) -> str:
    if not size.least:
        return "no subtasks, the task is answered directly"
    return f"{size.least} subtasks" if size.least == size.most else f"{size.least} to {size.most} subtasks"
