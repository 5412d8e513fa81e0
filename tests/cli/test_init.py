"""`stretto presets` and `stretto init`: what is there, and how it becomes one's own."""

import os
import pty
import re
import select
import tomllib
from pathlib import Path
from typing import Any

import pytest

from stretto.config import presets
from stretto.config.preset import ones_own, preset
from stretto.store.sqlite import Store
from terminal import Terminal

NAMES = presets()
DIFF = b"--- a/x.py\n+++ b/x.py\n@@ -1 +1 @@\n-a = 1\n+a = 2\n"


@pytest.fixture
def terminal(tmp_path: Path) -> Terminal:
    return Terminal(tmp_path)


def typed(terminal: Terminal, keys: str, *args: str) -> tuple[str, int]:
    """What a person reads on the terminal who types `keys` into it, and the exit code."""
    ours, theirs = pty.openpty()
    child = terminal.child(*args, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    os.write(ours, keys.encode())
    read = bytearray()
    while select.select([ours], [], [], 10)[0]:
        try:
            piece = os.read(ours, 100_000)
        except OSError:  # Linux: the other side was closed
            break
        if not piece:
            break
        read += piece
    os.close(ours)  # which also ends a child that waits for more
    return read.decode().replace("\r\n", "\n"), child.wait()


def written(terminal: Terminal, name: str = "stretto.toml") -> dict[str, Any]:
    return tomllib.loads((terminal.folder / name).read_text(encoding="utf-8"))


# -- presets


def test_presets_are_listed_with_a_line_each_and_who_works_there(terminal: Terminal) -> None:
    done = terminal("presets")
    assert done.code == 0
    for name in NAMES:
        assert re.search(rf"^{name} +{re.escape(preset(name).about)}$", done.out, re.MULTILINE)
    assert "workers correctness, security, tests, design; synthesizer" in done.out
    assert max(map(len, done.out.splitlines())) <= 90


@pytest.mark.parametrize("name", NAMES)
def test_a_preset_is_printed_as_it_is_and_can_be_used_as_a_file(terminal: Terminal, name: str) -> None:
    done = terminal("presets", name)
    assert (done.out, done.err) == (preset(name).text, "")
    terminal.write("mine.toml", done.out)
    assert terminal("run", "-q", "-w", "mine.toml", "-m", "sim:instant", "Name three uses of a brick").code == 0


def test_a_preset_that_is_not_there_is_named_with_those_that_are(terminal: Terminal) -> None:
    for args in (["presets", "reveiw"], ["init", "--preset", "reveiw"]):
        done = terminal(*args)
        assert done.code == 3
        assert "no preset 'reveiw'; did you mean \"review\"?" in done.err


# -- what init writes


@pytest.mark.parametrize("name", NAMES)
def test_what_is_written_is_the_preset_with_a_model_and_a_budget(terminal: Terminal, name: str) -> None:
    done = terminal("init", "--preset", name, "-m", "sim:instant", "--budget", "50ct")
    assert done.code == 0, done.err
    for said in (f"from the preset {name}\n", "model: sim:instant\n", "budget: $0.5 a run at most\n"):
        assert said in done.err
    table, given = written(terminal), tomllib.loads(preset(name).text)
    assert table.pop("limits") == {**given.pop("limits", {}), "budget": "0.5"}
    for role in (table.get("orchestrator"), *table["workers"].values(), table.get("synthesizer")):
        assert not role or role.pop("model") == "sim:instant"
    assert table == given
    run = terminal.fed(DIFF, "run", "--unpriced", "allow", "-")
    assert run.code == 0, run.err


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("called", "use"), [("", "stretto run "), ("-w ./x", "stretto run -w ./x ")])
def test_its_comments_say_how_the_file_is_used(name: str, called: str, use: str) -> None:
    head = ones_own(preset(name), called, None, None).partition("\n\n")[0]
    shown = [line for line in head.splitlines() if line.startswith("#     ") and "stretto run" in line]
    assert shown
    for line in shown:
        assert use in line
        assert f"-w {name}" not in line


@pytest.mark.parametrize("name", NAMES)
def test_every_line_that_is_only_a_comment_can_be_made_to_hold(terminal: Terminal, name: str) -> None:
    text = ones_own(preset(name), "", None, None)
    head, _, rest = text.partition("\n\n")
    lines = re.sub(r"^# (?=\[|\w+ = )", "", rest, flags=re.MULTILINE).replace("PROVIDER:MODEL", "sim:instant")
    terminal.write("stretto.toml", f"{head}\n\n{lines}")
    assert {"limits", "memory", "prices", "providers"} <= set(written(terminal))
    assert terminal("allow").code == 0
    assert terminal("run", "-q", "--unpriced", "allow", "Name three uses of a brick").code == 0


def test_without_a_terminal_nothing_is_asked_and_the_model_stays_open(terminal: Terminal) -> None:
    done = terminal("init")
    assert done.code == 0
    assert done.out == ""
    assert "next:\n  stretto run " in done.err
    assert "model: none in it" in done.err
    assert set(written(terminal)) == {"orchestrator", "workers", "synthesizer", "limits"}
    assert terminal("run", "-q", "-m", "sim:instant", "Name three uses of a brick").code == 0


def test_another_file_is_used_with_its_name(terminal: Terminal) -> None:
    for file, named in (("german.toml", "german.toml"), ("german", "./german"), ("my flow.toml", "'my flow.toml'")):
        done = terminal("init", "--preset", "translate", "-m", "sim:instant", file)
        assert f"next:\n  stretto run -w {named} -i guide.md" in done.err
        assert f"stretto run -w {named} -i guide.md" in (terminal.folder / file).read_text()
    assert terminal("run", "-q", "-w", "./german", "Good morning, into German").code == 0


# -- what it refuses


def test_a_file_that_is_there_stays_unless_it_is_forced(terminal: Terminal) -> None:
    old = terminal.write("stretto.toml", "this is = not even TOML [")
    done = terminal("init", "-m", "sim:instant")
    assert done.code == 2
    assert "stretto.toml: exists already; name another file, or say --force to replace it" in done.err
    assert old.read_text() == "this is = not even TOML ["
    assert terminal("init", "--force", "-m", "sim:instant").code == 0
    assert written(terminal)["orchestrator"] == {"model": "sim:instant"}


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (["-m", "nobody:x"], 3, "-m nobody:x"),
        (["-m", "gpt"], 3, "'gpt' is no model"),
        (["--budget", "much"], 2, "--budget"),
        (["--budget", "0"], 2, "--budget"),
        (["folder"], 2, "folder: a folder; name a file"),
        (["nowhere/x.toml"], 1, "nowhere/x.toml: cannot be written: No such file"),
        (["review"], 2, "stretto init --preset review"),
    ],
)
def test_what_cannot_work_is_said_and_nothing_is_written(
    terminal: Terminal, args: list[str], code: int, said: str
) -> None:
    (terminal.folder / "folder").mkdir()
    done = terminal("init", *args)
    assert (done.code, done.out) == (code, "")
    assert said in done.err
    assert [path.name for path in terminal.folder.iterdir() if path.name != "home"] == ["folder"]


# -- on a terminal


def test_on_a_terminal_it_asks_three_questions(terminal: Terminal) -> None:
    terminal.environ["STRETTO_MODEL"] = "sim:instant"
    said, code = typed(terminal, "reveiw\nreview\n\nlots\n20ct\n", "init")
    assert code == 0, said
    assert said.count("Preset") == 2
    assert "Model [sim:instant]" in said
    assert said.count("Budget") == 2
    assert "A review of a diff" in said
    table = written(terminal)
    assert set(table["workers"]) == {"correctness", "security", "tests", "design"}
    assert table["synthesizer"]["model"] == "sim:instant"
    assert table["limits"]["budget"] == "0.2"


def test_what_is_said_beforehand_is_not_asked(terminal: Terminal) -> None:
    said, code = typed(terminal, "", "init", "--preset", "moa", "-m", "sim:instant", "--budget", "1")
    assert code == 0
    assert not re.search(r"Preset|Model|Budget", said)


def test_empty_lines_take_the_default_preset_no_model_and_no_budget(terminal: Terminal) -> None:
    said, code = typed(terminal, "\n\n\n", "init")
    assert code == 0, said
    assert set(written(terminal)["workers"]) == {"general"}
    assert written(terminal)["limits"] == {}


def test_a_model_that_is_none_is_asked_for_again(terminal: Terminal) -> None:
    said, code = typed(terminal, "\ngpt-4o\nsim:instant\n\n", "init")
    assert code == 0, said
    assert "write provider:model, for example openai:gpt-4o" in " ".join(said.split())
    assert said.count("Model") == 2
    assert written(terminal)["synthesizer"]["model"] == "sim:instant"


def test_the_model_that_a_key_offers_is_shown(terminal: Terminal) -> None:
    terminal.environ["GROQ_API_KEY"] = "secret-key"
    said, code = typed(terminal, "\n\n\n", "init")
    assert code == 0
    assert "Model [groq:openai/gpt-oss-120b]" in said
    assert written(terminal)["synthesizer"]["model"] == "groq:openai/gpt-oss-120b"
    assert "secret-key" not in said + (terminal.folder / "stretto.toml").read_text()


def test_whoever_leaves_writes_nothing(terminal: Terminal) -> None:
    said, code = typed(terminal, "review\n\x04", "init")  # Ctrl-D
    assert code == 130, said
    assert not (terminal.folder / "stretto.toml").exists()


# -- a preset without a task


def test_a_preset_without_a_task_shows_how_it_is_called(terminal: Terminal) -> None:
    said, code = typed(terminal, "", "run", "-w", "review", "-m", "sim:instant")
    assert code == 2
    assert "no task; say it, name a file (-f FILE), or pipe it in, for example: git diff | stretto run -w review -" in (
        " ".join(said.split())
    )


def test_an_empty_diff_is_said_to_be_one(terminal: Terminal) -> None:
    done = terminal("run", "-w", "review", "-m", "sim:instant", "-")
    assert done.code == 2
    assert "standard input: the task is empty; nothing came through the pipe" in done.err
    done = terminal("run", "-w", "review", "-m", "sim:instant", "-i", "-", "Review this")
    assert done.code == 2
    assert "standard input: there is nothing in it" in done.err
    assert not terminal.store.exists()


def test_a_diff_through_a_pipe_is_reviewed_and_recorded(terminal: Terminal) -> None:
    done = terminal.fed(DIFF, "run", "-w", "review", "-m", "sim:instant", "-")
    assert done.code == 0, done.err
    assert "4 of 4 subtasks, 5 calls" in done.err
    run = Store(terminal.store).run(terminal.run_id())
    assert run.task == DIFF.decode()
    assert terminal("show", "--last").code == 0
    assert terminal("replay", "--last").out == done.out
