"""A hub on loopback, that answers as Hugging Face does for a file: its metadata, its bytes from anywhere on."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

from aiohttp import web

from beside import beside

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub:
    """Its `files` by `OWNER/REPO/NAME`; `asked`: the requests, with the byte that each began at.

    `breaks`: after so many bytes the next reply breaks off. `published`: the checksums it tells, if they are others.
    """

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files
        self.asked: list[tuple[str, str, int]] = []
        self.breaks: int | None = None
        self.published: dict[str, str] = {}
        self.gated = False
        self.url = ""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        if "/resolve/main/" not in request.path:
            return web.Response(status=404)
        owner, repository, _, _, *rest = request.path.lstrip("/").split("/")
        name = f"{owner}/{repository}/{'/'.join(rest)}"
        begin = int(request.headers.get("Range", "bytes=0-").removeprefix("bytes=").partition("-")[0])
        self.asked.append((request.method, name, begin))
        if self.gated:
            return web.Response(status=403, headers={"X-Error-Code": "GatedRepo"})
        if name not in self.files:
            return web.Response(status=404, headers={"X-Error-Code": "EntryNotFound", "X-Repo-Commit": COMMIT})
        data = self.files[name]
        told = self.published.get(name) or hashlib.sha256(data).hexdigest()
        headers = {"X-Repo-Commit": COMMIT, "ETag": f'"{told}"', "X-Linked-Etag": f'"{told}"'}
        headers |= {"X-Linked-Size": str(len(data)), "Content-Length": str(len(data) - begin)}
        if begin:
            headers["Content-Range"] = f"bytes {begin}-{len(data) - 1}/{len(data)}"
        response = web.StreamResponse(status=206 if begin else 200, headers=headers)
        await response.prepare(request)
        if request.method == "GET":
            until, self.breaks = self.breaks, None
            await response.write(data[begin:until])
            if until is not None and request.transport:
                request.transport.close()
        return response


@contextmanager
def hub(files: dict[str, bytes]) -> Iterator[Hub]:
    """It, for as long as this is open."""
    made = Hub(files)
    with beside(made.answer) as made.url:
        yield made
