"""`python -m docs_build`: write the generated pages anew."""

from pathlib import Path

from docs_build import commands, errors, events, keys, python

WRITERS = {
    "cli.md": commands.page,
    "configuration.md": keys.page,
    "events.md": events.page,
    "python.md": python.page,
    "errors.md": errors.page,
}
FOLDER = Path(__file__).parent.parent / "docs" / "reference"
_NOTE = "<!-- Written by `uv run python -m docs_build`; edit docs_build/pages/ or the code, not this file. -->\n\n"


def page(name: str) -> str:
    """A generated page, as it is in its file."""
    return _NOTE + WRITERS[name]().rstrip() + "\n"


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name in WRITERS:
        (FOLDER / name).write_text(page(name), encoding="utf-8")
