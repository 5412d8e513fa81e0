"""A workflow that comes with the package, as a file: what it says of itself, and how it becomes one's own."""

import json
import re
import tomllib
from decimal import Decimal
from itertools import groupby
from textwrap import wrap

from msgspec import Struct

from stretto.config.reading import preset_text
from stretto.ground.regex import regex

_ROLE = regex(r"^\[(?:orchestrator|synthesizer|workers\.[^\[\]]+(?<!\.check))\]$", re.MULTILINE)
_LIMITS = regex(r"^\[limits\]$", re.MULTILINE)
_BESIDE = """\
# parallel = 16          # calls in flight at most; also rpm, tpm: of a minute
# deadline = "2m"        # the answer is there by then, from what there is
"""
_AFTER = """
# [memory]
# reuse = "store"        # replies of any earlier run are reused
#                        # "run": those of the same; "off": none

# [prices."mine:some-model"]  # dollars for a million tokens, if nobody knows
# input = 0.15
# output = 0.60

# [providers.mine]       # any OpenAI-compatible endpoint: models mine:NAME
# base_url = "http://localhost:9000/v1"
# key_env = "MINE_KEY"   # the name of the variable, never the key
"""


class Preset(Struct, frozen=True):
    """A preset: its `name`, one line on what it is `about`, its `roles`, how it is called, and its `text`."""

    name: str
    about: str
    roles: str
    example: str
    text: str


def preset(name: str) -> Preset:
    """The preset of this name; raises `ConfigError` if there is none."""
    text = preset_text(name)
    about, *comment = [line.removeprefix("#").strip() for line in text.partition("\n\n")[0].splitlines()]
    example = next(line for line in comment if "stretto run" in line)
    return Preset(name, about, _roles(text), example, text)


def _roles(text: str) -> str:
    table = tomllib.loads(text)
    names = list(table["workers"])
    workers = f"worker{'s' if len(names) > 1 else ''} {', '.join(names)}"
    roles = {"orchestrator": "orchestrator", "workers": workers, "synthesizer": "synthesizer"}
    return "; ".join(words for role, words in roles.items() if table.get(role, False) is not False)


def ones_own(preset: Preset, called: str, model: str | None, budget: Decimal | None) -> str:
    """The preset as a file to be edited: `called` is what takes the place of `-w NAME` to use it (nothing, if empty).

    `model` is that of each role; without one a comment shows where it goes. `budget`: dollars of one run.
    """
    line = f"model = {json.dumps(model, ensure_ascii=False)}" if model else '# model = "PROVIDER:MODEL"'
    limits = f'budget = "{budget:f}"' if budget is not None else '# budget = "50c"'
    limits = f"[limits]\n{limits:<24} # US dollars of one run; also tokens\n{_BESIDE}"
    text = _ROLE.sub(lambda head: f"{head[0]}\n{line}", preset.text)
    found = _LIMITS.search(text)
    text = f"{text[: found.start()]}{limits}{text[found.end() + 1 :]}" if found else f"{text}\n{limits}"
    instead = f"stretto run {called}".rstrip()
    comment, _, rest = text.partition("\n\n")
    comment = comment.replace(f"stretto run -w {preset.name}", instead)
    if called:  # the default is called without -w
        comment = re.sub(r"stretto run(?! -w)", instead, comment)
    return f"# Made from the preset {preset.name}.\n#\n{_narrow(comment)}\n\n{rest}{_AFTER}"


def _narrow(comment: str) -> str:
    """The comment in lines that fit a terminal of 80 columns; what is indented in it stays as it is."""
    lines = list[str]()
    for is_text, grouped in groupby(comment.splitlines(), lambda line: bool(re.match(r"# ?\S", line))):
        block = list(grouped)
        text = " ".join(line.removeprefix("#").strip() for line in block)
        lines += wrap(text, 78, initial_indent="# ", subsequent_indent="# ") if is_text else block
    return "\n".join(lines)


def example_of(preset: Preset, called: str) -> str:
    """How one's own file is used that was made from this preset."""
    plain = preset.example.replace(f"-w {preset.name} ", "")
    return plain.replace("stretto run ", f"stretto run {called} ") if called else plain
