"""A workflow as HTML: who does what with which model, within which limits."""

from collections.abc import Iterator

import msgspec

from stretto.types import Definition, Limits, Role
from stretto.views.formats import short
from stretto.views.markup import Html, tag
from stretto.views.page import sheet

_HEADS = ("role", "model", "for", "prompt", "options")


def definition_line(definition: Definition) -> str:
    """Who is asked, on one line."""
    plans, writes = definition.orchestrator, definition.synthesizer
    workers = {name: role.all_models for name, role in definition.workers.items()}
    return f"orchestrator={plans and plans.all_models}, workers={workers}, synthesizer={writes and writes.all_models}"


def definition_page(definition: Definition) -> Html:
    """The roles as a table, and the limits that are not as they are anyway."""
    plans, writes = ("orchestrator", definition.orchestrator), ("synthesizer", definition.synthesizer)
    roles = [(name, role) for name, role in (plans, *definition.workers.items(), writes) if role]
    rows = [tag("tr", *(tag("td", each) for each in _cells(name, role))) for name, role in roles]
    limits = {
        name: value
        for name, value in msgspec.structs.asdict(definition.limits).items()
        if value != getattr(Limits(), name)
    }
    told = ", ".join(f"{name} {value}" for name, value in limits.items())
    head = tag("thead", tag("tr", *(tag("th", each) for each in _HEADS)))
    return sheet(tag("table", head, tag("tbody", *rows)), *([tag("div", f"limits: {told}")] if told else []))


def _cells(name: str, role: Role) -> Iterator[str]:
    yield name
    yield "a workflow of its own" if role.workflow else ", ".join(role.models or role.candidates)
    yield short(role.about, 120)
    yield tag("details", tag("summary", "its own"), tag("pre", role.prompt.strip())) if role.prompt else "as it comes"
    yield ", ".join(f"{key} = {value!r}" for key, value in role.options.items())
