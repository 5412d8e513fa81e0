"""The texts of the prompts, files beside this one, and filling in their placeholders."""

from collections.abc import Mapping
from functools import cache, lru_cache
from typing import Literal, get_args

from stretto.errors import ConfigError
from stretto.ground.files import SHIPPED
from stretto.ground.regex import regex
from stretto.types import RoleName

Asked = RoleName | Literal["checker"]
"""Whom a prompt is for."""

PLACEHOLDERS: dict[Asked, frozenset[str]] = {
    "orchestrator": frozenset({"task", "workers", "max_subtasks", "sizes"}),
    "worker": frozenset({"original_task", "task_type", "task_description", "brief", "needs"}),
    "synthesizer": frozenset({"task", "worker_responses", "references"}),
    "checker": frozenset({"original_task", "task_type", "task_description", "needs", "about", "result"}),
}
"""What each role's prompt may use; its default uses all of them."""
ROLES: tuple[RoleName, ...] = get_args(RoleName)

# `{word}` is a placeholder and `{{word}}` the literal `{word}`; every other brace is just a brace (JSON examples).
_WORD = regex(r"\{\{([A-Za-z_]\w*)\}\}|\{([A-Za-z_]\w*)\}")


@cache
def text(name: str) -> str:
    """The prompt in the file `NAME.md`, as it stands there."""
    return (SHIPPED / "prompts" / f"{name}.md").read_text(encoding="utf-8")


@cache
def names() -> list[str]:
    """Every prompt there is a file of."""
    return sorted(path.stem for path in (SHIPPED / "prompts").glob("*.md"))


def template(role: Asked, prompt: str | None) -> str:
    """The prompt of a role, or its default."""
    return text(role) if prompt is None else prompt


def rules(role: Asked, prompt: str | None) -> str:
    """What a role is told before its prompt, in the system message: the rules of its default prompt, if it has that."""
    return text(f"{role}-rules") if prompt is None and f"{role}-rules" in names() else ""


def whole(role: Asked, prompt: str | None) -> str:
    """All that a role is told, placeholders included: what it uses, and what it speaks of."""
    return rules(role, prompt) + template(role, prompt)


def check(role: Asked, prompt: str | None, place: str) -> None:
    """Raise `ConfigError` if a prompt has a placeholder that its role does not fill."""
    known = PLACEHOLDERS[role]
    for literal, word in _WORD.findall(prompt or ""):
        if not literal and word not in known:
            names = ", ".join(f"{{{name}}}" for name in sorted(known))
            raise ConfigError(
                f"{place}: unknown placeholder {{{word}}}; this prompt can use {names}, "
                f"and {{{{{word}}}}} stands for a literal {{{word}}}"
            )


def uses(prompt: str, placeholder: str) -> bool:
    """Whether a prompt has this placeholder; doubled braces are none."""
    return placeholder in _placeholders(prompt)


@lru_cache(maxsize=64)
def _placeholders(prompt: str) -> frozenset[str]:
    """Every placeholder of a prompt, found once for the hundreds of requests that are made of it."""
    return frozenset(word for _, word in _WORD.findall(prompt))


def fill(prompt: str, values: Mapping[str, str]) -> str:
    """The prompt with every known placeholder replaced, once: what is filled in is never read again."""
    return _WORD.sub(lambda match: f"{{{match[1]}}}" if match[1] else values.get(match[2], match[0]), prompt)


def filled(name: str, **values: str) -> str:
    """The prompt in the file `NAME.md` with its placeholders replaced, as one message of several says it."""
    return fill(text(name), values).removesuffix("\n")


def describes_plan(prompt: str) -> bool:
    """Whether a prompt itself says what form the plan must have."""
    return '"tasks"' in prompt and '"description"' in prompt
