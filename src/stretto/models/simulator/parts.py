"""Which part of a piece of work a worker does: its plan, its substance, or its test."""

from typing import Literal

Part = Literal["plan", "solve", "test"]

PARTS: tuple[Part, ...] = ("plan", "solve", "test")

# Looked at in this order: "test plan" is a test, "plan the code" is a plan.
_WORDS: tuple[tuple[Part, tuple[str, ...]], ...] = (
    ("test", ("test", "verif", "valid", "check", "review", "critic", "qa")),
    ("plan", ("plan", "design", "outline", "research", "analy", "architect")),
    ("solve", ("code", "coding", "solv", "program", "implement", "develop", "build", "write", "draft")),
)


def part_of(words: str) -> Part | None:
    """The part a worker's type speaks of, if it speaks of one."""
    folded = words.casefold()
    return next((part for part, stems in _WORDS if any(stem in folded for stem in stems)), None)
