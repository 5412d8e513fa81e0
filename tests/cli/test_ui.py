"""`stretto ui`: a server for the page, and a browser that is opened on it."""

import signal
import time
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from terminal import Terminal


@pytest.fixture
def terminal(tmp_path: Path) -> Terminal:
    return Terminal(tmp_path)


def got(url: str) -> HTTPResponse:
    there = urlsplit(url)
    connection = HTTPConnection(there.netloc)
    connection.request("GET", there.path, headers={"connection": "close"})
    return connection.getresponse()


def test_it_says_where_the_page_is_and_opens_the_browser_on_a_run(terminal: Terminal, tmp_path: Path) -> None:
    assert terminal("run", "-q", "-m", "sim:instant", "Name a tea").code == 0
    run = terminal.run_id()
    opened = tmp_path / "opened"
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" > {opened}.part && mv {opened}.part {opened}\n')
    browser.chmod(0o755)
    child = terminal.child("ui", run[-8:], "-m", "sim:instant", environ=terminal.environ | {"BROWSER": f"{browser} %s"})
    assert child.stdout is not None
    url = child.stdout.readline().decode().strip()
    assert url.startswith("http://127.0.0.1:")
    assert url.endswith(f"/runs/{run}")
    assert "frame-ancestors 'none'" in (got(url).getheader("content-security-policy") or "")
    while not opened.exists():
        time.sleep(0.02)
    assert opened.read_text().strip() == url
    child.send_signal(signal.SIGINT)
    _, err = child.communicate()
    assert child.returncode == 0
    assert b"Traceback" not in err


def test_without_a_model_runs_can_be_looked_at_and_without_a_display_nothing_is_opened(terminal: Terminal) -> None:
    child = terminal.child("ui", environ={name: value for name, value in terminal.environ.items() if name != "DISPLAY"})
    assert child.stdout is not None
    url = child.stdout.readline().decode().strip()
    assert got(f"{url}v1/models").read() == b'{"object":"list","data":[]}'
    child.send_signal(signal.SIGINT)
    _, err = child.communicate()
    assert b"no run can be started: no model" in err


def test_a_run_that_is_not_there_and_a_workflow_that_cannot_be_served_are_said_before_anything_is(
    terminal: Terminal,
) -> None:
    assert terminal("ui", "01ARZ3ND", "-m", "sim:instant").code == 1
    assert terminal("ui", "-w", "nothing", "-m", "sim:instant").code == 3
