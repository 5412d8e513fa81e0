"""Which proxy a URL is asked through, from what environments say."""

import pytest

from stretto.errors import ConfigError
from stretto.models.proxies import proxy_for

PROXY = "http://me:hush@proxy.test:3128"


@pytest.fixture(autouse=True)
def no_other_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.mark.parametrize(
    ("exceptions", "url", "asked"),
    [
        ("", "http://tea.test/v1", True),
        ("*", "http://tea.test/v1", False),
        ("tea.test", "http://tea.test/v1", False),
        ("tea.test", "http://green.tea.test/v1", False),
        ("tea.test", "http://greentea.test/v1", True),
        (".tea.test", "http://green.tea.test/v1", False),
        (".tea.test", "http://tea.test/v1", False),
        ("*.tea.test", "http://green.tea.test/v1", False),
        ("coffee.test, TEA.test.", "http://Tea.test/v1", False),
        ("coffee.test tea.test", "http://tea.test/v1", False),
        ("coffee.test;tea.test", "http://tea.test/v1", False),
        ("tea.test:8080", "http://tea.test:8080/v1", False),
        ("tea.test:8080", "http://tea.test/v1", True),
        ("tea.test:80", "http://tea.test/v1", False),
        (".tea.test:81", "http://green.tea.test:81/v1", False),
        ("10.0.0.0/8", "http://10.1.2.3:8000/v1", False),
        ("10.0.0.0/8", "http://11.1.2.3:8000/v1", True),
        ("10.1.2.3/8", "http://10.9.9.9/v1", False),
        ("10.1.2.3", "http://10.1.2.3/v1", False),
        ("10.0.0.0/8", "http://tea.test/v1", True),
        ("fd00::/8", "http://[fd12::1]:8000/v1", False),
        ("[fd12::1]:8000", "http://[fd12::1]:8000/v1", False),
        ("[fd12::1]:8001", "http://[fd12::1]:8000/v1", True),
        ("fd12::1", "http://[fd12:0::1]/v1", False),
        ("300.0.0.0/8,/,:,[,:99999999,-", "http://10.1.2.3/v1", True),
        ("", "http://localhost:8000/v1", False),
        ("", "http://127.9.9.9:8000/v1", False),
        ("", "https://tea.test/v1", False),
    ],
)
def test_exceptions_are_names_ends_networks_and_ports(
    exceptions: str, url: str, asked: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", PROXY)
    monkeypatch.setenv("no_proxy", exceptions)
    assert proxy_for(url) == (PROXY if asked else None)


def test_a_proxy_needs_no_scheme(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "me:hush@proxy.test:3128")
    assert proxy_for("http://tea.test/v1") == PROXY


@pytest.mark.parametrize(
    ("proxy", "says"),
    [
        ("socks5://me:hush@proxy.test:1080", "a SOCKS proxy"),
        ("SOCKS5H://me:hush@proxy.test", "a SOCKS proxy"),
        ("http://me:hush@", "no proxy"),
        ("http://me:hush@[proxy", "no proxy"),
        ("http://me:hush@proxy:no", "no proxy"),
        ("quic://hush", "no proxy"),
    ],
)
def test_a_proxy_that_cannot_be_asked_is_said_once_and_its_password_never(
    proxy: str, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("https_proxy", proxy)
    with pytest.raises(ConfigError, match=f"https_proxy: this is {says}.*no_proxy") as caught:
        proxy_for("https://tea.test/v1")
    assert "hush" not in str(caught.value)
    monkeypatch.setenv("no_proxy", "tea.test")
    assert proxy_for("https://tea.test/v1") is None
