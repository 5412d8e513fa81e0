"""What models, endpoints, files and names say is read by people and by programs, and obeyed by neither."""

import io
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from beside import beside
from person import Person
from stretto.cli.screen import Screen, drawing_on
from stretto.ground.text import one_line, seemly
from terminal import Terminal

ACTS = "\x1b]0;PWNED\x07\x1b]52;c;cm0gLXJmIH4=\x07\x1b[2J\x9b2J\x9d0;PWNED\x9c\r\x08\x00\u202eevil\u2066"
SEEN = ("\x1b]", "\x1b[2J", "\x9b", "\x9d", "\x07", "\x08", "\x00", "\u202e", "\u2066")


@pytest.fixture
def terminal(tmp_path: Path) -> Terminal:
    return Terminal(tmp_path)


@given(st.text())
def test_what_is_seemly_has_nothing_in_it_that_acts(text: str) -> None:
    left = seemly(text)
    assert not {letter for letter in left if letter < " " or "\x7f" <= letter < "\xa0"} - {"\n", "\t"}
    assert seemly(left) == left
    assert len(one_line(text).splitlines()) <= 1


def test_a_screen_takes_what_is_seemly_whoever_writes_and_what_is_drawn_as_it_is() -> None:
    under = io.StringIO()
    screen = Screen(under)
    screen.write(f"a{ACTS}b\n")
    screen.writelines([ACTS, "c\n"])
    screen.buffer.write(f"d{ACTS}".encode())
    assert not any(sign in under.getvalue() for sign in SEEN)
    drawing_on(screen)("\x1b[2m")  # type: ignore[arg-type] # as much of a stream as is used
    assert under.getvalue().endswith("\x1b[2m")
    with pytest.raises(TypeError):
        screen.write(b"x")  # type: ignore[arg-type] # click finds out so


REFUSALS: dict[str, Callable[[], web.Response]] = {
    "an error": lambda: web.json_response({"error": {"message": f"bad {ACTS}"}}, status=401),
    "a page": lambda: web.Response(status=500, text=f"boom {ACTS}"),
    "no plan": lambda: web.json_response(
        {"choices": [{"message": {"content": f"no {ACTS}"}, "finish_reason": "stop"}]}
    ),
    "models": lambda: web.json_response({"data": [{"id": f"m{ACTS}"}, {"id": "n\x9b2J"}]}),
    "an odd finish": lambda: web.json_response({"choices": [{"message": {"content": "x"}, "finish_reason": ACTS}]}),
}


@pytest.mark.parametrize("kind", REFUSALS)
def test_nothing_that_an_endpoint_says_commands_a_terminal(terminal: Terminal, kind: str) -> None:
    async def answer(_: web.Request) -> web.StreamResponse:
        return REFUSALS[kind]()

    with beside(answer) as url:
        terminal.write("stretto.toml", f'[providers.odd]\nbase_url = "{url}/v1"\n')
        commands = [
            ("run", "--plain", "-m", "odd:m", "--attempts", "1", "Say hi"),
            ("run", "--json", "-m", "odd:m", "--attempts", "1", "Say hi"),
            ("show", "--last"),
            ("show", "--last", "--json"),
            ("export", "--last"),
        ]
        for args in [("models", "odd"), ("models", "odd", "--json")] if kind == "models" else commands:
            person = Person(terminal, *args)
            person.ends()
            assert not [sign for sign in SEEN if sign in person.seen], args


def test_nor_does_the_name_of_a_file(terminal: Terminal) -> None:
    name = f"big{ACTS.replace(chr(0), '')}.txt"
    (terminal.folder / "repo").mkdir()
    (terminal.folder / "repo" / name).write_text("x" * 1_100_000)
    (terminal.folder / "repo" / "\x1b]0;PWNED\x07.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    for args in (
        ("run", "-m", "sim:instant", "-i", "repo/", "hi"),
        ("run", "-m", "sim:instant", "-i", "repo/*.png", "hi"),
        ("import", f"repo/{name}"),
        ("run", "-w", f"./{name}", "hi"),
        ("replay", "x\x1b]0;PWNED\x07"),
        ("nix\x1b]0;PWNED\x07",),
    ):
        person = Person(terminal, *args)
        person.ends()
        assert not [sign for sign in SEEN if sign in person.seen], args


def test_into_a_pipe_goes_what_was_answered(terminal: Terminal) -> None:
    plan = {"task": "t", "tasks": [{"type": "w", "description": f"x{ACTS}"}]}
    terminal.write("plan.json", json.dumps(plan))
    terminal.write("flow.toml", '[orchestrator]\nmodel = "sim:instant"\n[workers.w]\nmodel = "sim:instant"\n')
    assert terminal("run", "-q", "-w", "./flow.toml", "--plan", "plan.json").code == 0
    assert "\\u001b]0;PWNED" in terminal("show", "--last", "--json").out


def test_nobody_but_the_logger_writes_a_line_of_the_log(terminal: Terminal) -> None:
    forged = "oops\n2026-01-01 00:00:00,000 INFO    run X: finished\r\x85\u2028\x0b2026-01-01 ERROR forged\x1b[2J"

    async def answer(_: web.Request) -> web.StreamResponse:
        return web.json_response({"error": {"message": forged, "type": forged}}, status=400)

    with beside(answer) as url:
        terminal.write("stretto.toml", f'[providers.odd]\nbase_url = "{url}/v1"\n')
        terminal("--log", "log.txt", "run", "-q", "-m", "odd:m", "Say hi")
    text = (terminal.folder / "log.txt").read_text()
    assert "oops" in text
    lines = text.splitlines()
    assert lines == text.removesuffix("\n").split("\n")
    assert all(re.match(r"20\d\d-\d\d-\d\d [\d:,]+ [A-Z]+ +(?:run 0|odd does)", line) for line in lines), lines
    assert "\x1b" not in text
