"""HTML in which a text is a text: whatever is not `Html` already is escaped."""

from html import escape


class Html(str):
    """Markup that may stand as it is."""

    __slots__ = ()


def tag(name: str, *children: str, **attributes: object) -> Html:
    """One element; attributes that are None are left out, `class_` is written `class`."""
    named = ((key.rstrip("_").replace("_", "-"), value) for key, value in attributes.items() if value is not None)
    within = "".join(f' {key}="{escape(str(value))}"' for key, value in named)
    return Html(f"<{name}{within}>{joined(*children)}</{name}>")


def joined(*children: str) -> Html:
    """Several pieces as one; those that are not HTML are escaped."""
    return Html("".join(child if isinstance(child, Html) else escape(child) for child in children))
