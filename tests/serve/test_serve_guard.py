"""Who may ask the endpoint: by a key, by a name of this machine, from no page of another site."""

import pytest

from loops import on_loop
from serving import served
from stretto.server.endpoint import Guard
from stretto.server.endpoint.guard import is_loopback

KEY = "sk-open-sesame"
SITE = "https://chat.example.org"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"Authorization": KEY}, 401),
        ({"Authorization": f"Bearer {KEY}x"}, 401),
        ({"Authorization": "Bearer "}, 401),
        ({"Authorization": "Bearer \xff"}, 401),
        ({"Authorization": f"Basic {KEY}"}, 401),
        ({"Authorization": f"Bearer {KEY}"}, 200),
        ({"Authorization": f"bearer  {KEY} "}, 200),
        ({"Authorization": f"Bearer {KEY}", "Host": "my.machine:80"}, 200),
        ({"Authorization": f"Bearer {KEY}", "Origin": "https://elsewhere.example"}, 403),
    ],
)
@on_loop
async def test_where_a_key_is_wanted_nobody_is_let_in_without(headers: dict[str, str], status: int) -> None:
    async with served(guard=Guard({"": KEY})) as client:
        for path in ("models", "nothing"):
            async with client.session.get(f"{client.url}/{path}", headers=headers) as response:
                assert response.status == (404 if status == 200 and path == "nothing" else status)
                text = await response.text()
                assert KEY not in text
                assert (response.status == 401) == ("www-authenticate" in response.headers)
        async with client.ask(headers=headers) as response:
            assert response.status == status


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "localhost:8000"}, 200),
        ({"Host": "127.0.0.1"}, 200),
        ({"Host": "[::1]:8000"}, 200),
        ({"Host": "attacker.example"}, 403),
        ({"Host": "127.0.0.1.attacker.example"}, 403),
        ({"Host": "192.168.0.7"}, 403),
        ({"Host": "[::"}, 403),
        ({"Host": ""}, 403),
        ({"Host": "localhost:8000", "Origin": "http://localhost:8000"}, 200),
        ({"Host": "localhost:8000", "Origin": "http://localhost:9000"}, 403),
        ({"Origin": "https://elsewhere.example"}, 403),
        ({"Origin": "null"}, 403),
    ],
)
@on_loop
async def test_without_a_key_only_this_machine_is_let_in_and_no_other_site(
    headers: dict[str, str], status: int
) -> None:
    async with served() as client, client.ask(headers=headers) as response:
        assert response.status == status
        assert "access-control-allow-origin" not in response.headers
        assert response.headers["x-content-type-options"] == "nosniff"


@on_loop
async def test_a_site_that_may_ask_is_told_so_streamed_or_not() -> None:
    async with served(guard=Guard(origins=frozenset({SITE}))) as client:
        for stream in (True, False):
            async with client.ask(headers={"Origin": SITE}, stream=stream) as response:
                assert (response.status, response.headers["access-control-allow-origin"]) == (200, SITE)
                await response.read()
        async with client.session.options(f"{client.url}/chat/completions", headers={"Origin": SITE}) as response:
            assert (response.status, response.headers["access-control-allow-origin"]) == (204, SITE)
            assert "authorization" in response.headers["access-control-allow-headers"]
        async with client.session.options(f"{client.url}/models", headers={"Origin": "https://x.example"}) as response:
            assert response.status == 403


@pytest.mark.parametrize(
    ("host", "here"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("localhost", True),
        ("a.localhost", True),
        ("0.0.0.0", False),  # noqa: S104 - that is the point
        ("::", False),
        ("192.168.1.1", False),
        ("example.org", False),
        ("localhost.example.org", False),
        ("", False),
    ],
)
def test_which_addresses_are_this_machine_only(host: str, here: bool) -> None:
    assert is_loopback(host) is here
