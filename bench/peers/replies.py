"""Replies as bytes: what a chat-completions endpoint sends, whole, streamed, refused or spoilt."""

import re
from functools import lru_cache

import msgspec
from msgspec.structs import replace

from bench.job import ANSWER_TEXT, WORKER_TEXT, Job, plan_events
from bench.peers.scene import Fault

FINDING = re.compile(rb"Finding (\d+)\.")
"""How a worker's result begins, so that a synthesizer's request shows which results it has."""

_ID = '"id":"chatcmpl-1","created":1,"model":"bench"'
_STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
ANSWER = ANSWER_TEXT


def plan(job: Job, workers: int, fault: Fault | None = None) -> tuple[str, str]:
    """A plan of so many subtasks, spoilt if a fault says so, and its finish reason."""
    text = _plan(replace(job, workers=workers, span=0.0))
    match fault.kind if fault else None:
        case "malformed":
            return text.replace("describe one way", 'describe "one" way'), "stop"
        case "cut":
            return text[: len(text) * 2 // 3], "length"
        case "fenced":
            return f"Sure! Here is the plan:\n\n```json\n{text}\n```\n\nTell me if you would like it finer.\n", "stop"
        case _:
            return text, "stop"


@lru_cache
def _plan(job: Job) -> str:
    return "".join(text for _, text in plan_events(job))


def pieces(job: Job, workers: int, text: str) -> list[tuple[float, str]]:
    """A plan's text as it is written over the seconds it takes, each piece with its time."""
    events = list(plan_events(replace(job, workers=workers)))
    if "".join(piece for _, piece in events) == text:
        return events
    size = -(-len(text) // len(events))
    cuts = [text[at : at + size] for at in range(0, len(text), size)]
    return [(job.span * (number + 1) / len(cuts), cut) for number, cut in enumerate(cuts)]


def finding(part: int | None) -> str:
    """A worker's reply for this part of the plan."""
    return f"Finding {part}. {WORKER_TEXT}"


def whole(text: str, finish: str, prompt: int, tool: str | None = None) -> bytes:
    """A reply as one JSON object; as the arguments of `tool` if one is to be called. `prompt`: bytes of the request."""
    content = _json(text)
    if tool is not None and finish == "stop":
        finish = "tool_calls"
    called = (
        f'"content":null,"tool_calls":[{{"id":"call_1","type":"function","function":'
        f'{{"name":{_json(tool)},"arguments":{content}}}}}]'
    )
    message = called if tool is not None else f'"content":{content}'
    choice = f'{{"index":0,"finish_reason":"{finish}","message":{{"role":"assistant",{message}}}}}'
    return plain(f'{{{_ID},"object":"chat.completion","choices":[{choice}],{_usage(text, prompt)}}}'.encode())


def opening() -> bytes:
    """The head of a streamed reply."""
    return _STREAM


def event(text: str) -> bytes:
    """A piece of a streamed reply."""
    return _event(f'"choices":[{{"index":0,"delta":{{"content":{_json(text)}}}}}]')


def closing(text: str, finish: str, prompt: int) -> bytes:
    """The end of a streamed reply, which was `text`."""
    last = _event(f'"choices":[{{"index":0,"delta":{{}},"finish_reason":"{finish}"}}]')
    usage = _event(f'"choices":[],{_usage(text, prompt)}')
    return last + usage + _chunk(b"data: [DONE]\n\n") + _chunk(b"")


def plain(body: bytes, status: str = "200 OK", headers: str = "") -> bytes:
    """A whole HTTP reply; `headers` with their line ends."""
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\n{headers}Content-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def refused(status: str, message: str, headers: str = "") -> bytes:
    """An error status, in the form that clients of this API know."""
    kind = "rate_limit_error" if status.startswith("429") else "server_error"
    return plain(f'{{"error":{{"message":{_json(message)},"type":"{kind}"}}}}'.encode(), status, headers)


def tokens(text: str, prompt: int) -> int:
    """What a request of so many bytes and its reply are taken to cost."""
    return (prompt + len(text)) // 4


def _usage(text: str, prompt: int) -> str:
    sent, said = prompt // 4, len(text) // 4
    return f'"usage":{{"prompt_tokens":{sent},"completion_tokens":{said},"total_tokens":{sent + said}}}'


def _json(text: str | None) -> str:
    return msgspec.json.encode(text).decode()


def _event(fields: str) -> bytes:
    return _chunk(f'data: {{{_ID},"object":"chat.completion.chunk",{fields}}}\n\n'.encode())


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)
