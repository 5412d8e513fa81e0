"""`python -m docs_build`: write the generated pages anew."""

from pathlib import Path

from docs_build import commands, errors, events, keys, python

PAGES = {
    "cli.md": commands.page,
    "configuration.md": keys.page,
    "events.md": events.page,
    "python.md": python.page,
    "errors.md": errors.page,
}
FOLDER = Path(__file__).parent.parent / "docs" / "reference"
_NOTE = "<!-- Written by `uv run python -m docs_build`; edit docs_build/pages/ or the code, not this file. -->\n\n"


def pages() -> dict[Path, str]:
    """Every generated page, by its file."""
    return {FOLDER / name: _NOTE + page().rstrip() + "\n" for name, page in PAGES.items()}


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for path, text in pages().items():
        path.write_text(text, encoding="utf-8")
