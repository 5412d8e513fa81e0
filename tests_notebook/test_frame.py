"""A run as a table of pandas."""

import pandas as pd
import pytest

import stretto
from stretto.events import RunStarted
from stretto.fold import fold

TYPES = {
    "subtasks": {"subtask": "string", "outcome": "string", "seconds": "float64", "calls": "int64", "cost": "float64"},
    "calls": {"call": "string", "subtask": "string", "seconds": "float64", "reused": "bool", "cost": "float64"},
}


@pytest.fixture(scope="module")
def run() -> stretto.Run:
    flow = stretto.Workflow("sim:instant", {"a": "sim:instant"}, "sim:instant")
    return flow.run_sync("Compare in 5 subtasks")


@pytest.mark.parametrize("what", ["subtasks", "calls"])
def test_columns_have_the_same_types_with_rows_and_without(run: stretto.Run, what: str) -> None:
    nothing = fold([RunStarted(run="R", task="tea", workflow={})])
    for told in (run, nothing):
        frame = told.to_frame(what)  # type: ignore[arg-type]
        types = {name: str(kind) for name, kind in frame.dtypes.items()}
        assert TYPES[what].items() <= types.items()
        assert types["started_at"] == types["finished_at"] == "datetime64[ms, UTC]"
    assert len(run.to_frame(what)) == (5 if what == "subtasks" else 7)  # type: ignore[arg-type]


def test_a_table_adds_up_to_the_run(run: stretto.Run) -> None:
    calls = run.to_frame("calls")
    assert calls["output_tokens"].sum() == run.usage.output_tokens
    assert calls["cost"].sum() == 0
    assert set(calls["role"]) == {"orchestrator", "worker", "synthesizer"}
    subtasks = run.to_frame()
    assert list(subtasks["subtask"]) == [subtask.id for subtask in run.plan.subtasks]
    assert (subtasks["finished_at"] >= subtasks["started_at"]).all()


def test_what_is_unknown_is_told_as_pandas_tells_it(run: stretto.Run) -> None:
    frame = run.to_frame("calls")
    assert frame.loc[frame["role"] == "orchestrator", "subtask"].isna().all()
    assert pd.isna(frame["error"]).all()
