"""What the name of a local model means: a path, or a file at Hugging Face."""

import re
from pathlib import Path

from msgspec import Struct

from stretto.ground.regex import regex

GET = "stretto models local --get"
"""The command that downloads a file."""
_AT_HUB = regex(r"([\w-][\w.-]*/[\w-][\w.-]*)/((?:[\w-][\w.-]*/)*[\w-][\w. -]*\.gguf)", re.ASCII)


class HubFile(Struct, frozen=True):
    """A file in a repository at Hugging Face: `OWNER/REPO`, and its name there."""

    repository: str
    name: str

    def __str__(self) -> str:
        return f"{self.repository}/{self.name}"


def hub_file(name: str) -> HubFile | None:
    """The file that `OWNER/REPO/FILE.gguf` names, unless there is one at that path here."""
    apart = None if Path(name).expanduser().exists() else _AT_HUB.fullmatch(name)
    return HubFile(apart[1], apart[2]) if apart else None
