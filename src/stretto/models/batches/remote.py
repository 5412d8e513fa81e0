"""The Batch API of a provider: a file is uploaded, a batch made of it, looked at, and what came of it fetched.

Sources: https://platform.openai.com/docs/guides/batch, a form that Groq and others share;
https://docs.together.ai/docs/inference/batch/tutorial, which has other names for the same.
"""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import urljoin

import aiohttp
import msgspec
from msgspec import Struct
from yarl import URL

from stretto import errors
from stretto.models.answered import SIMULATED
from stretto.models.http import FAILURES, Http, body_of
from stretto.models.providers import PATH, Provider, address
from stretto.models.refusals import refusal

ENDPOINT = f"/v1{PATH}"
_ENDED = frozenset({"completed", "failed", "expired", "cancelled"})
_UPLOADS = {"openai": ("/files", "batch"), "together": ("/files/upload", "batch-api")}
"""Where a file goes, and what it is said to be for."""
_ONE_REQUEST = 300.0  # seconds
_PAGES = 100  # of a list, with a hundred in each
_HOPS = 5  # from an address to where a file lies
_LARGEST = 512 * 2**20  # bytes of a file of results: several times what providers take as one batch
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class Answer(Struct, frozen=True):
    """What came back for one call: the status and body of a response, and whether they are the simulator's."""

    status: int
    body: bytes
    simulated: bool


class Standing(Struct, frozen=True):
    """How far a batch is: whether it has `ended`, with which files, and `why` if not as it should."""

    ended: bool
    files: tuple[str, ...] = ()
    why: str = ""


class Remote:
    """Asks one provider's Batch API; errors are those of calls, and name `where`."""

    def __init__(
        self, http: Http, provider: Provider, headers: Mapping[str, str], where: str, told: Callable[[str], str]
    ) -> None:
        self._http = http
        self._base = provider.base_url
        self._form = provider.batches
        self._headers = {name: value for name, value in headers.items() if name.lower() != "content-type"}
        self._where = where
        self._told = told

    async def submit(self, key: str, lines: bytes) -> str:
        """Send these lines as one batch; its id."""
        path, purpose = _UPLOADS[self._form]
        form = aiohttp.FormData()
        form.add_field("purpose", purpose)
        if self._form == "together":
            form.add_field("file_name", _name(key))
            form.add_field("file_type", "jsonl")
        form.add_field("file", lines, filename=_name(key), content_type="application/jsonl")
        file = await self._asked("POST", path, data=form)
        asked = {"input_file_id": _id(file), "endpoint": ENDPOINT, "completion_window": "24h"}
        made = await self._asked("POST", "/batches", json=asked)
        return _id(made.get("job", made))

    async def find(self, key: str) -> str:
        """The id of the batch that was made of the file of this name; empty if there is none."""
        files = {_id(file) for file in await self._listed("/files") if file.get("filename") == _name(key)}
        made = await self._listed("/batches") if files else []
        return next((_id(batch) for batch in made if batch.get("input_file_id") in files), "")

    async def _listed(self, path: str) -> list[dict[str, Any]]:
        """Everything in a list, which comes in pages where it is long."""
        listed: list[dict[str, Any]] = []
        after: dict[str, str] = {}
        for _ in range(_PAGES):
            told = await self._asked("GET", path, params={"limit": "100", **after})
            found = told.get("data")
            listed += [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []
            if not found or told.get("has_more") is not True:
                break
            after = {"after": _id(listed[-1])}
        return listed

    async def look(self, id_: str) -> Standing:
        """How far a batch is."""
        told = await self._asked("GET", f"/batches/{id_}")
        facts = told.get("job", told)
        status = str(facts.get("status", "")).lower()
        files = tuple(str(name) for key in ("output_file_id", "error_file_id") if (name := facts.get(key)))
        why = "" if status == "completed" else f"the batch {id_} has {_reasons(facts) or status}"
        return Standing(status in _ENDED, files, why)

    async def answers(self, file: str) -> dict[str, Answer]:
        """What is in a file of results, by the ids of lines; those that were not answered are not among them."""
        data, simulated = await self._fetched("GET", f"/files/{file}/content")
        return await asyncio.to_thread(lambda: dict(_answers(data, simulated=simulated)))  # it may be large

    async def _asked(self, method: str, path: str, **content: Any) -> dict[str, Any]:
        data, _ = await self._fetched(method, path, **content)
        try:
            facts = msgspec.json.decode(data)
        except _UNREADABLE as error:
            raise errors.ReplyError(f"{self._where}: {path}: no JSON; does this provider take batches?") from error
        return facts if isinstance(facts, dict) else {"data": facts}

    async def _fetched(self, method: str, path: str, **content: Any) -> tuple[bytes, bool]:
        """What an address gives, and whether that is the simulator's."""
        url = address(self._base, path)
        try:
            async with asyncio.timeout(_ONE_REQUEST):
                for _ in range(_HOPS):
                    # Only at the provider's own address it bears what it knows us by.
                    ours = URL(url).origin() == URL(self._base).origin()
                    headers = self._headers if ours else None
                    async with self._http.request(method, url, headers=headers, **content) as response:
                        location = response.headers.get("location")
                        if method == "GET" and 300 <= response.status < 400 and location:
                            url, content = urljoin(url, location), {}  # a file may lie elsewhere
                            continue
                        data = await body_of(response, _LARGEST, f"{self._where}: {path}", "no batch is that large")
                    if not 200 <= response.status < 300:
                        text = self._told(data.decode("utf-8", "replace"))
                        raise refusal(response.status, response.headers, text, f"{self._where}: {path}")
                    return data, response.headers.get(SIMULATED) == "true"
        except (*FAILURES, ValueError) as error:  # a location that is no address is a ValueError
            why = self._told(str(error) or type(error).__name__)
            raise errors.ConnectError(f"{self._where}: {path}: the connection broke: {why}") from None
        raise errors.ReplyError(f"{self._where}: {path}: redirects again and again; check the base URL")


def _answers(data: bytes, *, simulated: bool) -> Iterator[tuple[str, Answer]]:
    for line in data.splitlines():
        try:
            facts = msgspec.json.decode(line)
        except _UNREADABLE:
            continue  # whose answer that was, nobody can say: it counts as not there
        if isinstance(facts, dict) and isinstance(response := facts.get("response"), dict):
            body = msgspec.json.encode(response.get("body"))
            status = response.get("status_code")
            yield str(facts.get("custom_id")), Answer(status if isinstance(status, int) else 200, body, simulated)


def _name(key: str) -> str:
    return f"stretto-{key}.jsonl"


def _id(facts: Mapping[str, Any]) -> str:
    return str(facts.get("id", ""))


def _reasons(facts: Mapping[str, Any]) -> str:
    """Why a batch failed, if that is told."""
    told = facts.get("errors")
    listed = told.get("data") if isinstance(told, Mapping) else told
    found = listed if isinstance(listed, list) else []
    reasons = [str(each.get("message")) for each in found if isinstance(each, Mapping)]
    reasons += [str(facts["error"])] if facts.get("error") else []
    return f"failed: {'; '.join(reasons[:3])}" if reasons else ""
