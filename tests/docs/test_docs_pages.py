"""The pages of docs/: what they show works, what is generated is current, and every page can be found."""

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from docs_build.__main__ import FOLDER, WRITERS, page
from docs_build.outside import outside

from pages import DOCS, PAGES, Reader, blocks, links, repository
from places import ROOT
from programs import Programs
from terminal import served


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with served() as (url, _):
        yield url


@pytest.fixture(scope="module")
def programs() -> Iterator[Programs]:
    with Programs() as programs:
        yield programs


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return repository(tmp_path_factory.mktemp("project"))


@pytest.mark.parametrize("page", [page for page in PAGES if page != "design.md" and blocks(page)])
def test_what_a_page_shows_works(page: str, project: Path, url: str, programs: Programs, tmp_path: Path) -> None:
    Reader(tmp_path, project, url, programs).read(page)


@pytest.mark.parametrize("name", WRITERS)
def test_a_generated_page_is_what_the_code_says(name: str) -> None:
    assert (FOLDER / name).read_text(encoding="utf-8") == page(name), "renew it with: uv run python -m docs_build"


def test_every_page_is_in_the_navigation_once() -> None:
    project = tomllib.loads((ROOT / "zensical.toml").read_text(encoding="utf-8"))["project"]
    assert sorted(_files(project["nav"])) == PAGES


def _files(nav: Any) -> Iterator[str]:
    if isinstance(nav, str):
        yield nav
    else:
        for each in nav.values() if isinstance(nav, dict) else nav:
            yield from _files(each)


@pytest.mark.parametrize("page", PAGES)
def test_every_link_of_a_page_leads_to_a_file(page: str) -> None:
    folder = (DOCS / page).parent
    assert not [link for link in links(page) if (file := link.partition("#")[0]) and not (folder / file).exists()]


def test_the_picture_of_a_terminal_says_that_it_is_simulated() -> None:
    picture = (DOCS / "pictures" / "terminal.svg").read_text(encoding="utf-8")
    assert ">simulated<" in picture
    assert "No language model was asked." in picture


def test_what_a_page_would_load_from_elsewhere_is_found(tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text(
        '<link rel="canonical" href="https://here.test/"><link rel="next" href="https://here.test/2">'
        '<script src="own.js"></script><a href="https://there.test/">a link</a><img src="//there.test/dot.gif">'
        '<link rel="stylesheet" href="https://there.test/fonts.css">'
    )
    (tmp_path / "page.css").write_text(
        "@font-face { src: url(https://there.test/a.woff2) } a { background: url(own.svg) }"
    )
    assert [found.partition(": ")[2] for found in outside(tmp_path)] == [
        "//there.test/dot.gif",
        "https://there.test/fonts.css",
        "https://there.test/a.woff2",
    ]
