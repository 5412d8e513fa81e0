"""A page: the text in `pages/`, with what the code says where `@name@` stands."""

from pathlib import Path

_FOLDER = Path(__file__).with_name("pages")


def filled(name: str, **parts: str) -> str:
    """The page of this name with its parts put in; raises `ValueError` if it has no place for one."""
    text = (_FOLDER / name).read_text(encoding="utf-8")
    for place, part in parts.items():
        if f"@{place}@" not in text:
            raise ValueError(f"docs_build/pages/{name}: no place for @{place}@")
        text = text.replace(f"@{place}@", part.strip())
    return text
