"""A run as a table of pandas, if that is installed."""

import importlib
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

from msgspec.structs import fields

from stretto.errors import ConfigError
from stretto.records import RunRecord
from stretto.views.rows import CallRow, SubtaskRow, call_rows, subtask_rows

Rows = Literal["subtasks", "calls"]

_DTYPES: dict[Any, str] = {
    int: "int64",
    bool: "bool",
    str: "string",
    str | None: "string",
    float | None: "float64",
    Decimal | None: "float64",
    datetime | None: "datetime64[ms, UTC]",
}


def frame(run: RunRecord, what: Rows = "subtasks") -> Any:
    """A `pandas.DataFrame` with a row for each subtask or each call; its columns are the fields of their rows.

    Every column has the same type however many rows there are: what is unknown is `NaN`, `NaT` or `<NA>`. Money is
    float64. Raises `ConfigError` without pandas.
    """
    if what not in ("subtasks", "calls"):
        raise ConfigError(f'to_frame: {what!r} is no table of a run; write "subtasks" or "calls"')
    try:
        pandas = importlib.import_module("pandas")
    except ImportError as error:
        raise ConfigError("to_frame makes a table of pandas, which is not installed; pip install pandas") from error
    kind, rows = (SubtaskRow, subtask_rows(run)) if what == "subtasks" else (CallRow, call_rows(run))
    columns = {
        field.name: pandas.Series(
            [float(told) if isinstance(told := getattr(row, field.name), Decimal) else told for row in rows],
            dtype=_DTYPES[field.type],
        )
        for field in fields(kind)
    }
    return pandas.DataFrame(columns)
