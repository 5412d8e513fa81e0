"""The Batch API of the simulator: files of requests that are answered later, in any order, some of them perhaps not.

The form is OpenAI's (https://platform.openai.com/docs/api-reference/batch), which others share; who uploads a file as
for Together (`purpose` is `batch-api`) is told of its batches in the form of Together
(https://docs.together.ai/reference/batch-create).
"""

import asyncio
import random
from typing import Any

import msgspec
from aiohttp import web
from msgspec import Struct

from stretto.calls import fingerprint
from stretto.models.error_bodies import Refusal
from stretto.models.simulator.provider import SimulatedProvider, failed_line
from stretto.models.simulator.script import Script
from stretto.server.body import chat_of
from stretto.server.packed import unpacked
from stretto.server.refused import BadBodyError, error_facts, refused
from stretto.server.sim.ticker import whole

_ENDPOINT = "/v1/chat/completions"
_HEADERS = {"x-stretto-simulated": "true"}
_PAGE = 20  # entries of a list, if nobody says how many
_ENDED = ("completed", "expired", "failed", "cancelled")


class _File(Struct):
    id: str
    name: str
    purpose: str
    data: bytes


class _Batch(Struct):
    id: str
    file: str
    made_at: float
    metadata: Any = None
    status: str = "in_progress"
    output: str | None = None
    errors: str | None = None
    counts: dict[str, int] = {}
    why: str = ""


class Batches:
    """Keeps files, and carries batches of the requests in them by `provider`."""

    def __init__(self, provider: SimulatedProvider) -> None:
        self.batches: dict[str, _Batch] = {}
        self._provider = provider
        self._files: dict[str, _File] = {}

    def routes(self) -> list[web.RouteDef]:
        """The addresses of files and batches."""
        return [
            web.post("/v1/files", self._upload),
            web.post("/v1/files/upload", self._upload),
            web.get("/v1/files", self._list_files),
            web.get("/v1/files/{id}/content", self._content),
            web.post("/v1/batches", self._create),
            web.get("/v1/batches", self._list_batches),
            web.get("/v1/batches/{id}", self._look),
            web.post("/v1/batches/{id}/cancel", self._cancel),
        ]

    async def _upload(self, request: web.Request) -> web.Response:
        fields = await request.post() if request.content_type == "multipart/form-data" else {}
        sent, purpose = fields.get("file"), fields.get("purpose")
        if not isinstance(sent, web.FileField) or not isinstance(purpose, str):
            return _bad("a file is sent as multipart/form-data, with the fields purpose and file", "file")
        return _json(_file_facts(self._keep(sent.filename, purpose, sent.file.read())))

    async def _list_files(self, request: web.Request) -> web.Response:
        return _list([_file_facts(file) for file in reversed(self._files.values())], request)

    async def _content(self, request: web.Request) -> web.Response:
        if (file := self._files.get(request.match_info["id"])) is None:
            return _missing("file", request.match_info["id"])
        return web.Response(body=file.data, content_type="application/octet-stream", headers=_HEADERS)

    async def _create(self, request: web.Request) -> web.Response:
        try:
            asked = msgspec.json.decode(await unpacked(request))
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            return _bad(f"the body is not valid JSON: {error}")
        if not isinstance(asked, dict) or asked.get("input_file_id") not in self._files:
            return _bad("input_file_id: there is no such file", "input_file_id")
        if asked.get("endpoint") != _ENDPOINT:
            return _bad(f"endpoint: batches are of {_ENDPOINT} here", "endpoint")
        now = asyncio.get_running_loop().time()
        batch = _Batch(f"batch_{len(self.batches) + 1}", asked["input_file_id"], now, asked.get("metadata"))
        self.batches[batch.id] = batch
        facts = self._facts(batch)
        return _json({"job": facts, "warning": None} if self._as_together(batch) else facts)

    async def _list_batches(self, request: web.Request) -> web.Response:
        return _list([self._facts(self._carried(batch)) for batch in reversed(self.batches.values())], request)

    async def _look(self, request: web.Request) -> web.Response:
        if (batch := self.batches.get(request.match_info["id"])) is None:
            return _missing("batch", request.match_info["id"])
        return _json(self._facts(self._carried(batch)))

    async def _cancel(self, request: web.Request) -> web.Response:
        if (batch := self.batches.get(request.match_info["id"])) is None:
            return _missing("batch", request.match_info["id"])
        if batch.status not in _ENDED:
            batch.status = "cancelled"
        return _json(self._facts(batch))

    def _facts(self, batch: _Batch) -> dict[str, Any]:
        facts = _batch_facts(batch)
        return {**facts, "status": batch.status.upper()} if self._as_together(batch) else facts

    def _as_together(self, batch: _Batch) -> bool:
        return self._files[batch.file].purpose == "batch-api"

    def _keep(self, name: str, purpose: str, data: bytes) -> _File:
        file = _File(f"file-{len(self._files) + 1}", name, purpose, data)
        self._files[file.id] = file
        return file

    def _carried(self, batch: _Batch) -> _Batch:
        """The batch as it is now: when it is due, all of it is there at once."""
        now = asyncio.get_running_loop().time()
        if batch.status in _ENDED or now < batch.made_at + self._provider.simulator.batch:
            return batch
        try:
            lines = [msgspec.json.decode(line) for line in self._files[batch.file].data.splitlines() if line.strip()]
            bodies = {line["custom_id"]: line["body"] for line in lines}
        except (msgspec.DecodeError, UnicodeDecodeError, KeyError, TypeError) as error:
            batch.status, batch.why = "failed", f"a line is none: {error}"
            return batch
        if len(bodies) < len(lines):
            batch.status, batch.why = "failed", "a custom_id stands twice"
            return batch
        results = [self._answer(id_, body, now) for id_, body in bodies.items()]
        random.Random(self._provider.simulator.seed).shuffle(results)  # no order is promised
        answered, failed = ([line for line in results if _is_good(line) is good] for good in (True, False))
        batch.output = self._written("output", answered)
        batch.errors = self._written("errors", failed)
        batch.counts = {"total": len(lines), "completed": len(answered), "failed": len(failed)}
        batch.status = "expired" if any(line["error"] for line in results) else "completed"
        return batch

    def _written(self, name: str, lines: list[dict[str, Any]]) -> str | None:
        data = b"".join(msgspec.json.encode(line) + b"\n" for line in lines)
        return self._keep(f"{name}.jsonl", "batch_output", data).id if lines else None

    def _answer(self, id_: str, body: Any, now: float) -> dict[str, Any]:
        """What comes out for one line."""
        line = {"id": f"batch_req_{id_}", "custom_id": id_, "response": None, "error": None}
        try:
            chat = chat_of(dict(body))
        except (BadBodyError, TypeError, ValueError) as error:
            return {**line, "response": _response(400, {"error": {"message": str(error)}})}
        asked = chat.request
        script = self._provider.ask(asked.model, asked, fingerprint(asked), now)
        if told := failed_line(script):
            return {**line, "response": _response(told.status, {"error": error_facts(told)})}
        assert isinstance(script, Script)  # noqa: S101 - it was not refused
        if script.fault and script.fault.kind == "expired":
            message = "This request could not be executed before the completion window expired."
            return {**line, "error": {"code": "batch_expired", "message": message}}
        self._provider.complete(fingerprint(asked), script)
        return {**line, "response": _response(200, msgspec.json.decode(whole(script, asked.model)))}


def _is_good(line: dict[str, Any]) -> bool:
    return line["response"] is not None and line["response"]["status_code"] == 200


def _response(status: int, body: Any) -> dict[str, Any]:
    return {"status_code": status, "request_id": "", "body": body}


def _file_facts(file: _File) -> dict[str, Any]:
    facts = {"id": file.id, "object": "file", "bytes": len(file.data), "created_at": 0, "filename": file.name}
    return {**facts, "purpose": file.purpose, "status": "processed"}


def _batch_facts(batch: _Batch) -> dict[str, Any]:
    errors = {"object": "list", "data": [{"code": "invalid", "message": batch.why}]} if batch.why else None
    return {
        "id": batch.id, "object": "batch", "endpoint": _ENDPOINT, "errors": errors, "input_file_id": batch.file,
        "completion_window": "24h", "status": batch.status, "output_file_id": batch.output,
        "error_file_id": batch.errors, "created_at": 0, "request_counts": batch.counts, "metadata": batch.metadata,
    }  # fmt: skip


def _json(facts: object) -> web.Response:
    return web.Response(body=msgspec.json.encode(facts), content_type="application/json", headers=_HEADERS)


def _list(found: list[dict[str, Any]], request: web.Request) -> web.Response:
    """A page of a list: so many of it, behind the one that is named."""
    limit, after = request.query.get("limit", ""), request.query.get("after")
    start = next((place for place, each in enumerate(found, 1) if each["id"] == after), 0)
    end = start + (int(limit) if limit.isdecimal() else _PAGE)
    return _json({"object": "list", "data": found[start:end], "has_more": end < len(found)})


def _bad(message: str, param: str | None = None) -> web.Response:
    return refused(BadBodyError(message, param).refusal, _HEADERS)


def _missing(what: str, id_: str) -> web.Response:
    return refused(Refusal(404, "invalid_request_error", "not_found", f"there is no {what} {id_[:80]!r}"), _HEADERS)
