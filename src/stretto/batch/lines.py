"""The lines of a batch, checked at the door: tasks of our own, and requests as OpenAI's Batch API takes them."""

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO, Literal

import msgspec
from msgspec import Struct

from stretto.errors import TaskError
from stretto.ground.text import nearest
from stretto.types import Input

Form = Literal["task", "chat", "response"]
"""What a line is: a task, or a request for a chat completion or for a response."""

LONGEST = 64 * 1024 * 1024
"""Bytes of one line."""
_URLS: dict[str, Form] = {"/v1/chat/completions": "chat", "/v1/responses": "response"}
_TASK_KEYS = ("id", "task", "inputs")
_REQUEST_KEYS = ("custom_id", "method", "url", "body")


class Line(Struct, frozen=True):
    """One line: its `id` as it is written, and what is to be done.

    `inputs`: names of files, folders and addresses as `-i` takes them, or texts. `body`: that of a request. `digest`
    stands for all of it.
    """

    number: int
    id: str | int
    form: Form
    digest: str
    task: str = ""
    inputs: tuple[str | Input, ...] = ()
    body: dict[str, Any] = {}

    @property
    def key(self) -> str:
        """The id as it is told apart from others."""
        return str(self.id)


def raw_lines(file: BinaryIO, place: str) -> Iterator[tuple[int, bytes]]:
    """Every line that is not blank, with its number; the file is read as far as it is asked for."""
    file.seek(0)
    number = 0
    while data := file.readline(LONGEST + 1):
        number += 1
        if len(data) > LONGEST:
            raise TaskError(f"{place}: line {number}: longer than {LONGEST // 2**20} MB; is it one JSON object a line?")
        if data := data.removeprefix(b"\xef\xbb\xbf").strip():
            yield number, data


def read_line(number: int, data: bytes, place: str) -> Line:
    """What a line says; raises `TaskError` with the place and the remedy."""
    where = f"{place}: line {number}"
    try:
        facts = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise TaskError(f"{where}: no JSON: {error}; each line is one JSON object") from error
    if not isinstance(facts, dict):
        raise TaskError(f'{where}: no JSON object; write {{"id": …, "task": …}}')
    digest = hashlib.sha256(data).hexdigest()
    is_request = "custom_id" in facts or ("body" in facts and "task" not in facts)
    return (_request if is_request else _task)(number, facts, digest, where)


def _task(number: int, facts: dict[str, Any], digest: str, where: str) -> Line:
    _check_keys(facts, _TASK_KEYS, where)
    id_, task = _id(facts, "id", where), facts.get("task")
    if not isinstance(task, str) or not task.strip():
        raise TaskError(f"{where}: its task is missing, empty or no text; say under task what is to be done")
    given = facts.get("inputs") or []
    if not isinstance(given, list):
        raise TaskError(f"{where}: inputs is no list; write [FILE, …], or [{_TEXT}, …]")
    return Line(number, id_, "task", digest, task, tuple(_input(each, where) for each in given))


_TEXT = '{"name": …, "text": …}'


def _input(given: Any, where: str) -> str | Input:
    if isinstance(given, str) and given and given != "-":
        return given
    try:
        read = msgspec.convert(given, Input)
    except msgspec.ValidationError as error:
        raise TaskError(
            f"{where}: inputs: {error}; each is the name of a file, folder or address, or {_TEXT}"
        ) from error
    if not read.text.strip() and not read.data:
        raise TaskError(f"{where}: inputs: {read.name[:80]!r} has no text; write {_TEXT}")
    return read


def _request(number: int, facts: dict[str, Any], digest: str, where: str) -> Line:
    _check_keys(facts, _REQUEST_KEYS, where)
    id_, url, body = _id(facts, "custom_id", where), facts.get("url", "/v1/chat/completions"), facts.get("body")
    if facts.get("method", "POST") != "POST":
        raise TaskError(f"{where}: method is {facts['method']!r}; only POST asks a model")
    if url not in _URLS:
        raise TaskError(f"{where}: unknown url {str(url)[:100]!r}; a batch takes {' and '.join(_URLS)}")
    if not isinstance(body, dict):
        raise TaskError(f"{where}: body is no JSON object; it is the request, with model and messages")
    return Line(number, id_, _URLS[url], digest, body=body)


def _id(facts: Mapping[str, Any], name: str, where: str) -> str | int:
    id_ = facts.get(name)
    if isinstance(id_, bool) or not isinstance(id_, str | int) or not str(id_).strip():
        raise TaskError(f"{where}: no {name}; give each line one of its own, a text or a whole number")
    return id_


def _check_keys(facts: Mapping[str, Any], known: tuple[str, ...], where: str) -> None:
    for key in facts:
        if key not in known:
            near = nearest(key, known, 0.6)
            meant = f"did you mean {near!r}?" if near else f"a line has {', '.join(known)}"
            raise TaskError(f"{where}: unknown key {key[:80]!r}; {meant}")
