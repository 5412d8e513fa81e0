"""Providers, their variables, and finding one when none is named."""

import asyncio
import json

import pytest

from endpoint import END, STREAM, Endpoint, Exchange, Script, chunk, http
from loops import on_loop
from stretto import Provider
from stretto.errors import ConfigError, MissingKey
from stretto.models import discovery
from stretto.models.providers import KNOWN, address, from_environment, key_of, split_model, variable


def test_a_model_is_written_provider_colon_model() -> None:
    assert split_model("ollama:qwen3:8b", "m") == ("ollama", "qwen3:8b")
    assert split_model("together:meta-llama/Llama-3", "m") == ("together", "meta-llama/Llama-3")


@pytest.mark.parametrize("written", ["", "tea", ":tea", "tea:"])
def test_anything_else_is_no_model_and_the_error_names_the_place(written: str) -> None:
    with pytest.raises(ConfigError, match=r"workers\.draft\.model: .*provider:model"):
        split_model(written, "workers.draft.model")


@pytest.mark.parametrize("written", ["http://127.0.0.1:8080/v1", "https://me:secret@tea.test/v1"])
def test_an_address_in_the_place_of_a_model_says_where_it_goes_and_shows_none_of_it(written: str) -> None:
    with pytest.raises(ConfigError, match=r"^-m: an address is no model; set VLLM_BASE_URL") as caught:
        split_model(written, "-m")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("name", [*KNOWN, "my-box", "a.b"])
def test_every_provider_has_its_two_variables(name: str) -> None:
    prefix = name.upper().replace("-", "_").replace(".", "_")
    provider = KNOWN.get(name, Provider("http://localhost:9/v1"))
    environ = {f"{prefix}_BASE_URL": " http://tea.test:8/v1/ ", f"{prefix}_API_KEY": " k-1\n"}
    assert from_environment(name, provider, environ).base_url == "http://tea.test:8/v1"
    assert key_of(name, provider, environ) == "k-1"
    assert variable(name, "API_KEY") == f"{prefix}_API_KEY"


def test_a_named_variable_goes_before_the_usual_one() -> None:
    mine = Provider("http://localhost:9/v1", key_env="TEA_KEY")
    assert key_of("mine", mine, {"TEA_KEY": "a", "MINE_API_KEY": "b"}) == "a"
    assert key_of("mine", mine, {"TEA_KEY": "", "MINE_API_KEY": "b"}) == "b"


def test_a_missing_key_is_named_and_local_servers_need_none() -> None:
    with pytest.raises(MissingKey, match="TOGETHER_API_KEY"):
        key_of("together", KNOWN["together"], {"TOGETHER_API_KEY": " "})
    assert key_of("ollama", KNOWN["ollama"], {}) is None


@pytest.mark.parametrize("key", ["sk-1\nsk-2", "sk-ü", "sk-1 sk-2", "sk-\x00"])
def test_a_key_that_cannot_be_sent_is_an_error_that_does_not_show_it(key: str) -> None:
    with pytest.raises(ConfigError, match="TOGETHER_API_KEY") as caught:
        key_of("together", KNOWN["together"], {"TOGETHER_API_KEY": key})
    assert "sk-" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    ["localhost:8000/v1", "tea", "ftp://x/v1", "http://", "http://[::1/v1", "http://x:99999/v1", "http://x y/v1", "http:///v1"],
)  # fmt: skip
def test_a_bad_url_is_an_error_that_names_where_it_stands(url: str) -> None:
    with pytest.raises(ConfigError, match=r"providers\.x\.base_url: .*no http"):
        from_environment("x", Provider(url), {})
    with pytest.raises(ConfigError, match=r"X_BASE_URL: .*no http"):
        from_environment("x", Provider("http://localhost/v1"), {"X_BASE_URL": url})


@pytest.mark.parametrize("url", ["https://me:hush@tea.test/v1", "https://hush@tea.test/v1", "htp://me:hush@[x/v1"])
def test_a_password_in_a_url_is_refused_and_not_shown(url: str) -> None:
    with pytest.raises(ConfigError, match="key_env") as caught:
        from_environment("x", Provider(url), {})
    assert "hush" not in str(caught.value)


def test_a_query_is_kept_and_not_shown() -> None:
    provider = from_environment("x", Provider("http://tea.test/v1/?k=hush"), {})
    assert address(provider.base_url, "/chat/completions") == "http://tea.test/v1/chat/completions?k=hush"
    with pytest.raises(ConfigError) as caught:
        from_environment("x", Provider("tea.test/v1?k=hush"), {})
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "base"),
    [
        ("http://[::1]:8000/v1", "http://[::1]:8000/v1"),
        ("https://tea.test/v1/chat/completions", "https://tea.test/v1"),
        ("https://tea.test", "https://tea.test"),
        ("HTTPS://tea.test/v1//", "https://tea.test/v1"),
    ],
)
def test_urls_are_taken_as_people_write_them(url: str, base: str) -> None:
    assert from_environment("x", Provider(url), {}).base_url == base


@pytest.mark.parametrize("headers", [{"X-Tea": "a\nb"}, {"X Tea": "a"}, {"": "a"}, {"X-Tea": "\x00"}])
def test_headers_that_cannot_be_sent_are_errors(headers: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match=r"providers\.x\.headers"):
        from_environment("x", Provider("http://tea.test", headers=headers), {})


def test_the_first_provider_with_a_key_is_taken_in_order() -> None:
    environ = {"OPENAI_API_KEY": "a", "GROQ_API_KEY": "b", "OLLAMA_API_KEY": "c"}
    assert discovery.with_key(KNOWN, environ) == f"openai:{KNOWN['openai'].model}"
    assert discovery.with_key(KNOWN, {"OLLAMA_API_KEY": "c", "GROQ_API_KEY": " "}) is None


async def silence(_: Exchange) -> None:
    await asyncio.sleep(60)


async def endless(exchange: Exchange) -> None:
    await exchange.send(STREAM, *[chunk(b" " * 2**16)] * 1000, END)


def listing(*ids: object) -> bytes:
    return http(json.dumps({"object": "list", "data": [{"id": id_} for id_ in ids]}).encode())


@pytest.mark.parametrize(
    "script",
    [
        silence,
        endless,
        http(b"<html>"),
        http(b"\xff"),
        http(b"[]"),
        http(b'{"data": 3}'),
        http(b'{"data": [3, {"id": null}]}'),
        listing(),
        listing("nomic-embed-text"),
        http(b"no", "404 Not Found"),
        http(b"", "302 Found", headers="Location: http://127.0.0.1:9/v1\r\n"),
        b"SSH-2.0\r\n",
    ],
)
@on_loop
async def test_what_is_no_server_is_passed_over_in_time(script: Script) -> None:
    async with Endpoint(script) as odd, Endpoint(listing("text-embedding-3", "tea", "mate")) as good:
        providers = {
            "odd": Provider(odd.url, local=True),
            "gone": Provider("http://127.0.0.1:9/v1", local=True),
            "locked": Provider(good.url, key_env="NO_SUCH_KEY", local=True),
            "good": Provider(good.url + "?a=b", local=True),
            "cloud": Provider("https://tea.test/v1"),
        }
        started = asyncio.get_running_loop().time()
        assert await discovery.local(providers, {"GOOD_API_KEY": "k"}) == "good:tea"
        assert asyncio.get_running_loop().time() - started < 1.5
        assert good.requests[0].line == "GET /v1/models?a=b HTTP/1.1"
        assert good.requests[0].headers["authorization"] == "Bearer k"


@on_loop
async def test_without_any_server_there_is_none() -> None:
    assert await discovery.local({"gone": Provider("http://127.0.0.1:9/v1", local=True)}, {}) is None
    assert "stretto demo" in str(discovery.none_found())
