"""Ids of subtasks: safe to cite in an answer, to print and to type."""

import re
import unicodedata
from sys import intern

from stretto.ground.regex import regex
from stretto.plan.item import Draft
from stretto.types import Subtask

LONGEST_ID = 40
_UNSAFE = regex(r"[^\w.-]")
_RESERVED = regex(r"orchestrator|synthesizer|i\d+", re.IGNORECASE)


def safe_id(text: str) -> str:
    """The text as an id: letters and digits of any script, `_`, `.` and `-`, at most 40; empty if it has none of them.

    What else it has becomes `_`.
    """
    made = _UNSAFE.sub("_", unicodedata.normalize("NFC", text.strip()))[:LONGEST_ID]
    return made if any(letter.isalnum() for letter in made) else ""


def shown(text: str) -> str:
    """A name of a plan as a remark quotes it, cut if it is long."""
    return repr(text if len(text) <= LONGEST_ID else text[:LONGEST_ID] + "…")


def is_reserved(id_: str) -> bool:
    """Whether an id means something else: a role, or an input (`i1`, `i2`, …)."""
    return _RESERVED.fullmatch(id_) is not None


def numbered(id_: str, copy: int) -> str:
    """The id of so manieth a subtask that wants this one; the first keeps it."""
    suffix = f"-{copy}" if copy > 1 else ""
    return id_[: LONGEST_ID - len(suffix)] + suffix


def same_work(subtask: Subtask | Draft) -> tuple[str, str]:
    """What two subtasks have in common that are the same one; spaces are easily written differently."""
    description = " ".join(subtask.description.split())
    if description == subtask.description:
        description = subtask.description  # not a second time in memory
    return intern(subtask.type.strip().casefold()), description
