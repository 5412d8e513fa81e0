"""Texts of models as parts of a prompt: each in a block that none of them can end, or begin another of."""

import re
import unicodedata
from collections.abc import Iterable, Sequence


def tag_for(name: str, texts: Iterable[str]) -> str:
    """A tag that occurs in none of the texts: `name`, or `name-2` and so on; look-alikes of `<` and `/` count."""
    tags = re.compile(rf"<\s*/?\s*{name}(?:-(\d{{1,9}}))?", re.IGNORECASE)
    taken = {int(found[1] or 1) for text in texts for found in tags.finditer(unicodedata.normalize("NFKC", text))}
    number = next(n for n in range(1, len(taken) + 2) if n not in taken)
    return name if number == 1 else f"{name}-{number}"


def blocks(name: str, texts: Sequence[tuple[str, str]], beside: Iterable[str] = ()) -> str:
    """Each text with its id in a block called `name`; `beside`: other texts of the prompt that must not imitate one."""
    tag = tag_for(name, (*(text for _, text in texts), *beside))
    return "\n\n".join(f'<{tag} id="{id_}">\n{text}\n</{tag}>' for id_, text in texts)
