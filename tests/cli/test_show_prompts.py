"""`stretto show --prompts`: what a model was asked, and what it would be asked by default."""

from pathlib import Path

from click.testing import CliRunner

from stretto.cli import cli

TASK = "Name uses of a brick in 3 subtasks"


def said(*arguments: str | Path) -> str:
    done = CliRunner().invoke(cli, [str(each) for each in arguments])
    assert done.exit_code == 0
    return done.output


def test_the_prompts_of_a_run_are_shown_as_they_were_sent(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("Sea water.\n", encoding="utf-8")
    store = tmp_path / "runs.db"
    said("run", "-q", "-m", "sim:instant", "-i", tmp_path / "a.txt", "--store", store, TASK)
    shown = said("show", "--last", "--prompts", "--store", store)
    assert shown.count("\nSea water.\n") == 1
    assert shown.count("(the inputs, as above)") == 4
    assert shown.count("## Call ") == 5
    assert TASK in shown
    assert '"additionalProperties"' in shown


def test_without_a_run_the_default_prompts_are_shown_with_their_placeholders() -> None:
    shown = said("show", "--prompts")
    assert "{original_task}" in shown
    assert all(f"## {role}\n" in shown for role in ("orchestrator", "worker", "synthesizer"))


def test_prompts_that_were_not_kept_are_said_to_be_so(tmp_path: Path) -> None:
    store = tmp_path / "runs.db"
    said("run", "-q", "-m", "sim:instant", "--record", "usage", "--store", store, TASK)
    assert "were not kept" in said("show", "--last", "--prompts", "--store", store)
