"""The example in a real kernel, with nobody there to type a key."""

import os
import re
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from safety import Reading

NOTEBOOK = Path(__file__).parent.parent / "examples" / "cookbook.ipynb"


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Any]]:
    """What each code cell of the notebook put out, by the cell's id; on the simulator, at once."""
    folder = tmp_path_factory.mktemp("notebook")
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    for cell in notebook.cells:
        cell.source = re.sub(r"sim:(?:default|fast)", "sim:instant", cell.source)
    kept = {name: value for name, value in os.environ.items() if not name.endswith("_API_KEY")}
    client = NotebookClient(notebook, timeout=60, resources={"metadata": {"path": str(folder)}})
    client.execute(env=kept | {"IPYTHONDIR": str(folder / "ipython")})
    return {cell.id: cell.outputs for cell in notebook.cells if cell.cell_type == "code"}


def said(outputs: list[Any]) -> str:
    return "".join(output.text for output in outputs if output.output_type == "stream")


def pictures(outputs: list[Any]) -> list[Reading]:
    return [Reading(output.data["text/html"]) for output in outputs if "text/html" in output.get("data", {})]


def test_every_cell_runs_and_what_is_simulated_says_so(outputs: dict[str, list[Any]]) -> None:
    assert not [output for each in outputs.values() for output in each if output.output_type == "error"]
    assert "SIMULATED" in said(outputs["key"])
    for cell in ("plan", "run", "rerun", "budget", "function"):
        (picture,) = pictures(outputs[cell])
        assert "no language model was asked" in picture.text
        assert picture.wrong == []


def test_the_run_goes_on_with_the_plan_and_shows_the_answer(outputs: dict[str, list[Any]]) -> None:
    assert re.findall(r"^t\d +(\S+):", said(outputs["plan"]), re.MULTILINE) == ["plan", "code/solve", "test"]
    (picture,) = pictures(outputs["run"])
    assert "finished" in picture.text
    assert "def next_leap_years" in picture.text
    assert ("h2", {}) in picture.elements  # Markdown was rendered


def test_a_changed_prompt_asks_only_what_it_changes(outputs: dict[str, list[Any]]) -> None:
    fates = dict(re.findall(r"^(\w+) .*\b(reused|new)\b", said(outputs["explain"]), re.MULTILINE))
    assert fates == {"orchestrator": "reused", "t1": "reused", "t2": "reused", "t3": "new", "synthesizer": "new"}
    assert said(outputs["rerun"]).startswith("asked: t3")


def test_a_ceiling_is_kept_and_what_is_missing_is_told(outputs: dict[str, list[Any]]) -> None:
    found = re.match(r"([\d,]+) tokens; (\d+) subtasks are missing", said(outputs["budget"]))
    assert found
    assert int(found[1].replace(",", "")) <= 2_500
    assert int(found[2]) > 0


def test_a_function_works_beside_models(outputs: dict[str, list[Any]]) -> None:
    assert "leap years: 2028, 2032" in said(outputs["function"])


def test_a_run_is_a_table(outputs: dict[str, list[Any]]) -> None:
    (output,) = outputs["frame"]
    assert "code/solve" in output.data["text/plain"]
    assert "<table" in output.data["text/html"]
