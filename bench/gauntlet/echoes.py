"""Pieces of our own prompts in an answer: eight words in a row, or a heading that only we write."""

import re
from collections.abc import Iterable, Sequence

from stretto import prompts
from stretto.types import Definition, Role

LENGTH = 8
_WORD = re.compile(r"\w+")
_PLACEHOLDER = re.compile(r"\{\w+\}")
_HEADING = re.compile(
    r"(?:PARTIAL )?WORKER RESULT\b|===\s*(?:RESULT|LEDGER|MISSING)|^\W*LEDGER\b|</?(?:task|input)(?:\s[^>]*)?>",
    re.MULTILINE,
)


def heading_in(answer: str) -> str:
    """The first heading of ours in an answer, or ""."""
    found = _HEADING.search(answer)
    return found.group().strip() if found else ""


def echo_in(answer: str, ours: Iterable[str], theirs: Iterable[str]) -> str:
    """The first eight words in a row that an answer has from our texts and not from theirs (task and inputs), or ""."""
    known = {run for text in ours for piece in _PLACEHOLDER.split(text) for run in _runs(piece)}
    known -= {run for text in theirs for run in _runs(text)}
    return next((" ".join(run) for run in _runs(answer) if run in known), "")


def prompts_of(definition: Definition) -> list[str]:
    """Every text of ours that a workflow puts before a model: the files of prompts, and what its roles say."""
    roles: list[Role] = [role for role in (definition.orchestrator, definition.synthesizer) if role]
    roles += definition.workers.values()
    said = [text for role in roles for text in (role.prompt, role.system, role.about, _check(role)) if text]
    return [*(prompts.text(name) for name in prompts.names()), *said]


def _check(role: Role) -> str:
    return role.check if isinstance(role.check, str) else ""


def _runs(text: str) -> list[tuple[str, ...]]:
    said: Sequence[str] = [word.casefold() for word in _WORD.findall(text)]
    return [tuple(said[at : at + LENGTH]) for at in range(len(said) - LENGTH + 1)]
