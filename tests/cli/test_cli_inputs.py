"""`-i` as a user meets it: what is read is told with its size, and what cannot be is one clear message."""

import json
from pathlib import Path

import pytest

from stretto.store.sqlite import Store
from terminal import Terminal, served

TASK = "Compare teas in 3 subtasks"


@pytest.fixture
def terminal(tmp_path: Path) -> Terminal:
    terminal = Terminal(tmp_path)
    terminal.write("docs/green.md", "Green tea is steamed.\n" * 100)
    terminal.write("docs/black.md", "Black tea is oxidised.\n" * 100)
    terminal.write("docs/.gitignore", "*.log\n")
    terminal.write("docs/x.log", "secret")
    return terminal


def kept(terminal: Terminal) -> list[str]:
    """What the inputs of the newest run are called."""
    return [each.name for each in Store(terminal.store).run(terminal.run_id()).basis.inputs]


def test_a_folder_a_glob_and_standard_input_are_read_and_told_with_their_sizes(terminal: Terminal) -> None:
    terminal.write("notes/a.txt", "a note")
    done = terminal.fed(b"piped", "run", "-m", "sim:instant", "-i", "docs", "-i", "notes/*.txt", "-i", "-", TASK)
    assert done.code == 0, done.err
    assert "docs  2 files, 4 kB, about 1,501 tokens" in done.err.replace("4.5", "4")
    assert "notes/*.txt  6 bytes, about 2 tokens" in done.err
    assert "in all 4 files" in done.err
    assert kept(terminal) == ["docs/black.md", "docs/green.md", "notes/a.txt", "stdin"]
    shown = terminal("show", "--last").out
    assert "## Inputs, at the head of every prompt" in shown
    assert "- docs/green.md: 2 kB" in shown
    assert "secret" not in terminal("show", "--last", "--json").out


def test_over_a_socket_every_request_has_them_at_its_head(terminal: Terminal) -> None:
    with served() as (url, provider):
        terminal.environ["MINE_BASE_URL"] = url
        terminal.write("stretto.toml", f'[providers.mine]\nbase_url = "{url}"\n')
        done = terminal("run", "-m", "mine:instant", "-i", "docs", TASK)
        assert done.code == 0, done.err
        assert sum(provider.asked.values()) == 5
    run = Store(terminal.store).run(terminal.run_id())
    usages = [call.finished.usage for call in run.calls if call.finished]
    assert all(usage and usage.input_tokens > 1000 for usage in usages)
    assert len(run.plan.subtasks) == 3


def test_a_plan_keeps_them_for_who_carries_it_out(terminal: Terminal) -> None:
    assert terminal("plan", "-m", "sim:instant", "-i", "docs/green.md", TASK).code == 0
    assert terminal("resume", "--last").code == 0
    assert kept(terminal) == ["docs/green.md"]


def test_a_rerun_has_those_of_its_origin_unless_it_is_given_others(terminal: Terminal) -> None:
    terminal("run", "-q", "-m", "sim:instant", "-i", "docs", TASK)
    run = terminal.run_id()
    again = terminal("rerun", run)
    assert again.code == 0
    assert "5 reused" in again.err
    assert kept(terminal) == ["docs/black.md", "docs/green.md"]
    told = terminal("rerun", run, "-i", "docs/green.md", "--explain", "--json")
    assert json.loads(told.out.splitlines()[0])["why"] == "inputs changed"
    assert terminal("rerun", run, "-i", "docs/green.md").code == 0
    assert kept(terminal) == ["docs/green.md"]


def test_a_run_travels_with_its_inputs_and_is_replayed_elsewhere(terminal: Terminal) -> None:
    first = terminal("run", "-q", "-m", "sim:instant", "-i", "docs", TASK)
    assert terminal("export", "--last", "-o", "run.jsonl").code == 0
    exported = (terminal.folder / "run.jsonl").read_text()
    assert exported.count("Green tea is steamed.") == 100
    assert terminal("import", "run.jsonl", "--store", "other.db").code == 0
    assert terminal("replay", "--last", "-q", "--store", "other.db").out == first.out


@pytest.mark.parametrize(
    ("args", "stdin", "said"),
    [
        (["-i", "nowhere", TASK], b"", "nowhere: there is no such file or folder"),
        (["-i", "-", TASK], b"\x89PNG\r\n\x1a\n", "an image (png), which is sent if its file is named itself"),
        (["-i", "large.png", TASK], b"", "large.png: an image of more than 5,000,000 bytes"),
        (
            ["-i", "docs", "--max-input", "3k", TASK],
            b"",
            "docs: more than 3,000 bytes, and every call carries all of it",
        ),
        (["-i", "docs", "--max-input", "1", TASK], b"", "docs/black.md: 2,300 bytes"),
        (["-i", "docs", "--max-input", "lots", TASK], b"", "--max-input"),
        (["-i", "http://127.0.0.1:9/", TASK], b"", "http://127.0.0.1:9/: cannot be read"),
        (["-i", "-"], b"text", "only if the task is not read from it"),
        (["-i", "-", "-"], b"text", "only if the task is not read from it"),
        (["-i", "-", "-i", "-", TASK], b"text", "once only"),
        (["-i", "-", TASK], b"", "standard input: there is nothing in it"),
        (["-i", "docs/black.md", "docs/green.md"], b"", "quote a glob"),
    ],
)
def test_what_cannot_be_an_input(terminal: Terminal, args: list[str], stdin: bytes, said: str) -> None:
    (terminal.folder / "large.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(5_000_000))
    done = terminal.fed(stdin, "run", "-m", "sim:instant", *args)
    assert done.code == 2
    assert said in done.err
    assert not terminal.store.exists()


def test_a_file_with_a_strange_name_cannot_draw_on_the_terminal(terminal: Terminal) -> None:
    terminal.write("odd/\x1b[31mred\n.md", "text")
    done = terminal("run", "-m", "sim:instant", "-i", "odd", TASK)
    assert done.code == 0
    assert "\x1b" not in done.err + terminal("show", "--last").out
