"""The simulator's Batch API, as a client of OpenAI's sees it."""

import json
from typing import Any

import aiohttp

from loops import on_loop
from stretto import Simulator
from stretto.models.simulator import parse_fault
from stretto.server.sim import listening, simulator_app

LINES: list[dict[str, Any]] = [
    {"custom_id": str(number), "body": {"model": "x", "messages": [{"role": "user", "content": f"Name tea {number}"}]}}
    for number in range(20)
]


def written(lines: list[dict[str, Any]]) -> bytes:
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


class Client:
    """Asks the endpoint, and gives the status and body of each answer."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session = session
        self._url = url

    async def asked(self, method: str, path: str, **content: Any) -> tuple[int, Any]:
        async with self._session.request(method, self._url + path, **content) as response:
            data = await response.read()
            return response.status, json.loads(data) if response.content_type == "application/json" else data

    async def uploaded(self, data: bytes) -> str:
        form = aiohttp.FormData()
        form.add_field("purpose", "batch")
        form.add_field("file", data, filename="in.jsonl")
        status, file = await self.asked("POST", "/files", data=form)
        assert (status, file["object"], file["bytes"], file["filename"]) == (200, "file", len(data), "in.jsonl")
        return str(file["id"])

    async def batch(self, file: str) -> dict[str, Any]:
        asked = {"input_file_id": file, "endpoint": "/v1/chat/completions", "completion_window": "24h"}
        status, made = await self.asked("POST", "/batches", json=asked)
        assert (status, made["object"], made["input_file_id"]) == (200, "batch", file)
        return dict((await self.asked("GET", f"/batches/{made['id']}"))[1])

    async def results(self, batch: dict[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for file in (batch["output_file_id"], batch["error_file_id"]):
            if file:
                data = (await self.asked("GET", f"/files/{file}/content"))[1]
                found |= {line["custom_id"]: line for line in map(json.loads, data.splitlines())}
        return found


def simulator(*faults: str, batch: float = 0.0) -> Simulator:
    return Simulator(faults=tuple(map(parse_fault, faults)), batch=batch)


@on_loop
async def test_every_line_is_answered_in_another_order() -> None:
    async with listening(simulator_app(simulator())) as url, aiohttp.ClientSession() as session:
        client = Client(session, url)
        batch = await client.batch(await client.uploaded(written(LINES)))
        assert (batch["status"], batch["error_file_id"]) == ("completed", None)
        assert batch["request_counts"] == {"total": 20, "completed": 20, "failed": 0}
        found = await client.results(batch)
    assert sorted(found) == sorted(line["custom_id"] for line in LINES)
    assert list(found) != [line["custom_id"] for line in LINES]
    for line in found.values():
        assert (line["error"], line["response"]["status_code"]) == (None, 200)
        assert line["response"]["body"]["choices"][0]["message"]["content"]


@on_loop
async def test_what_goes_wrong_with_a_line_stands_in_the_file_of_errors() -> None:
    faults = ('expired always match="tea 3"', '500 always match="tea 5"')
    async with listening(simulator_app(simulator(*faults))) as url, aiohttp.ClientSession() as session:
        client = Client(session, url)
        odd = {"custom_id": "odd", "body": {"model": "x", "messages": []}}
        batch = await client.batch(await client.uploaded(written([*LINES, odd])))
        found = await client.results(batch)
    assert batch["status"] == "expired"
    assert batch["request_counts"] == {"total": 21, "completed": 18, "failed": 3}
    assert (found["3"]["response"], found["3"]["error"]["code"]) == (None, "batch_expired")
    assert found["5"]["response"]["status_code"] == 500
    assert found["odd"]["response"]["status_code"] == 400


@on_loop
async def test_a_batch_takes_its_time_and_can_be_cancelled() -> None:
    async with listening(simulator_app(simulator(batch=1e6))) as url, aiohttp.ClientSession() as session:
        client = Client(session, url)
        batch = await client.batch(await client.uploaded(written(LINES)))
        assert (batch["status"], batch["output_file_id"]) == ("in_progress", None)
        assert (await client.asked("POST", f"/batches/{batch['id']}/cancel"))[1]["status"] == "cancelled"
        assert [each["id"] for each in (await client.asked("GET", "/batches"))[1]["data"]] == [batch["id"]]


@on_loop
async def test_what_cannot_be_a_batch_is_refused() -> None:
    async with listening(simulator_app(simulator())) as url, aiohttp.ClientSession() as session:
        client = Client(session, url)
        file = await client.uploaded(b"no JSON\n")
        twice = await client.uploaded(written([LINES[0], LINES[0]]))
        for id_, why in ((file, "none"), (twice, "twice")):
            batch = await client.batch(id_)
            assert batch["status"] == "failed"
            assert why in batch["errors"]["data"][0]["message"]
        refused: list[tuple[str, str, dict[str, Any], int]] = [
            ("POST", "/files", {"data": b"x"}, 400),
            ("POST", "/batches", {"json": {"input_file_id": "no"}}, 400),
            ("POST", "/batches", {"data": b"{"}, 400),
            ("POST", "/batches", {"json": {"input_file_id": file, "endpoint": "/v1/embeddings"}}, 400),
            ("GET", "/batches/no", {}, 404),
            ("GET", "/files/no/content", {}, 404),
            ("POST", "/batches/no/cancel", {}, 404),
        ]
        for method, path, content, status in refused:
            assert (await client.asked(method, path, **content))[0] == status
