"""`GET /healthz` and `GET /metrics` (Prometheus's text), for whoever operates a worker or a server."""

import asyncio
from collections.abc import Callable, Mapping

from aiohttp import web

from stretto.errors import StoreError

Gauges = Callable[[], Mapping[str, tuple[str, float]]]
"""What is to be told: by its name, what it means, and how much of it there is; those named `_total` only grow."""

_TEXT = "text/plain; version=0.0.4; charset=utf-8"


def health_routes(gauges: Gauges) -> list[web.RouteDef]:
    """Routes that tell of `gauges`, which are asked for in a thread; 503 where the store cannot be reached."""

    async def told(request: web.Request) -> web.Response:
        try:
            found = await asyncio.to_thread(gauges)
        except StoreError as error:
            return web.Response(status=503, text=f"{error}\n")
        if request.path == "/healthz":
            return web.Response(text="ok\n")
        return web.Response(body=exposition(found), headers={"content-type": _TEXT})

    return [web.get("/healthz", told), web.get("/metrics", told)]


def exposition(gauges: Mapping[str, tuple[str, float]]) -> bytes:
    """The text that Prometheus reads."""
    lines = []
    for name, (meaning, value) in gauges.items():
        kind = "counter" if name.endswith("_total") else "gauge"
        lines += [f"# HELP {name} {meaning}", f"# TYPE {name} {kind}", f"{name} {value:g}"]
    return ("\n".join(lines) + "\n").encode()
