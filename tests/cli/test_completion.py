"""Shell completion: what a TAB offers, through click's protocol and in a real bash."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from programs import Programs
from stretto.cli.offers import joined
from terminal import Terminal


@pytest.fixture
def terminal(tmp_path: Path) -> Terminal:
    return Terminal(tmp_path)


@pytest.fixture(scope="module")
def programs() -> Iterator[Programs]:
    with Programs() as programs:
        yield programs


def offered(terminal: Terminal, line: str, **environ: str) -> list[str]:
    """What fish is told for the last word of a line: each offer without its description."""
    words = line.split(" ")
    asked = {"_STRETTO_COMPLETE": "fish_complete", "COMP_WORDS": line, "COMP_CWORD": words[-1]}
    done = terminal(**asked, **environ)
    assert done.err == ""
    return [entry.partition(",")[2].partition("\t")[0] for entry in done.out.splitlines() if entry]


def in_bash(terminal: Terminal, programs: Programs, *words: str) -> list[str]:
    """What bash puts in the place of the last word, with the words as it has taken them apart."""
    quoted = " ".join(f"'{word}'" for word in words)
    script = (
        f'eval "$(stretto completion bash)"; COMP_WORDS=({quoted}); COMP_CWORD={len(words) - 1}; '
        '_stretto_completion stretto; printf "%s\\n" "${COMPREPLY[@]}"'
    )
    environ = terminal.environ | {"PATH": f"{programs.folder}:{terminal.environ['PATH']}"}
    done = subprocess.run(
        ["bash", "--norc", "-c", script], cwd=terminal.folder, env=environ, capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    return done.stdout.split()


def test_commands_and_options_are_offered(terminal: Terminal) -> None:
    assert offered(terminal, "stretto re") == ["resume", "rerun", "rehearse", "replay"]
    assert offered(terminal, "stretto run --bud") == ["--budget", "--budget-per-day"]
    assert offered(terminal, "stretto completion ") == ["bash", "zsh", "fish"]


def test_run_ids_come_from_the_store(terminal: Terminal) -> None:
    terminal("run", "-q", "-m", "sim:instant", "Name uses of a brick in 2 subtasks")
    run = terminal.run_id()
    for command in ("show", "resume", "rerun", "replay", "diff", "export"):
        assert offered(terminal, f"stretto {command} {run[:6].lower()}") == [run]
    assert offered(terminal, f"stretto diff {run} 0") == [run]
    assert offered(terminal, f"stretto show --store {terminal.store} 0", STRETTO_STORE="/nowhere.db") == [run]


def test_models_in_files_of_the_current_folder_are_offered(terminal: Terminal) -> None:
    terminal.write("tea.gguf", "")
    assert offered(terminal, "stretto run -m local:") == ["local:tea.gguf"]
    assert offered(terminal, "stretto models lo") == ["local"]


def test_models_come_from_files_and_keys(terminal: Terminal) -> None:
    terminal.write("stretto.toml", "[orchestrator]\nmodel='groq:a'\n[workers.x]\nmodel=['groq:b','ollama:c']\n")
    assert offered(terminal, "stretto run -m groq:") == ["groq:a", "groq:b"]
    assert offered(terminal, "stretto run -m workers=oll") == ["workers=ollama:c"]
    assert "openai:gpt-6-luna" in offered(terminal, "stretto run -m openai", OPENAI_API_KEY="x")


def test_presets_files_and_providers_are_offered(terminal: Terminal) -> None:
    terminal.write("some.toml", "")
    assert offered(terminal, "stretto run -w so") == ["solve", "some.toml"]
    assert offered(terminal, "stretto presets so") == ["solve"]
    assert offered(terminal, "stretto models to") == ["together"]


@pytest.mark.parametrize("line", ["stretto nix x", "stretto show 0", "stretto run -m x", "stretto run -w nix -m x"])
def test_where_there_is_nothing_to_offer_nothing_is_said(terminal: Terminal, line: str) -> None:
    terminal.write("stretto.toml", "this is no TOML")
    assert offered(terminal, line) == []


def test_bash_gets_what_comes_behind_its_breaks(terminal: Terminal, programs: Programs) -> None:
    terminal.write("stretto.toml", "[orchestrator]\nmodel='groq:openai/a'\n[workers.x]\nmodel='groq:b'\n")
    assert in_bash(terminal, programs, "stretto", "reh") == ["rehearse"]
    assert in_bash(terminal, programs, "stretto", "run", "-m", "gro") == ["groq:openai/a", "groq:b"]
    assert in_bash(terminal, programs, "stretto", "run", "-m", "groq", ":", "op") == ["openai/a"]
    assert in_bash(terminal, programs, "stretto", "run", "-m", "groq", ":") == ["openai/a", "b"]
    assert in_bash(terminal, programs, "stretto", "run", "-m", "workers", "=", "groq", ":", "b") == ["b"]
    assert in_bash(terminal, programs, "stretto", "run", "--model", "=", "groq", ":", "b") == ["b"]
    assert in_bash(terminal, programs, "stretto", "run", "--budget", "5ct", "-m", "") != []


@pytest.mark.parametrize(
    ("words", "at", "whole"),
    [
        (["s", "run"], 1, ["s", "run"]),
        (["s", "run"], 2, ["s", "run", ""]),
        (["s", "-m", "a", ":", "b", "c"], 4, ["s", "-m", "a:b"]),
        (["s", "-m", "a", ":"], 3, ["s", "-m", "a:"]),
        (["s", "-m", "r", "=", "a", ":", "b"], 6, ["s", "-m", "r=a:b"]),
    ],
)
def test_words_are_put_together_again(words: list[str], at: int, whole: list[str]) -> None:
    assert joined(words, at) == whole


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_gets_a_script_of_its_own(terminal: Terminal, shell: str) -> None:
    done = terminal("completion", shell)
    assert done.code == 0
    assert f"_STRETTO_COMPLETE={shell}_complete" in done.out
    assert terminal("completion", "tcsh").code == 2


def test_a_tab_loads_no_command_to_name_it() -> None:
    code = (
        "import os, sys; os.environ.update(_STRETTO_COMPLETE='zsh_complete', COMP_WORDS='stretto r', COMP_CWORD='1')\n"
        "from stretto.cli import main\n"
        "try: main()\nexcept SystemExit: print(*sorted({'msgspec', 'asyncio', 'sqlite3'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == ""


HOSTILE = [
    "zz:$(touch${IFS}PWNED)",
    "zz:`touch PWNED`",
    "zz:x;touch PWNED",
    "zz:a|touch PWNED",
    "zz:<(touch PWNED)",
    "zz:~",
]


@pytest.mark.parametrize("model", HOSTILE)
def test_what_a_file_names_is_one_word_to_the_shell(terminal: Terminal, programs: Programs, model: str) -> None:
    terminal.write("stretto.toml", f'[orchestrator]\nmodel = "sim:a"\n[workers.w]\nmodel = "{model}"\n')
    script = (
        'eval "$(stretto completion bash)"; COMP_WORDS=(stretto run -m zz); COMP_CWORD=3; _stretto_completion stretto; '
        'eval "printf %s ${COMPREPLY[0]}"'  # what Enter would make of the line
    )
    environ = terminal.environ | {"PATH": f"{programs.folder}:{terminal.environ['PATH']}"}
    done = subprocess.run(
        ["bash", "--norc", "-c", script], cwd=terminal.folder, env=environ, capture_output=True, text=True, check=True
    )
    assert done.stdout == model
    assert not (terminal.folder / "PWNED").exists()


def test_names_that_no_quotation_holds_are_not_offered(terminal: Terminal, programs: Programs) -> None:
    for name in (
        "yy'$(touch PWNED)'.toml",
        "yy*.toml",
        "yy[a].toml",
        "yy\nplain,$(x).toml",
        "yy\x1b]0;P\x07.toml",
        "yy\\.toml",
    ):
        (terminal.folder / name).write_text("")
    assert in_bash(terminal, programs, "stretto", "run", "-w", "yy") == []
    assert offered(terminal, "stretto run -w yy") == []


def test_behind_an_open_quotation_only_plain_words_are_offered(terminal: Terminal, programs: Programs) -> None:
    for name in ("yy.toml", "yy$(touch PWNED).toml"):
        (terminal.folder / name).write_text("")
    assert in_bash(terminal, programs, "stretto", "run", "-w", "yy") == ["'yy$(touch", "PWNED).toml'", "yy.toml"]
    script = "COMP_WORDS=$'stretto\\nrun\\n-w\\n\"yy' COMP_CWORD=3 _STRETTO_COMPLETE=bash_complete stretto"
    environ = terminal.environ | {"PATH": f"{programs.folder}:{terminal.environ['PATH']}"}
    done = subprocess.run(
        ["bash", "--norc", "-c", script], cwd=terminal.folder, env=environ, capture_output=True, text=True, check=True
    )
    assert done.stdout == "plain,yy.toml\n"


def test_what_a_run_says_of_itself_writes_no_line_of_the_offers(terminal: Terminal) -> None:
    terminal("run", "-q", "-m", "sim:instant", "Name\x85plain,\u2028$(x)\x1b[2J two uses of a brick")
    done = terminal(_STRETTO_COMPLETE="zsh_complete", COMP_WORDS="stretto show 0", COMP_CWORD="2")
    assert len(done.out.splitlines()) == 3
    assert "\x1b" not in done.out


def test_behind_an_option_that_needs_no_value_stands_what_else_could(terminal: Terminal) -> None:
    terminal("run", "-q", "-m", "sim:instant", "Name uses of a brick in 2 subtasks")
    run = terminal.run_id()
    for words in ("--json ", "--json=final ", "--json --cite "):
        assert offered(terminal, f"stretto resume {words}{run[:6]}") == [run]
