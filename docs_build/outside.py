"""`python -m docs_build.outside site`: fail if a page of the built site loads anything from elsewhere. Links may."""

import re
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

_LOADS = {"src", "srcset", "poster", "data"}
_ELSEWHERE = re.compile(r"(?:https?:)?//")


class _Page(HTMLParser):
    """Collects what a page loads from other addresses."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Whatever is loaded with the page; of `link` all but what only names another page."""
        told = dict(attrs)
        names = {"href"} if tag == "link" and told.get("rel") not in {"canonical", "next", "prev"} else _LOADS
        self.found += [value for name, value in attrs if name in names and value and _ELSEWHERE.match(value)]


def outside(site: Path) -> Iterator[str]:
    """Each thing that the site loads from elsewhere, with the file that does."""
    for path in sorted(site.rglob("*.html")):
        page = _Page()
        page.feed(path.read_text(encoding="utf-8"))
        yield from (f"{path}: {found}" for found in page.found)
    for path in sorted(site.rglob("*.css")):
        loaded = re.findall(r"(?:url\(|@import )[\"']?((?:https?:)?//[^\"')]+)", path.read_text(encoding="utf-8"))
        yield from (f"{path}: {found}" for found in loaded)


if __name__ == "__main__":
    built = Path(sys.argv[1])
    if not any(built.rglob("*.html")):
        sys.exit(f"{built}: no page in it; build the site first")
    sys.exit("\n".join(outside(built)) or None)
