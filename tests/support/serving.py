"""An endpoint with workflows behind it for tests: in this process, over a real socket."""

import json
from collections.abc import AsyncGenerator, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, ParamSpec

import aiohttp

from stretto import Workflow
from stretto.models.simulator import Simulator, parse_fault
from stretto.runs import Run
from stretto.server.endpoint import SERVICE, Offer, endpoint_app, listening
from stretto.server.endpoint.service import Service
from stretto.store.sqlite import Store
from terminal import Begun, Terminal

P = ParamSpec("P")
TASK = "Compare tea and coffee in 3 subtasks"
ALPHA = {
    "tasks": [
        {"type": "general", "description": "Alpha"},
        {"type": "general", "description": "Beta"},
        {"type": "general", "description": "Gamma", "needs": ["t2"]},
    ]
}
SILENT = "silence role=worker match=Alpha"
"""Whoever is asked for Alpha says half of it and then nothing for an hour: until it is steered, a run is under way."""


def workflow(store: Path | None = None, *faults: str, **settings: Any) -> Workflow[Any]:
    """The preset `general` on a simulator with these faults and settings."""
    simulator = Simulator(**{"ttft": 0.0, "tokens_per_second": 1e6, **settings}, faults=tuple(map(parse_fault, faults)))
    limits = {"attempts": 1} if faults else None
    return Workflow.from_toml("general", model="sim:x", providers={"sim": simulator}, store=store, limits=limits)


def silent(store: Path | None, **limits: Any) -> Workflow[Any]:
    """The preset `general` on a simulator that says no more than half of Alpha."""
    simulator = Simulator(ttft=0.0, tokens_per_second=1e6, faults=(parse_fault(SILENT),))
    limits = {"timeout": "1h", **limits}
    return Workflow.from_toml("general", model="sim:x", providers={"sim": simulator}, store=store, limits=limits)


@contextmanager
def server(terminal: Terminal) -> Iterator[tuple[Begun, str]]:
    """A server as a child, and its address; it is killed where this ends."""
    child = terminal.child("serve", "--port", "0", "-w", "general", "-m", "sim:fast")
    with child:
        try:
            assert child.stdout is not None
            yield child, child.stdout.readline().decode().strip().removesuffix("/v1")
        finally:
            child.kill()


class Client:
    """A caller of an endpoint."""

    def __init__(self, session: aiohttp.ClientSession, url: str, service: Service) -> None:
        self.session = session
        self.url = url
        self.service = service

    def post(self, path: str = "chat/completions", headers: dict[str, str] | None = None, **body: Any) -> Any:
        return self.session.post(f"{self.url}/{path}", json=body, headers=headers)

    async def get(self, path: str, **headers: str) -> tuple[int, dict[str, Any]]:
        """What is under /api: the status, and the body or what its error says."""
        url = self.url.removesuffix("/v1")
        async with self.session.get(f"{url}/api/{path}", headers=headers) as response:
            body = await response.json()
            return response.status, body["error"] if isinstance(body.get("error"), dict) else body

    def ask(self, task: str = TASK, headers: dict[str, str] | None = None, **body: Any) -> Any:
        return self.post(headers=headers, **{**chat(task), **body})

    async def json(self, task: str = TASK, **body: Any) -> dict[str, Any]:
        async with self.ask(task, **body) as response:
            assert response.status == 200, await response.text()
            return dict(await response.json())

    async def events(self, task: str = TASK, **body: Any) -> list[dict[str, Any]]:
        async with self.ask(task, **body, stream=True) as response:
            assert (response.status, response.content_type) == (200, "text/event-stream"), await response.text()
            return events_in(await response.text())

    async def refused(self, **body: Any) -> tuple[int, dict[str, Any]]:
        async with self.ask(**body) as response:
            return response.status, (await response.json())["error"]


def chat(task: str = TASK, **more: Any) -> dict[str, Any]:
    return {"model": "general", "messages": [{"role": "user", "content": task}], **more}


def events_in(body: str) -> list[dict[str, Any]]:
    """The data of server-sent events; the end mark and comments are none."""
    lines = [line.removeprefix("data: ") for line in body.splitlines() if line.startswith("data: ")]
    return [json.loads(line) for line in lines if line != "[DONE]"]


def told(events: Iterable[dict[str, Any]], key: str) -> str:
    """What the deltas of a stream say under a key, put together."""
    deltas = (choice["delta"] for event in events for choice in event.get("choices", ()))
    return "".join(delta.get(key) or "" for delta in deltas)


def runs(store: Path) -> list[Run[Any]]:
    """The runs of a store, oldest first."""
    return Store(store).recent(100)[::-1]


@asynccontextmanager
async def served(*workflows: Workflow[Any], **settings: Any) -> AsyncGenerator[Client, None]:
    """Workflows as the models `general`, `second`, …, for as long as this is open."""
    offered = dict(zip(("general", "second", "third"), workflows or (workflow(),), strict=False))
    settings.setdefault("store", offered["general"].store)
    app = endpoint_app(Offer(offered, **settings))
    async with listening(app) as url, aiohttp.ClientSession() as session:
        yield Client(session, url, app[SERVICE])
