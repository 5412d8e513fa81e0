"""Files that somebody names and that are none: endless ones, pipes nobody writes to, links that lead in a circle."""

import os
import subprocess
from pathlib import Path

import pytest

import stretto
from stretto.config import read_file
from stretto.config.values import role_of
from stretto.errors import ConfigError, StoreError, TaskError
from stretto.ground.files import LARGEST, read_bytes, read_text
from stretto.store.sqlite import Store
from terminal import STRETTO, Terminal

ENDLESS = Path("/dev/zero")
WORKFLOW = '[orchestrator]\nmodel = "sim:instant"\n{orchestrator}\n[workers.w]\nmodel = "sim:instant"\n{worker}\n'


@pytest.fixture
def terminal(tmp_path: Path) -> Terminal:
    return Terminal(tmp_path)


@pytest.mark.parametrize(
    "words",
    [("-f", "/dev/zero"), ("--plan", "/dev/zero"), ("--schema", "/dev/zero", "task"), ("-w", "/dev/zero", "task")],
)
def test_what_has_no_end_is_not_read_to_it(terminal: Terminal, words: tuple[str, ...]) -> None:
    done = terminal("run", "-m", "sim:instant", *words)
    assert done.code in {2, 3}
    assert f"/dev/zero: cannot be read: more than {LARGEST >> 20} MB" in done.err
    assert "Traceback" not in done.err


def test_a_pipe_without_end_is_not_read_to_it(tmp_path: Path) -> None:
    words = [STRETTO, "run", "-m", "sim:instant", "-"]
    with ENDLESS.open("rb") as endless:
        done = subprocess.run(words, stdin=endless, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 2
    assert "standard input: cannot be read: more than" in done.stderr


def test_a_file_is_read_as_it_is_and_a_text_without_what_windows_adds(tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.write_bytes(b"\xef\xbb\xbfone\r\ntwo\n")
    assert read_bytes(file) == b"\xef\xbb\xbfone\r\ntwo\n"
    assert read_text(file) == "one\ntwo\n"


@pytest.mark.parametrize("key", ["prompt_file", "schema_file", "workflow"])
def test_a_pipe_in_the_place_of_a_file_that_a_workflow_names_holds_nobody_up(tmp_path: Path, key: str) -> None:
    os.mkfifo(tmp_path / "pipe.toml")
    (tmp_path / "w.toml").write_text(WORKFLOW.format(orchestrator="", worker=f'{key} = "pipe.toml"'))
    with pytest.raises(ConfigError, match=r"pipe\.toml: a folder, pipe or device; name a file"):
        stretto.Workflow.from_toml(tmp_path / "w.toml")


def test_a_prompt_is_read_as_text_whatever_wrote_it(tmp_path: Path) -> None:
    (tmp_path / "p.md").write_bytes(b"\xef\xbb\xbfPlan {task}\r\nas tasks\r\n")
    (tmp_path / "w.toml").write_text(WORKFLOW.format(orchestrator='prompt_file = "p.md"', worker=""))
    role = role_of(read_file(tmp_path / "w.toml").table["orchestrator"], "here", tmp_path)
    assert role.prompt == "Plan {task}\nas tasks\n"


@pytest.mark.parametrize("create", [True, False])
def test_a_store_is_a_file(tmp_path: Path, *, create: bool) -> None:
    (circle := tmp_path / "circle.db").symlink_to(circle)
    os.mkfifo(pipe := tmp_path / "pipe.db")
    for path, said in (
        (circle, "lead in a circle"),
        (pipe, "pipe or device"),
        (Path("/dev/null"), "device"),
    ):
        with pytest.raises(StoreError, match=said):
            if create:
                stretto.Workflow("sim:instant", {"w": stretto.Role("sim:instant")}, None, store=path).run_sync("task")
            else:
                Store(path).listing()


def test_an_input_that_links_lead_to_in_a_circle_is_an_error_that_names_it(tmp_path: Path) -> None:
    (circle := tmp_path / "circle.md").symlink_to(circle)
    with pytest.raises(TaskError, match=r"circle\.md: cannot be read"):
        stretto.read_inputs(circle)
