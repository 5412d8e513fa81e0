"""Addresses as inputs: what is there is read within bounds, and nothing leads from the public net into this machine."""

import asyncio
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
        read_inputs(site + path, most=100_000)
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


PRIVATE = (
    "127.0.0.1 10.0.0.1 192.168.1.1 169.254.169.254 0.0.0.0 100.64.0.1 ::1 [::1] fe80::1%lo fd00::1 ::ffff:127.0.0.1"
)


@pytest.mark.parametrize("private", PRIVATE.split())
def test_a_public_address_leads_to_no_private_one(private: str) -> None:
    keeper = Doorkeeper()
    keeper.admit(private)  # named itself
    keeper.admit("8.8.8.8")
    with pytest.raises(OSError, match="leads to"):
        keeper.admit(private)


def test_nor_does_a_name_that_stands_for_one() -> None:
    async def main() -> None:
        keeper = Doorkeeper()
        assert await keeper.resolve("localhost")
        keeper.admit("8.8.8.8")
        with pytest.raises(OSError, match="leads to"):
            await keeper.resolve("localhost")

    asyncio.run(main())
