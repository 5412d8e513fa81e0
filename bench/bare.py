"""The bare process: the same requests with aiohttp alone: stream the plan, parse it at its end, gather, join.

No retries, limits, log, events or checks: what nobody could do with less in Python.
"""

import asyncio
from typing import Any

import aiohttp
import msgspec
from msgspec import Struct

from bench.job import TASK, Job
from bench.meter import Spec, measured

_HEADERS = {"Content-Type": "application/json"}


class _Message(Struct):
    content: str | None = None


class _Choice(Struct):
    delta: _Message | None = None
    message: _Message | None = None


class _Body(Struct):
    choices: list[_Choice]


class _Line(Struct):
    type: str
    description: str


class _Plan(Struct):
    tasks: list[_Line]


_body = msgspec.json.Decoder(_Body)
_plan = msgspec.json.Decoder(_Plan)


def _request(job: Job, role: str, prompt: str, *, stream: bool) -> bytes:
    body: dict[str, Any] = {"model": job.model(role), "messages": [{"role": "user", "content": prompt}]}
    return msgspec.json.encode({**body, "stream": stream})


async def heard(session: aiohttp.ClientSession, url: str, request: bytes) -> list[str]:
    """The pieces of a streamed reply."""
    pieces, rest = [], b""
    async with session.post(url, data=request, headers=_HEADERS) as response:
        async for data in response.content.iter_any():
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                if line.startswith(b"data:") and line != b"data: [DONE]":
                    body = _body.decode(line[5:])
                    if body.choices and body.choices[0].delta:
                        pieces.append(body.choices[0].delta.content or "")
    return pieces


async def _streamed(session: aiohttp.ClientSession, url: str, request: bytes) -> str:
    return "".join(await heard(session, url, request))


async def _whole(session: aiohttp.ClientSession, url: str, request: bytes) -> str:
    async with session.post(url, data=request, headers=_HEADERS) as response:
        message = _body.decode(await response.read()).choices[0].message
        return (message and message.content) or ""


async def _run(spec: Spec) -> None:
    job, url = spec.job, spec.url + "/chat/completions"
    ask = _streamed if job.tokens else _whole
    connector, timeout = aiohttp.TCPConnector(limit=0), aiohttp.ClientTimeout(total=None)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
        plan = _plan.decode(await _streamed(session, url, _request(job, "plan", f"Plan this: {TASK}", stream=True)))
        prompts = [f"The whole task:\n{TASK}\n\nYour part of it:\n{line.description}" for line in plan.tasks]
        texts = await asyncio.gather(
            *(ask(session, url, _request(job, "work", prompt, stream=bool(job.tokens))) for prompt in prompts)
        )
        joined = "\n".join(texts)
        answer = await _streamed(session, url, _request(job, "join", f"{TASK}\n\n{joined}", stream=True))
    assert len(texts) == job.workers
    assert all(texts)
    assert answer


if __name__ == "__main__":
    measured(_run)
