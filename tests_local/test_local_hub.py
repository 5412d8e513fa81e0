"""Models at Hugging Face, by the real library, from a hub on loopback."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from ggufs import FACTS, header
from hubs import Hub, hub
from screens import Seat
from terminal import Terminal

NAME = "tea/Assam-GGUF/sub/assam-q4.gguf"
DATA = header(FACTS, offset=25_000_000) + bytes(25_000_100)


@pytest.fixture
def at() -> Iterator[Hub]:
    with hub({NAME: DATA}) as made:
        yield made


@pytest.fixture
def terminal(tmp_path: Path, at: Hub) -> Terminal:
    made = Terminal(tmp_path)
    made.environ |= {"HF_ENDPOINT": at.url, "HF_HOME": str(tmp_path / "hf")}
    return made


def test_a_file_is_downloaded_once_and_then_listed(terminal: Terminal, at: Hub) -> None:
    done = terminal("models", "local", "--get", NAME)
    assert done.code == 0
    assert f"-m local:{NAME}" in done.err
    assert terminal("models", "local").out.split() == [f"local:{NAME}", "4,096", "tokens", "25", "MB"]
    assert terminal("models", "--get", f"local:{NAME}").code == 0
    assert [method for method, _, _ in at.asked].count("GET") == 1


def test_a_connection_that_breaks_is_gone_on_with_where_it_broke(terminal: Terminal, at: Hub) -> None:
    at.breaks = 15_000_000
    assert terminal("models", "--get", NAME).code == 0
    assert [begin for method, _, begin in at.asked if method == "GET"] == [0, 10_485_760]
    assert "local:" in terminal("models", "local").out


def test_a_model_in_parts_is_downloaded_whole(terminal: Terminal, at: Hub) -> None:
    names = [f"tea/Big-GGUF/big-0000{n}-of-00002.gguf" for n in (1, 2)]
    at.files |= {names[0]: DATA, names[1]: header({"split.no": 1}) + bytes(25_000_000)}
    assert terminal("models", "--get", names[0]).code == 0
    assert [name for method, name, _ in at.asked if method == "GET"] == names
    assert terminal("models", "local").out.split() == [f"local:{names[0]}", "4,096", "tokens", "50", "MB"]


def test_what_is_not_what_was_published_is_thrown_away(terminal: Terminal, at: Hub) -> None:
    at.published[NAME] = "0" * 64
    done = terminal("models", "--get", NAME)
    assert done.code == 3
    assert "its checksum differs" in done.err
    assert terminal("models", "local").code == 1


@pytest.mark.parametrize("gated", [False, True])
def test_a_file_that_cannot_be_had_is_told_of_with_what_to_do(terminal: Terminal, at: Hub, gated: bool) -> None:
    at.gated = gated
    done = terminal("models", "--get", "tea/Assam-GGUF/other.gguf")
    assert done.code == 3
    said = "accept its terms at" if gated else "there is no such file; look at"
    assert f"{said} {at.url}/tea/Assam-GGUF" in done.err


def test_a_hub_that_is_not_there_is_told_of(terminal: Terminal) -> None:
    terminal.environ["HF_ENDPOINT"] = "http://127.0.0.1:9"
    child = terminal.start("models", "--get", NAME)
    _, err = child.communicate(timeout=90)  # huggingface_hub asks five times
    assert child.returncode == 3
    assert "http://127.0.0.1:9 cannot be reached" in err.decode()


def test_without_a_terminal_nothing_is_downloaded_and_the_command_is_told(terminal: Terminal, at: Hub) -> None:
    done = terminal("run", "-m", f"local:{NAME}", "Say hello")
    assert done.code == 3
    assert f"get it with: stretto models local --get {NAME}" in done.err
    assert at.asked == []


def seat(terminal: Terminal) -> Seat:
    asked = ("plan", "--plain", "-m", f"local:{NAME}", "Say hello")
    return Seat(terminal, *asked, columns=160, installed=True)


def test_at_a_terminal_a_download_is_asked_for_and_no_means_no(terminal: Terminal, at: Hub) -> None:
    with seat(terminal) as person:
        person.until(f"local:{NAME} is not here (25 MB). Download it? [y/N]")
        person.write("n\n")
        assert person.end() == 3
        assert "get it with: stretto models local --get" in person.everything
    assert [method for method, _, _ in at.asked] == ["HEAD"]


def test_at_a_terminal_yes_downloads_with_a_bar_and_goes_on(terminal: Terminal, at: Hub) -> None:
    with seat(terminal) as person:
        person.until("[y/N]")
        person.write("y\n")
        assert person.end() == 1
        assert "assam-q4.gguf: 100%" in person.everything
        assert "25 MB, 4 calls at once, 4,096 tokens of context each" in person.everything
        assert "llama.cpp cannot load it" in person.everything  # there is nothing in it
    assert [method for method, _, _ in at.asked].count("GET") == 1
