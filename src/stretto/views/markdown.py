"""What a model wrote, as HTML in which nothing of it can act.

No markup of its own comes through, no image is fetched (its address could carry away what the model read), and links
go to the web or to mail only.
"""

import re
from collections.abc import MutableMapping, Sequence
from typing import Any

from markdown_it import MarkdownIt

from stretto.ground.regex import regex
from stretto.views.markup import Html, tag

MOST = 100_000
"""Characters that are shown."""

_ADDRESS = regex(r"(?:https?|mailto):", re.IGNORECASE)


def as_html(text: str) -> Html:
    """The start of a text in Markdown, and how much more of it there is."""
    more = len(text) - MOST
    return Html(
        rendered(text[:MOST])
        + (tag("p", f"and {more:,} more characters, in run.answer", class_="m") if more > 0 else "")
    )


def rendered(text: str) -> Html:
    """A text as CommonMark with tables."""
    reader = reading()
    reader.add_render_rule("link_open", _link)
    return Html(reader.render(text))


def reading() -> MarkdownIt:
    """What takes Markdown apart, without HTML of its own and without images."""
    return MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"]).disable("image")


def leads_out(address: str) -> bool:
    """Whether a link may be followed: to the web, and to mail."""
    return _ADDRESS.match(address) is not None


def _link(renderer: Any, tokens: Sequence[Any], at: int, options: Any, env: MutableMapping[str, Any]) -> str:
    """A link that opens elsewhere and does not say where it was; none at all to anything but the web and mail."""
    address = str(tokens[at].attrs.get("href", ""))
    leads = {"href": address, "target": "_blank", "rel": "noopener noreferrer"}
    tokens[at].attrs = leads if leads_out(address) else {}
    return str(renderer.renderToken(tokens, at, options, env))
