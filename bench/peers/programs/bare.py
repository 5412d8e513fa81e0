"""The yardstick: `aiohttp` and a gather, with no retries, limits or checks."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp

from bench.peers.programs import prompts
from bench.peers.programs.measure import Run, Said, Spec, measured


@asynccontextmanager
async def _prepared(spec: Spec) -> AsyncIterator[Run]:
    gate = asyncio.Semaphore(spec.parallel or spec.workers + 2)
    connector, timeout = aiohttp.TCPConnector(limit=0), aiohttp.ClientTimeout(total=None)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:

        async def ask(model: str, prompt: str) -> str:
            body = {"model": model, "messages": [{"role": "user", "content": prompt}]}
            async with gate, session.post(f"{spec.url}/chat/completions", json=body) as response:
                response.raise_for_status()
                return str(json.loads(await response.read())["choices"][0]["message"]["content"])

        async def run(task: str) -> Said:
            plan = json.loads(await ask("orchestrator", prompts.plan(task)))["tasks"]
            asked = [prompts.work(task, each["type"], each["description"]) for each in plan]
            texts = await asyncio.gather(*(ask("worker", prompt) for prompt in asked))
            return Said(await ask("synthesizer", prompts.join(task, texts)))

        yield run


if __name__ == "__main__":
    measured(_prepared)
