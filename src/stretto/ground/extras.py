"""How one of Stretto's extras is installed beside the Stretto that runs, by whatever installed that."""

import json
import shlex
import sys
from importlib import metadata
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from msgspec import Struct

_NAME = "stretto"


def installing(extra: str) -> str:
    """The command that adds an extra: it names the checkout, file, address or index that this Stretto came from."""
    return _found().adding(extra, Path.cwd())


class Installation(Struct, frozen=True):
    """Where this Stretto came from and what put it here.

    `origin`: its `direct_url.json` (PEP 610), empty if it came from an index. `by`: the tool that has installed it.
    `prefix`, `python`: the environment it is in, and the interpreter there.
    """

    origin: dict[str, Any]
    by: str
    prefix: Path
    python: str

    def adding(self, extra: str, here: Path) -> str:
        """The command that adds an extra, for a shell in the folder `here`."""
        url = str(self.origin.get("url", ""))
        if not url:
            return self._command(f"{_NAME}[{extra}]")
        path = Path(unquote(urlsplit(url).path))
        if "dir_info" in self.origin:
            return self._from_folder(path, extra, here)
        if url.startswith("file:"):
            return self._command(f"{path}[{extra}]")
        kind = f"{vcs['vcs']}+" if (vcs := self.origin.get("vcs_info")) else ""
        return self._command(f"{_NAME}[{extra}] @ {kind}{url}")

    def _from_folder(self, folder: Path, extra: str, here: Path) -> str:
        if self.by == "uv" and self.prefix == folder / ".venv":
            where = "" if folder == here else f"--project {shlex.quote(str(folder))} "
            return f"uv sync {where}--inexact --extra {extra}"  # what else was added to that environment stays
        editable = ["-e"] if self.origin["dir_info"].get("editable") else []
        return self._command(f"{'.' if folder == here else folder}[{extra}]", *editable)

    def _command(self, what: str, *flags: str) -> str:
        """As the tool is asked for more."""
        named = " ".join([*flags, f"'{what}'" if what.startswith((_NAME, ".")) else shlex.quote(what)])
        if (self.prefix / "uv-receipt.toml").is_file():
            return f"uv tool install {named}"
        if (self.prefix / "pipx_metadata.json").is_file():
            return f"pipx install --force {named}"
        if self.by == "uv":
            return f"uv pip install --python {shlex.quote(self.python)} {named}"
        return f"pip install {named}"


def _found() -> Installation:
    prefix = Path(sys.prefix)
    try:
        ours = metadata.distribution(_NAME)
    except metadata.PackageNotFoundError:  # its folder is on the path, and nothing was installed
        url = Path(__file__).parents[3].as_uri()
        return Installation({"url": url, "dir_info": {"editable": True}}, "pip", prefix, sys.executable)
    origin = json.loads(ours.read_text("direct_url.json") or "{}")
    return Installation(origin, (ours.read_text("INSTALLER") or "pip").strip(), prefix, sys.executable)
