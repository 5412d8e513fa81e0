"""Running the code in an answer: Python in a process of its own, SQL in an empty database.

What a model wrote is run on this machine, so it gets little: an empty folder, no environment, no input, 10 seconds, a
gigabyte of memory and a megabyte of files. It is not a prison: nothing keeps it from the network.
"""

import ast
import asyncio
import re
import resource
import sqlite3
import sys
import tempfile
from contextlib import closing

SECONDS = 10
_FENCE = re.compile(
    r"^[ \t]*(?:```|~~~)[ \t]*([\w+-]*)[^\n]*\n(.*?)(?:^[ \t]*(?:```|~~~)|\Z)", re.DOTALL | re.MULTILINE
)
_PYTHON = {"", "python", "py", "python3"}
_LIMITS = ((resource.RLIMIT_CPU, SECONDS), (resource.RLIMIT_AS, 1 << 30), (resource.RLIMIT_FSIZE, 1 << 20))
_STEPS = 100_000  # of SQLite's machine, between two looks at how many there were


def blocks(answer: str, names: set[str]) -> list[str]:
    """The fenced blocks of an answer whose language is one of these."""
    return [code for name, code in _FENCE.findall(answer) if name.lower() in names]


def candidates(answer: str) -> list[str]:
    """The programs an answer may mean: each block alone, all of them in a row, or without any block the whole text."""
    found = blocks(answer, _PYTHON)
    return [*found, *(["\n".join(found)] if len(found) > 1 else [])] or [answer]


async def printed(code: str, seconds: float = SECONDS) -> str:
    """What a program prints to both its outputs before it ends, or its time is over."""
    with tempfile.TemporaryDirectory(prefix="gauntlet-") as folder:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-I",
            "-c",
            code,
            cwd=folder,
            env={},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            preexec_fn=_confined,
        )
        try:
            said, _ = await asyncio.wait_for(process.communicate(), seconds)
        except TimeoutError:
            process.kill()
            await process.wait()
            return ""
    return said.decode("utf-8", "replace")


def _confined() -> None:
    for what, most in _LIMITS:
        resource.setrlimit(what, (most, most))


def definitions(code: str) -> str:
    """What a program defines and imports, without what it does then; of an answer that is a function, that is all."""
    kept = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Import | ast.ImportFrom | ast.Assign
    tree = ast.parse(code)
    tree.body = [each for each in tree.body if isinstance(each, kept)]
    return ast.unparse(tree)


def compiles(code: str) -> bool:
    """Whether it is Python at all."""
    try:
        compile(code, "answer", "exec", dont_inherit=True)
    except (SyntaxError, ValueError):
        return False
    return True


def queried(answer: str, tables: str) -> list[str]:
    """What each query of an answer finds in these tables, a row a line; nothing for one that SQLite does not take."""
    found = []
    for code in blocks(answer, {"", "sql", "sqlite", "postgresql", "mysql"}) or [
        answer[answer.upper().find("SELECT") :]
    ]:
        with closing(sqlite3.connect(":memory:")) as db:
            db.executescript(tables)
            db.set_progress_handler(_Patience(), _STEPS)
            try:
                rows = db.execute(code.strip().rstrip(";")).fetchall()
            except (sqlite3.Error, sqlite3.Warning):
                continue
        found.append("\n".join(" ".join(map(str, row)) for row in rows))
    return found


class _Patience:
    """Ends a query that takes too many steps."""

    def __init__(self) -> None:
        self._looks = 0

    def __call__(self) -> int:
        self._looks += 1
        return int(self._looks > 50)
