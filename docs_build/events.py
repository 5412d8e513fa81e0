"""The page of the events, from `stretto.events`."""

from typing import get_args

from docs_build.page import filled
from docs_build.source import doc, fields
from docs_build.table import code, table
from stretto.events import AnyEvent, Event


def page() -> str:
    """`docs/reference/events.md`."""
    parts = ["## Every event\n", doc(Event), "", _keys(Event, with_kind=True)]
    for event in get_args(AnyEvent):
        parts += [f"## `{event.__struct_config__.tag}`\n", f"{doc(event)}\n", _keys(event)]
    return filled("events.md", events="\n".join(parts))


def _keys(event: type, *, with_kind: bool = False) -> str:
    rows = [(code(each.name), code(each.type), code(each.default) or "always there") for each in fields(event)]
    if with_kind:
        rows.insert(0, ("`kind`", "`str`", "always there"))
    return table(("key", "type", "default"), rows)
