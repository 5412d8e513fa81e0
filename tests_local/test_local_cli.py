"""`stretto` with a model in a file: killed and gone on with, stopped, looked at, and without the package it takes."""

import os
import re
import signal
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

import pytest

import ggufs
import stretto
from terminal import Terminal, kinds
from test_local_server import gone

WORKFLOW = """
[orchestrator]
model = "local:{model}"

[workers.a]
model = "local:{model}"
prompt = "{{task_description}}"
options = {{ temperature = 0, max_tokens = {tokens}, ignore_eos = true }}

[synthesizer]
model = "local:{model}"
prompt = "Merge: {{worker_responses}}"
options = {{ temperature = 0, max_tokens = 8 }}

[providers.local]
context = "1k"
threads = 1
"""
PLAN = (
    '{"task": "Furnish a house", "tasks": [{"type": "a", "description": "one"}, {"type": "a", "description": "two"}]}'
)


@pytest.fixture
def terminal(tmp_path: Path, smollm: Path) -> Terminal:
    made = Terminal(tmp_path)
    made.environ |= {"HF_HOME": str(tmp_path / "hf"), "HTTP_PROXY": "http://127.0.0.1:9"}  # which nobody may ask
    made.write("short.toml", WORKFLOW.format(model=smollm, tokens=8))
    made.write("long.toml", WORKFLOW.format(model=smollm, tokens=900))
    made.write("plan.json", PLAN)
    return made


def child_of(process: subprocess.Popen[bytes]) -> int:
    """The process that serves the model, once there is one."""
    told = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    until = time.monotonic() + 30
    while not (found := told.read_text(encoding="ascii").split()):
        assert time.monotonic() < until
        time.sleep(0.02)
    return int(found[0])


def test_a_run_that_was_killed_leaves_no_process_and_is_gone_on_with(terminal: Terminal) -> None:
    child = terminal.start("run", "-w", "./long.toml", "--plan", "plan.json", "--json")
    assert child.stdout
    while b"call_started" not in child.stdout.readline():
        pass
    serving = child_of(child)
    child.kill()
    child.communicate()
    assert gone(serving, 2)
    done = terminal("resume", "--last", "-w", "./short.toml", "--json")
    assert done.code == 4  # what the workers say is cut off after eight tokens
    assert kinds(done.events)[-1] == "run_finished"


def test_ctrl_c_at_a_terminal_leaves_nothing_behind(terminal: Terminal) -> None:
    child = terminal.start("run", "-w", "./long.toml", "--plan", "plan.json", "--json")
    assert child.stdout
    while b"call_started" not in child.stdout.readline():
        pass
    serving = child_of(child)
    assert os.getpgid(serving) != os.getpgid(child.pid)  # so that a terminal's Ctrl-C is not for it
    child.send_signal(signal.SIGINT)
    _, err = child.communicate(timeout=20)
    assert child.returncode == 130
    assert "stopped, before anything was complete" in err.decode()
    assert gone(serving, 1)


def test_a_replay_and_a_rerun_of_what_is_recorded_load_nothing(terminal: Terminal) -> None:
    assert terminal("run", "-w", "./short.toml", "--plan", "plan.json").code == 4
    again = terminal("replay", "--last", "--json")
    assert kinds(again.events)[-1] == "run_finished"
    rerun = terminal("rerun", "--last", "--json")
    assert rerun.code == 4
    assert all(event["reused"] for event in rerun.events if event["kind"] == "call_finished")


def test_models_lists_the_files_that_are_here_and_doctor_what_becomes_of_them(terminal: Terminal) -> None:
    ggufs.write(terminal.folder / "tiny.gguf")
    terminal.write("no.gguf", "not one")
    listed = terminal("models", "local")
    assert listed.out.split() == ["local:tiny.gguf", "4,096", "tokens", "0", "MB"]
    doctor = terminal("doctor", "--offline", "-m", "local:tiny.gguf")
    assert "0 MB, 4 calls at once, 4,096 tokens of context each" in doctor.out
    assert doctor.code == 0
    broken = terminal("doctor", "--offline", "-m", "local:no.gguf")
    assert broken.code == 3
    assert "no GGUF file" in broken.out


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("nothing.gguf", "there is no such file; `stretto models local` lists those that are here"),
        ("no.gguf", "no GGUF file (it does not begin with GGUF)"),
        ("cut.gguf", "cut off after 200 bytes, before its model ends; get the file again"),
        ("model", "a local model is a GGUF file"),
        ("huge.gguf", "of memory (weights 10 MB, 4 x 2,048 tokens of context"),
    ],
)
def test_a_file_that_cannot_be_served_is_a_configuration_error(terminal: Terminal, name: str, said: str) -> None:
    terminal.write("no.gguf", "not one")
    (terminal.folder / "cut.gguf").write_bytes(ggufs.write(terminal.folder / "tiny.gguf")[:200])
    ggufs.write(
        terminal.folder / "huge.gguf", 10_000_000, **{"llama.context_length": 10**6, "llama.block_count": 10**8}
    )
    done = terminal("run", "-m", f"local:{name}", "Say hello")
    assert done.code == 3
    assert f"local:{name}: " in done.err
    assert said in done.err


def test_without_the_package_the_one_command_is_said_that_installs_it(terminal: Terminal, tmp_path: Path) -> None:
    installed, there = Path(sysconfig.get_paths()["purelib"]), tmp_path / "packages"
    there.mkdir()
    for entry in installed.iterdir():
        if not entry.name.startswith(("xllamacpp", "huggingface_hub", "__editable__", "_editable")):
            (there / entry.name).symlink_to(entry)
    source = Path(str(stretto.__file__)).parent
    if not (there / "stretto").exists():
        (there / "stretto").symlink_to(source)
    ggufs.write(terminal.folder / "tiny.gguf")

    def without(*arguments: str) -> subprocess.CompletedProcess[str]:
        # The interpreter below the environment: it has no packages but those that are named here.
        python = Path(sys.base_prefix) / "bin" / "python3"
        command = [str(python), "-m", "stretto", *arguments]
        environ = terminal.environ | {"PYTHONPATH": str(there)}
        return subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, check=False)

    for name in ("tiny.gguf", "tea/Assam-GGUF/assam.gguf"):
        done = without("run", "-m", f"local:{name}", "Say hello")
        assert done.returncode == 3
        assert re.search(r"which is not installed: (?:\S+ )*\S*\blocal\b\S*$", done.stderr.rstrip())
    assert "local:tiny.gguf" in without("models", "local").stdout
