"""Addresses as inputs: what is there is read within bounds, and nothing leads from the public net into this machine."""

import asyncio
import traceback
from collections.abc import Iterator

import pytest
from aiohttp import web

from beside import beside
from stretto import Input, read_inputs
from stretto.errors import TaskError
from stretto.inputs.pages import Doorkeeper

UTF8, LATIN = "text/plain; charset=utf-8", "text/plain; charset=iso-8859-1"
PAGES: dict[str, tuple[bytes, str]] = {
    "/tea.md": ("grüner Tee\r\n".encode(), "text/markdown"),
    "/latin": ("grün".encode("latin-1"), LATIN),
    "/lies": (b"\xff\xfa", UTF8),
    "/json": (b'{"tea": "green"}', "application/json"),
    "/image": (b"\x89PNG", "image/png"),
    "/large": (b"x" * 200_000, UTF8),
    "/bomb": (b"x" * 5_000_000, UTF8),
}
MOVED = {"/moved": "/tea.md", "/round": "/round", "/file": "file:///etc/hostname"}


async def answer(request: web.Request) -> web.StreamResponse:
    """A page of each kind."""
    if place := MOVED.get(request.path):
        raise web.HTTPFound(place)
    if request.path not in PAGES:
        raise web.HTTPNotFound
    body, kind = PAGES[request.path]
    response = web.Response(body=body, headers={"Content-Type": kind})
    if request.path == "/bomb":
        response.enable_compression(web.ContentCoding.gzip)
    return response


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    with beside(answer) as url:
        yield url


def test_a_page_is_an_input_called_by_its_address(site: str) -> None:
    assert read_inputs(f"{site}/tea.md") == [Input(f"{site}/tea.md", "grüner Tee\r\n")]
    secret = site.replace("://", "://me:pass@")
    assert read_inputs(f"{secret}/tea.md?token=x")[0].name == f"{site}/tea.md?…"
    assert read_inputs(f"{site}/moved")[0].text == "grüner Tee\r\n"
    assert read_inputs(f"{site}/latin")[0].text == "grün"
    assert read_inputs(f"{site}/json")[0].text == '{"tea": "green"}'


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/gone", "answers with 404 Not Found"),
        ("/image", "is image/png, not text"),
        ("/lies", "not UTF-8 text"),
        ("/round", "leads on more than 5 times"),
        ("/file", "leads to 'file:///etc/hostname', which is no web address"),
        ("/large", "all inputs together may have 100,000"),
        ("/bomb", "all inputs together may have 100,000"),
    ],
)
def test_what_cannot_be_read_is_said_with_its_address(site: str, path: str, said: str) -> None:
    with pytest.raises(TaskError) as error:
        read_inputs(site + path, max_input=100_000)
    assert str(error.value).startswith(f"{site}{path}: ")
    assert said in str(error.value)


def test_no_error_tells_what_is_secret_in_an_address(site: str) -> None:
    with pytest.raises(TaskError) as error:
        read_inputs(site.replace("://", "://me:hidden@") + "/gone?token=hidden")
    assert "hidden" not in str(error.value)


def test_nobody_there_is_an_error() -> None:
    with pytest.raises(TaskError, match=r"http://127.0.0.1:9/: cannot be read"):
        read_inputs("http://127.0.0.1:9/")


def test_where_a_loop_runs_already_it_can_be_read_too(site: str) -> None:
    async def main() -> list[Input]:
        return read_inputs(f"{site}/json")

    assert asyncio.run(main())


PRIVATE = """127.0.0.1 10.0.0.1 192.168.1.1 169.254.169.254 0.0.0.0 100.64.0.1 224.0.0.1 239.1.1.1 240.0.0.1 192.0.0.192
168.63.129.16 192.88.99.1 ::1 [::1] :: fe80::1%lo fec0::1 fd00::1 ff02::1 ff0e::1 ::ffff:127.0.0.1 ::ffff:10.0.0.1
::127.0.0.1 ::7f00:1 ::8.8.8.8 64:ff9b::7f00:1 64:ff9b::a9fe:a9fe 64:ff9b:1::a00:1 2002:7f00:1:: 2002:a00:1::
2001:0:7f00:1::80ff:fffe 2001:db8::1 3fff::1 5f00::1 100::1 2a00:1450::5efe:7f00:1 2a00:1450::200:5efe:a00:1"""
PUBLIC = "8.8.8.8 1.1.1.1 2a00:1450:4001:81b::200e 2606:4700::1111 64:ff9b::808:808 ::ffff:8.8.8.8"


@pytest.mark.parametrize("private", PRIVATE.split())
def test_a_public_address_leads_to_no_private_one(private: str) -> None:
    async def main() -> None:
        keeper = Doorkeeper()
        await keeper.check(private, None)  # named itself
        await keeper.check("8.8.8.8", None)
        with pytest.raises(OSError, match="leads to"):
            await keeper.check(private, None)

    asyncio.run(main())


@pytest.mark.parametrize("public", PUBLIC.split())
def test_a_public_address_leads_to_other_public_ones(public: str) -> None:
    async def main() -> None:
        keeper = Doorkeeper()
        await keeper.check("8.8.8.8", None)
        await keeper.check(public, None)

    asyncio.run(main())


def test_nor_does_a_name_that_stands_for_one() -> None:
    async def main() -> None:
        keeper = Doorkeeper()
        assert await keeper.resolve("localhost")
        await keeper.check("8.8.8.8", None)
        with pytest.raises(OSError, match="leads to"):
            await keeper.resolve("localhost")

    asyncio.run(main())


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "2130706433", "localhost", "intranet", "wiki.internal", "printer.local."]
)
def test_nor_does_one_that_a_proxy_is_asked_for(host: str) -> None:
    async def main() -> None:
        keeper = Doorkeeper()
        await keeper.check("news.example.invalid", "http://127.0.0.1:3128")
        await keeper.check("other.example.invalid", "http://127.0.0.1:3128")
        with pytest.raises(OSError, match="leads to"):
            await keeper.check(host, "http://127.0.0.1:3128")

    asyncio.run(main())


def test_a_page_read_through_a_proxy_leads_to_nothing_that_is_read_without_it(
    site: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def elsewhere(request: web.Request) -> web.StreamResponse:  # the proxy itself
        asked.append(str(request.url))
        raise web.HTTPFound(f"{site}/tea.md")

    asked = list[str]()
    with beside(elsewhere) as proxy:
        monkeypatch.setenv("http_proxy", proxy)
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        with pytest.raises(TaskError, match=r"a public address leads to 127\.0\.0\.1"):
            read_inputs("http://news.example.invalid/article")
        assert len(asked) == 1
        assert read_inputs(f"{site}/tea.md")  # named itself


@pytest.mark.parametrize(
    "place",
    ["http:127.0.0.1:80/s", "http:///127.0.0.1/s", "http:\\\\127.0.0.1/", "gopher://127.0.0.1/", "http://[::1/"],
)
def test_what_one_reads_as_a_path_and_another_as_a_host_is_not_followed(place: str) -> None:
    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(status=302, headers={"Location": place})

    with beside(answer) as url, pytest.raises(TaskError, match="which is no web address"):
        read_inputs(url)


@pytest.mark.parametrize(
    "rest",
    [
        "127.0.0.1:99999/",
        "[::1/x",
        "exa mple/x",
        "127.0.0.1:x/",
        "127.0.0.1:9/x;k=hidden#hidden",
        "/hidden@x/",
        "xn--/",
    ],
)
def test_no_error_tells_a_password_even_of_what_is_no_address(rest: str) -> None:
    with pytest.raises(TaskError) as error:
        read_inputs(f"http://me:hidden@{rest}?sig=hidden")
    told = "".join(traceback.format_exception(error.value))
    assert "hidden" not in told.replace("me:hidden@{rest}?sig=hidden", "")
