"""The page of the errors, from `stretto.errors`."""

import contextlib
import inspect
import io
import textwrap

from docs_build.page import filled
from docs_build.source import constructor, doc
from docs_build.table import table
from stretto import errors
from stretto.cli import report


def page() -> str:
    """`docs/reference/errors.md`."""
    tree = next(part for part in doc(errors).split("\n\n") if "StrettoError" in part)
    kinds = [each for each in vars(errors).values() if inspect.isclass(each) and issubclass(each, errors.StrettoError)]
    rows = [(f"`{kind.__name__}`", doc(kind).partition("\n")[0], _code(kind)) for kind in kinds]
    return filled(
        "errors.md",
        tree=textwrap.dedent(tree),
        call=constructor(errors.CallError),
        table=table(("error", "means", "exit code of the command line"), rows),
    )


def _code(kind: type[errors.StrettoError]) -> str:
    with contextlib.redirect_stderr(io.StringIO()):
        return str(report(kind("")))
