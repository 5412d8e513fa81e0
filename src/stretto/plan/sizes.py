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
    Size("one", 0, 1, "What one good reply can do: a fact, a letter, a short program."),
    Size("small", 2, 3, "A few sides: compare two products, a plan with its risks."),
    Size("medium", 4, 8, "Several parts: a trip of five days, a report with chapters."),
    Size("large", 9, _ENDLESS, "Many pieces of one kind: a paragraph on each of 20 towns."),
)


def sizes(max_subtasks: int) -> tuple[Size, ...]:
    """The sizes a plan of so many subtasks at most can have, each within that number."""
    return tuple(Size(s.name, s.least, min(s.most, max_subtasks), s.meant) for s in _SIZES if s.least <= max_subtasks)


def size_lines(max_subtasks: int) -> str:
    """The sizes as the orchestrator reads them, a line each."""
    return "\n".join(f'- "{size.name}": {_range(size)}. {size.meant}' for size in sizes(max_subtasks))


def oversize(name: str, listed: int) -> list[str]:
    """What is to be said of a plan that is far larger than the size it says; nothing if it is not."""
    size = next((size for size in _SIZES if size.name == name), None)
    if size is None or listed <= 2 * size.most:
        return []
    return [f"the plan says that its size is {name!r} and lists {listed}; all of them are carried out"]


def _range(size: Size) -> str:
    if not size.least:
        return "no subtasks, `tasks` is []"
    return f"{size.least} subtasks" if size.least == size.most else f"{size.least} to {size.most} subtasks"
