"""Odd places to be run in, and odd things to be given: one clear message, and nothing broken or replaced."""

import asyncio
import os
import re
import socket
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiohttp import web

from beside import beside
from forked import python
from stretto.inputs.pages import read_page
from stretto.inputs.texts import NoTextError
from terminal import STRETTO, Terminal

TASK = "Name uses of a brick in 2 subtasks"
SIM = ("-m", "sim:instant")
ASCII = {"LC_ALL": "C", "PYTHONIOENCODING": "ascii"}
STRICT = {**ASCII, "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
"""Without what Python does of itself to have UTF-8 all the same."""


@pytest.fixture
def terminal(tmp_path: Path) -> Terminal:
    return Terminal(tmp_path)


# -- terminals and locales


@pytest.mark.parametrize(
    "args",
    [
        ("--help",),
        ("run", "--help"),
        ("run", *SIM, TASK),
        ("presets",),
        ("models", "sim"),
        ("doctor", "--offline", *SIM),
        ("rehearse", "--runs", "3", TASK),
    ],
)
def test_in_twenty_columns_everything_can_be_said(terminal: Terminal, args: tuple[str, ...]) -> None:
    done = terminal(*args, COLUMNS="20")
    assert done.code == 0, done.err
    assert done.out


READING = [("show", "--last"), ("show", "--last", "--json"), ("export", "--last"), ("doctor", "--offline", *SIM)]


@pytest.mark.parametrize(("environ", "reading"), [(ASCII, []), (STRICT, READING)])
def test_a_locale_without_utf_8_loses_nothing(
    terminal: Terminal, environ: dict[str, str], reading: list[tuple[str, ...]]
) -> None:
    terminal.write("grün.txt", "grüner Tee")
    task = "Über Bücher — in 2 subtasks"
    done = terminal("run", *SIM, "-i", "grün.txt", "-o", "antwort-ü.md", task, **environ)
    assert done.code == 0, done.err
    assert (terminal.folder / "antwort-ü.md").read_text(encoding="utf-8").startswith(f"# {task}")
    for args in (("runs",), ("run", *SIM, task), *reading):
        done = terminal(*args, **environ)
        assert (done.code, "Über Bücher" in done.out or args[0] == "doctor") == (0, True), args


def test_a_terminal_of_another_encoding_is_told_what_it_can_show(terminal: Terminal) -> None:
    done = terminal("run", *SIM, "-q", "Über Tee — in 2 subtasks", PYTHONIOENCODING="ascii:strict", LC_ALL="C")
    assert done.code == 0
    latin = terminal.start(
        "run", *SIM, "-q", "Name 茶 uses in 2 subtasks", env=terminal.environ | {"PYTHONIOENCODING": "latin-1"}
    )
    out, err = latin.communicate(timeout=30)
    assert (latin.returncode, err) == (0, b"")
    assert out.startswith(b"# Name ? uses")


def test_a_task_that_is_no_utf_8_in_any_locale_is_refused(terminal: Terminal) -> None:
    for environ in (ASCII, STRICT):
        done = terminal("run", *SIM, b"abc\xff", **environ)
        assert (done.code, "TASK: not UTF-8 text" in done.err) == (2, True)


@pytest.mark.parametrize(
    "args", [("runs",), ("presets",), ("show", "--last"), ("doctor", "--offline", *SIM), ("models", "sim"), ("--help",)]
)
def test_nobody_reads_to_the_end(terminal: Terminal, args: tuple[str, ...]) -> None:
    terminal("run", "-q", *SIM, TASK)
    reading, writing = os.pipe()
    os.close(reading)
    child = terminal.start(*args, stdout=writing)
    os.close(writing)
    _, err = child.communicate(timeout=30)
    assert child.returncode in {0, 141}
    assert b"Traceback" not in err
    assert b"Exception" not in err


def test_stdout_may_be_closed_or_full(terminal: Terminal) -> None:
    for shell, code in (('"$0" presets >&-', 0), ('"$0" completion bash >/dev/full', 1), ('"$0" doctor >/dev/full', 1)):
        environ = terminal.environ | {"STRETTO_MODEL": "sim:instant"}
        done = subprocess.run(
            ["bash", "-c", shell, STRETTO],
            cwd=terminal.folder,
            env=environ,
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, "Traceback" in done.stderr) == (code, False), shell
        assert code == 0 or "cannot write the output: No space left on device" in done.stderr


# Root may do everything, so whoever has to be kept out is nobody.
AS_NOBODY = """
import os, sys
if not os.getuid():
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
from stretto.__main__ import main
sys.argv[0] = "stretto"
main()
"""


@pytest.fixture
def shut() -> Iterator[Terminal]:
    """A folder that everybody gets to, until it is shut."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        path.chmod(0o755)
        yield Terminal(path)
        path.chmod(0o755)


def as_nobody(terminal: Terminal, *args: str) -> "subprocess.CompletedProcess[str]":
    return python("-c", AS_NOBODY, *args, folder=terminal.folder, environ=terminal.environ)


def test_a_store_is_read_where_nothing_can_be_written(shut: Terminal) -> None:
    shut("run", "-q", *SIM, TASK)
    shut.store.chmod(0o444)
    shut.folder.chmod(0o555)
    assert "finished" in as_nobody(shut, "runs").stdout
    assert "## Task" in as_nobody(shut, "show", "--last").stdout
    done = as_nobody(shut, "run", *SIM, TASK)
    assert (done.returncode, "cannot be written; check its permissions" in done.stderr) == (1, True)


def test_a_folder_that_is_shut_is_named_and_its_configuration_passed_by(shut: Terminal) -> None:
    shut.folder.chmod(0o700 if not os.getuid() else 0)
    done = as_nobody(shut, "run", *SIM, "--store", str(shut.folder / "s.db"), TASK)
    assert (done.returncode, f"{shut.folder / 's.db'}: Permission denied" in done.stderr) == (1, True)


def test_a_time_zone_that_is_none_hides_no_run(terminal: Terminal) -> None:
    terminal("run", "-q", *SIM, TASK)
    assert " UTC " in terminal("runs", TZ="XYZ25:99").out


def test_as_a_module_it_is_called_the_same(terminal: Terminal) -> None:
    python = Path(STRETTO).with_name("python")
    for args, said in ((("--version",), "stretto 0.1.0"), (("run", "--help"), "Usage: stretto run ")):
        done = subprocess.run([python, "-m", "stretto", *args], env=terminal.environ, capture_output=True, check=True)
        assert done.stdout.decode().startswith(said)


# -- tasks, inputs, outputs


def test_a_task_of_two_megabytes_is_answered(terminal: Terminal) -> None:
    terminal.write("task.md", f"{TASK}. " + "brick " * 350_000)
    done = terminal("run", *SIM, "-f", "task.md")
    assert done.code == 0
    assert len(done.out) < 10_000
    assert terminal("runs").out.count("\n") == 1


def test_a_folder_with_a_socket_in_it_is_read_without_that(terminal: Terminal) -> None:
    terminal.write("notes/a.txt", "tea")
    os.mkfifo(terminal.folder / "notes" / "pipe")
    here = Path.cwd()
    with socket.socket(socket.AF_UNIX) as plug:
        os.chdir(terminal.folder)  # a socket's path has a hundred characters at the most
        plug.bind("notes/plug")
        os.chdir(here)
        done = terminal("run", *SIM, "-i", "notes", TASK)
        assert done.code == 0, done.err
        assert "notes/plug: left out: no regular file" in done.err
        assert "notes/pipe: left out: no regular file" in done.err
        for args in (("-i", "notes/plug", TASK), ("-f", "notes/plug")):
            refused = terminal("run", *SIM, *args)
            assert refused.code == 2
            assert re.search(r"notes/plug: .*(leave it out|name a file|pipe its text in)", refused.err)


@pytest.mark.parametrize("output", ["nowhere/a.md", ".", "/proc/a.md"])
@pytest.mark.parametrize("command", [("run", *SIM, TASK), ("plan", *SIM, TASK, "-o"), ("export", "--last", "-o")])
def test_where_nothing_can_be_written_nothing_is_asked(
    terminal: Terminal, output: str, command: tuple[str, ...]
) -> None:
    terminal("run", "-q", *SIM, TASK)
    before = terminal("runs").out
    done = terminal(*command, *([] if command[-1] == "-o" else ["-o"]), output)
    assert done.code in {1, 2}
    assert re.search(rf"{output}.*(name another file|is a directory)", done.err)
    assert terminal("runs").out == before


@pytest.mark.parametrize(
    "command", [("export", "--last", "-o"), ("run", "-q", *SIM, TASK, "-o"), ("backup", "--force")]
)
def test_what_is_no_file_is_never_replaced_by_one(terminal: Terminal, command: tuple[str, ...]) -> None:
    terminal("run", "-q", *SIM, TASK)
    pipe = terminal.folder / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    done = terminal(*command, pipe)
    came = os.read(reader, 65536)
    os.close(reader)
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    if command[0] == "backup":
        assert (done.code, came) == (2, b"")
        assert "pipe: no regular file; name one" in done.err
    else:
        assert done.code == 0
        assert len(came) > 100


# -- addresses


async def _moved(_: web.Request) -> web.StreamResponse:
    raise web.HTTPFound("http://127.0.0.1:9/secret")


async def _silent(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "text/plain"})
    await response.prepare(request)
    await response.write(b"tea")
    await asyncio.Event().wait()  # until the caller leaves
    return response


async def _huge(_: web.Request) -> web.StreamResponse:
    return web.Response(text="tea " * 500_000)


def test_a_page_that_leads_to_this_machine_is_refused(terminal: Terminal) -> None:
    with beside(_moved) as proxy:  # a public address, seen through the user's proxy
        done = terminal("run", *SIM, "-i", "http://8.8.8.8/page", TASK, http_proxy=proxy, NO_PROXY="127.0.0.1")
    assert done.code == 2
    assert "http://8.8.8.8/page: cannot be read: a public address leads to 127.0.0.1, which is not public" in done.err
    assert not terminal.store.exists()


def test_a_page_that_is_huge_is_refused(terminal: Terminal) -> None:
    with beside(_huge) as url:
        done = terminal("run", *SIM, "-i", url, TASK)
    assert done.code == 2
    assert "1,000,000" in done.err


def test_a_page_that_is_slow_is_given_up() -> None:
    with beside(_silent) as url, pytest.raises(NoTextError, match=r"did not come within 0\.2 s; fetch it first"):
        read_page(url, 1000, patience=0.2)


def test_a_page_where_nobody_is_says_so_in_words(terminal: Terminal) -> None:
    done = terminal("run", *SIM, "-i", "http://127.0.0.1:9/page", TASK)
    assert done.code == 2
    assert "cannot connect to 127.0.0.1:9 (nothing listens there; is the server running?)" in done.err
    assert "truststore" not in done.err
