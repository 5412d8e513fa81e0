"""`uv run python docs/pictures/make.py`: make terminal.svg, what somebody sees who runs `stretto`.

The command is really run, at a pseudo-terminal, on the simulator; the picture is the screen at its end, and says that
it is simulated.
"""

import codecs
import os
import pty
import re
import select
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Iterator
from fcntl import ioctl
from html import escape
from itertools import groupby
from pathlib import Path
from typing import Any

import pyte

FILE = Path(__file__).with_name("terminal.svg")
COLUMNS, LINES = 100, 34
COMMAND = ("demo", "-o", "answer.md")
WANTED = "3 of 3 subtasks"  # without this on the screen there is no picture
PATIENCE = 60.0  # seconds

WIDTH, HEIGHT, MARGIN, TOP = 8.4, 18.0, 16.0, 40.0  # of a letter, a line, and around them, in pixels
FONT = "ui-monospace, 'SF Mono', Menlo, Consolas, 'DejaVu Sans Mono', monospace"
INK, PAPER = "#d6dbe2", "#14181f"
COLOURS = {
    "default": INK, "black": "#3b4252", "red": "#f07178", "green": "#9ece6a", "brown": "#e0af68", "yellow": "#e0af68",
    "blue": "#7aa2f7", "magenta": "#bb9af7", "cyan": "#7dcfff", "white": INK, "brightblack": "#737d8c",
    "brightred": "#f07178", "brightgreen": "#9ece6a", "brightbrown": "#e0af68", "brightyellow": "#e0af68",
    "brightblue": "#7aa2f7", "brightmagenta": "#bb9af7", "brightcyan": "#7dcfff", "brightwhite": "#ffffff",
}  # fmt: skip


def watched(command: list[str]) -> pyte.Screen:
    """The screen after the command."""
    ours, theirs = pty.openpty()
    ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
    screen = pyte.Screen(COLUMNS, LINES)
    stream, text = pyte.Stream(screen), codecs.getincrementaldecoder("utf-8")("replace")
    with tempfile.TemporaryDirectory() as folder:
        environ = {name: value for name, value in os.environ.items() if name in {"PATH", "HOME", "PYTHONPATH"}}
        environ |= {"TERM": "xterm-256color", "PYTHONUTF8": "1", "STRETTO_STORE": str(Path(folder, "runs.db"))}
        child = subprocess.Popen(command, env=environ, cwd=folder, stdin=theirs, stdout=theirs, stderr=theirs)
        os.close(theirs)
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            ready, _, _ = select.select([ours], [], [], 0.1)
            try:
                read = os.read(ours, 65_536) if ready else b""
            except OSError:  # nobody writes any more
                break
            stream.feed(text.decode(read))
            if not ready and child.poll() is not None:
                break
        os.close(ours)
        if child.wait(timeout=5) or WANTED not in "\n".join(screen.display):
            sys.exit(f"no picture: exit code {child.returncode}\n" + "\n".join(screen.display))
    return screen


def pictured(screen: pyte.Screen) -> str:
    """The screen as SVG, without the empty lines at its end."""
    last = max((number for number, line in enumerate(screen.display) if line.strip()), default=0) + 1
    shown = " ".join(("stretto", *COMMAND))
    width, height = COLUMNS * WIDTH + 2 * MARGIN, TOP + last * HEIGHT + MARGIN
    rows = [text for number in range(last) for text in _row(screen, number)]
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" width="{width:g}" '
        f'height="{height:g}" role="img" aria-labelledby="t d" font-size="14" font-family="{FONT}">'
    )
    return "\n".join(
        [
            head,
            '  <title id="t">A run on a terminal, simulated</title>',
            f'  <desc id="d">The screen after {escape(shown)}. No language model was asked.</desc>',
            f'  <rect width="{width:g}" height="{height:g}" rx="10" fill="{PAPER}"/>',
            f'  <text x="{MARGIN:g}" y="24" fill="{COLOURS["brightblack"]}">$ {escape(shown)}</text>',
            f'  <text x="{width - MARGIN:g}" y="24" fill="{COLOURS["yellow"]}" text-anchor="end">simulated</text>',
            *rows,
            "</svg>\n",
        ]
    )


def _row(screen: pyte.Screen, number: int) -> Iterator[str]:
    """The texts of one line: what looks alike and has no gap in it is one, and has its exact width."""
    line: Any = screen.buffer[number]
    cells = [(column, line[column]) for column in range(COLUMNS)]
    for look, group in groupby(cells, key=lambda cell: (cell[1].fg, cell[1].bold, cell[1].italics, cell[1].reverse)):
        found = list(group)
        text = "".join(cell.data for _, cell in found)
        for part in re.finditer(r"\S+(?: \S+)*", text):
            yield _text(part[0], found[0][0] + part.start(), number, *look)


def _text(text: str, column: int, line: int, colour: str, bold: bool, italics: bool, reverse: bool) -> str:
    style = f'fill="{_colour("brightwhite" if reverse else colour)}"'
    style += ' font-weight="bold"' * bold + ' font-style="italic"' * italics
    x, y = MARGIN + column * WIDTH, TOP + line * HEIGHT + 14
    length = f'textLength="{len(text) * WIDTH:g}" lengthAdjust="spacingAndGlyphs"'
    return f'  <text x="{x:g}" y="{y:g}" {length} {style}>{escape(text)}</text>'


def _colour(name: str) -> str:
    """A colour by its name, or by the six digits that a terminal of 256 colours has for it."""
    return COLOURS.get(name, f"#{name}" if len(name) == 6 else INK)


if __name__ == "__main__":
    FILE.write_text(pictured(watched([sys.executable, "-m", "stretto", *COMMAND])), encoding="utf-8")
