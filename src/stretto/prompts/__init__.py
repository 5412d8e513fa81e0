"""The prompts: a file each, `text("worker")`, and what is filled into them."""

from stretto.prompts.defusing import MARK, defused
from stretto.prompts.echoes import echoes, headed, recites, restates, without
from stretto.prompts.filling import (
    PLACEHOLDERS,
    ROLES,
    check,
    describes_plan,
    fill,
    filled,
    names,
    rules,
    template,
    text,
    uses,
    whole,
)
from stretto.prompts.results import (
    joined_text,
    needs_text,
    one_line,
    result_text,
    results_text,
    unmerged_text,
    worker_lines,
    worker_prompt,
)

__all__ = [
    "MARK",
    "PLACEHOLDERS",
    "ROLES",
    "check",
    "defused",
    "describes_plan",
    "echoes",
    "fill",
    "filled",
    "headed",
    "joined_text",
    "names",
    "needs_text",
    "one_line",
    "recites",
    "restates",
    "result_text",
    "results_text",
    "rules",
    "template",
    "text",
    "unmerged_text",
    "uses",
    "whole",
    "without",
    "worker_lines",
    "worker_prompt",
]
