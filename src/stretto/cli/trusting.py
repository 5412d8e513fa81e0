"""The user's word for a configuration file that lies in the current folder: asked for once, on a terminal."""

import asyncio
import os
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from platformdirs import user_state_path

from stretto.cli.console import Console
from stretto.cli.screen import say
from stretto.config import Claim, Source, Words, claims, is_harmless
from stretto.errors import ConfigError
from stretto.ground.text import one_line

Untrusted = Literal["ask", "refuse", "skip"]
"""What becomes of a file that nobody has given their word for: it is asked for; the file is refused, or passed over."""

_LONGEST = 200  # characters of what a file says


def words() -> Words:
    """What this user has given their word for."""
    return Words(user_state_path("stretto") / "allowed")


def trusted(file: Path, source: Source, others: Sequence[Source], untrusted: Untrusted) -> list[Source]:
    """The file's layer, if it may count; none if it is to be passed over. Raises `ConfigError` if it is refused."""
    if is_harmless(source, others, os.environ):
        return [source]
    claimed = claims(source)
    if words().hold(file, claimed):
        return [source]
    if untrusted == "skip":
        return []
    if untrusted == "ask" and (console := Console.found()):
        for line in [f"{file} is in this folder, and says what nobody but you can allow:", *told(claimed)]:
            say(line)
        if asyncio.run(console.agrees("stretto: is that what you want? [y/N] ")):
            words().give(file, claimed)
            return [source]
    raise refusal(file, claimed)


def told(claimed: Sequence[Claim]) -> list[str]:
    """What a file says that needs its user's word, a line each."""
    return [f"  {each}" for each in map(_told, claimed)]


def refusal(file: Path, claimed: Sequence[Claim]) -> ConfigError:
    """The error for a file that nobody has given their word for."""
    named = "; ".join(map(_told, claimed))
    usual = str(file) == "stretto.toml"
    allow = "stretto allow" if usual else f"stretto allow {shlex.quote(str(file))}"
    once = shlex.quote(str(file) if file.is_absolute() else f"./{file}")
    return ConfigError(
        f"{file}: it is in this folder, and says what nobody but you can allow: {named}. If you trust it: `{allow}`, "
        f"or once: -w {once}"
    )


def _told(claim: Claim) -> str:
    """A claim in one line: whoever wrote the file must not write what is asked about it."""
    return f"{one_line(claim.place)[:_LONGEST]}: {one_line(claim.said)[:_LONGEST]}"
