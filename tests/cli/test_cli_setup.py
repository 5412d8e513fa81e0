"""`stretto doctor` and `stretto models`: what is installed, in force and reachable, and what is wrong with it."""

import json
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stretto import Limits, Memory
from terminal import Done, Terminal, served

KEY = "sk-very-secret-1234567890"


@pytest.fixture
def terminal(tmp_path: Path) -> Terminal:
    return Terminal(tmp_path)


@pytest.fixture
def url() -> Iterator[str]:
    with served() as (base_url, _):
        yield base_url


def diagnosis(done: Done) -> dict[str, Any]:
    (line,) = done.out.splitlines()
    told: dict[str, Any] = json.loads(line)
    return told


def named(checks: list[dict[str, str]], name: str) -> dict[str, str]:
    (found,) = [check for check in checks if check["name"] == name]
    return found


# -- doctor


def test_each_setting_is_told_with_its_origin(terminal: Terminal) -> None:
    terminal.write(
        "stretto.toml",
        "[limits]\nbudget = '50ct'\nparallel = 3\n[providers.mine]\nbase_url = 'http://mine.test/v1?key=hush'\n"
        "headers = {X-Auth = 'hush-hush'}\n",
    )
    terminal.write("home/.config/stretto/stretto.toml", "[limits]\nparallel = 7\nrpm = '2k'\n")
    assert terminal("allow").code == 0
    done = terminal(
        "doctor", "--offline", "--json", "-m", "workers=sim:fast", "--deadline", "2m", STRETTO_MODEL="sim:instant"
    )
    assert done.code == 0
    told = {value["place"]: (value["value"], value["origin"]) for value in diagnosis(done)["settings"]}
    assert told["limits.budget"] == ("50ct", "stretto.toml")
    assert told["limits.parallel"] == ("3", "stretto.toml")
    assert told["limits.rpm"] == ("2k", f"{terminal.folder}/home/.config/stretto/stretto.toml")
    assert told["limits.deadline"] == ("120", "--deadline")
    assert told["limits.attempts"] == ("4", "default")
    assert told["orchestrator.model"] == ("sim:instant", "STRETTO_MODEL")
    assert told['workers."general".model'] == ("sim:fast", "-m workers=sim:fast")
    assert told["providers.mine.base_url"] == ("http://mine.test/v1?…", "stretto.toml")
    assert told["providers.mine.headers"] == ("X-Auth (not shown)", "stretto.toml")
    assert told["store"] == (str(terminal.store), "STRETTO_STORE")
    assert not [key for key in Limits.__struct_fields__ if f"limits.{key}" not in told]
    assert not [key for key in Memory.__struct_fields__ if f"memory.{key}" not in told]
    assert "hush" not in done.out + done.err


def test_keys_are_named_and_never_shown(terminal: Terminal, url: str) -> None:
    environ = {"TOGETHER_API_KEY": KEY, "TOGETHER_BASE_URL": url, "HTTPS_PROXY": "http://u:hush@proxy.test"}
    for flags in ((), ("--json",)):
        done = terminal("doctor", *flags, NO_PROXY="127.0.0.1", **environ)
        assert done.code == 0, done.out
        assert "TOGETHER_API_KEY" in done.out
        assert "a key of together" in done.out
        assert "HTTPS_PROXY" in done.out
        assert KEY not in done.out + done.err
        assert "hush" not in done.out + done.err


def test_an_endpoint_that_answers_is_told_with_its_speed(terminal: Terminal, url: str) -> None:
    done = terminal("doctor", "-m", "together:default", TOGETHER_API_KEY=KEY, TOGETHER_BASE_URL=url)
    assert done.code == 0
    (line,) = [line for line in done.out.splitlines() if line.startswith("  together ")]
    assert f"{url} answers in" in line
    assert "ms, 3 models" in line
    assert re.search(r"^  ollama +not running$", done.out, re.MULTILINE)
    assert done.out.endswith("Nothing is amiss.\n")


@pytest.mark.parametrize(
    ("path", "said"),
    [
        (":9/v1", "nothing listens there"),
        ("/nowhere/v1", "404: it lists no models there"),
    ],
)
def test_an_endpoint_that_is_needed_and_cannot_be_used_is_a_fault(
    terminal: Terminal, url: str, path: str, said: str
) -> None:
    place = f"http://127.0.0.1{path}" if path.startswith(":") else url.removesuffix("/v1") + path
    done = terminal("doctor", "--json", "-m", "together:x", TOGETHER_API_KEY=KEY, TOGETHER_BASE_URL=place)
    assert done.code == 1
    told = named(diagnosis(done)["endpoints"], "together")
    assert told["state"] == "fault"
    assert said in told["said"]


def test_an_endpoint_that_nothing_needs_is_no_fault(terminal: Terminal) -> None:
    done = terminal("doctor", "-m", "sim:fast", GROQ_API_KEY=KEY, GROQ_BASE_URL="http://127.0.0.1:9/v1")
    assert done.code == 0
    assert "nothing listens there" in done.out


def test_one_that_is_slow_holds_up_no_other_for_long(terminal: Terminal, url: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as quiet:
        slow = f"http://127.0.0.1:{quiet.getsockname()[1]}/v1"
        keys = {"TOGETHER_API_KEY": KEY, "GROQ_API_KEY": KEY, "MISTRAL_API_KEY": KEY}
        done = terminal("doctor", TOGETHER_BASE_URL=url, GROQ_BASE_URL=slow, MISTRAL_BASE_URL=slow, **keys)
    assert done.code == 0
    assert done.out.count("no list of models within 5 s") == 2  # in parallel, or the terminal had given up


@pytest.mark.parametrize(
    ("toml", "args", "said"),
    [
        ("[limits]\nbudgt = 3", ["-m", "sim:fast"], 'limits.budgt: unknown key; did you mean "budget"?'),
        ("", ["-m", "together:x"], "set the environment variable TOGETHER_API_KEY"),
        ("", [], "no model is named and no key is set"),
        ("", ["-w", "slove", "-m", "sim:fast"], "no preset 'slove'; did you mean \"solve\"?"),
        ("[limits]\nbudget = 1\n[providers.x]\nbase_url='http://127.0.0.1:9'", ["-m", "x:y"], "a budget of money"),
    ],
)
def test_a_configuration_that_cannot_work_is_a_fault(terminal: Terminal, toml: str, args: list[str], said: str) -> None:
    terminal.write("stretto.toml", toml)
    done = terminal("doctor", "--offline", *args)
    assert done.code == 3
    assert said in done.out
    assert "(marked !)" in done.out
    assert "Versions" in done.out


def test_a_store_that_is_none_is_a_fault(terminal: Terminal) -> None:
    terminal.store.write_text("This is a letter to my grandmother, and no database. " * 40)
    done = terminal("doctor", "--offline", "-m", "sim:fast")
    assert done.code == 1
    assert f"! {terminal.store}" in done.out


# -- models


def test_models_are_listed_as_m_takes_them(terminal: Terminal, url: str) -> None:
    environ = {"TOGETHER_API_KEY": KEY, "TOGETHER_BASE_URL": url}
    assert terminal("models", "together", **environ).out.split() == [
        "together:default",
        "together:fast",
        "together:instant",
    ]
    done = terminal("models", "together", "FAS", "--json", **environ)
    unknown = dict.fromkeys(("context", "input", "output", "cached", "assumed"))
    assert [json.loads(line) for line in done.out.splitlines()] == [{"model": "together:fast", **unknown}]
    assert done.code == 0


def test_prices_of_the_configuration_stand_beside_them(terminal: Terminal, url: str) -> None:
    terminal.write(
        "stretto.toml",
        f"[providers.mine]\nbase_url = '{url}'\n[prices.'mine:fast']\ninput = 0.15\noutput = '60ct'\n",
    )
    done = terminal("models", "mine")
    assert done.code == 0
    (line,) = [line for line in done.out.splitlines() if "$" in line]
    assert line.split() == ["mine:fast", "$0.15", "in,", "$0.6", "out"]


def test_without_a_provider_those_with_a_key_and_local_ones_are_asked(terminal: Terminal, url: str) -> None:
    done = terminal("models", TOGETHER_API_KEY=KEY, TOGETHER_BASE_URL=url, OLLAMA_BASE_URL=url)
    assert done.code == 0
    assert {line.partition(":")[0] for line in done.out.splitlines()} == {"together", "ollama"}
    assert "not running here: lmstudio, vllm, llamacpp" in done.err


@pytest.mark.parametrize(
    ("args", "environ", "code", "said"),
    [
        (["togehter"], {}, 3, "no provider 'togehter'; did you mean \"together\"?"),
        (["together"], {}, 3, "TOGETHER_API_KEY"),
        (["ollama"], {}, 1, "nothing listens there; is the server running?"),
        ([], {}, 3, "stretto demo"),
        (["sim", "nothing"], {}, 0, ""),
    ],
)
def test_what_cannot_be_listed_is_an_error_with_a_remedy(
    terminal: Terminal, args: list[str], environ: dict[str, str], code: int, said: str
) -> None:
    done = terminal("models", *args, **environ)
    assert (done.code, done.out) == (code, "")
    assert said in done.err


def test_a_text_that_no_model_has_is_said_with_how_many_there_are(terminal: Terminal, url: str) -> None:
    done = terminal("models", "together", "gpt", TOGETHER_API_KEY=KEY, TOGETHER_BASE_URL=url)
    assert (done.code, done.out) == (1, "")
    assert "none of 3 models has 'gpt' in its name" in done.err


def test_the_simulators_models_are_listed_too(terminal: Terminal) -> None:
    assert terminal("models", "sim").out.split() == ["sim:default", "sim:fast", "sim:instant"]
