"""The cookbook's approach on the `openai` SDK: a plan as JSON, a gather over the workers, a call that merges.

As in the notebook, a worker's call is tried three times if it is rate-limited (after the SDK's own two retries), with
1, 2 and 4 s in between; the client is asynchronous everywhere. Source: together-cookbook,
Parallel_Subtask_Agent_Workflow.ipynb; the SDK's README (async usage, retries, structured outputs).
"""

# mypy: disable-error-code="import-not-found"

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from openai import AsyncOpenAI, RateLimitError
from pydantic import BaseModel

from bench.peers.programs import prompts
from bench.peers.programs.measure import KEY, Run, Said, Spec, measured


class Task(BaseModel):
    """A subtask."""

    type: str
    description: str


class TaskList(BaseModel):
    """A plan."""

    analysis: str
    tasks: list[Task]


_FORM = {"type": "json_schema", "json_schema": {"name": "plan", "schema": TaskList.model_json_schema()}}


@asynccontextmanager
async def _prepared(spec: Spec) -> AsyncIterator[Run]:
    gate = asyncio.Semaphore(spec.parallel or spec.workers + 2)
    async with AsyncOpenAI(base_url=spec.url, api_key=KEY) as client:

        async def ask(model: str, prompt: str, **options: object) -> str:
            messages = [{"role": "user", "content": prompt}]
            reply = await client.chat.completions.create(model=model, messages=messages, **options)
            return str(reply.choices[0].message.content)

        async def work(prompt: str) -> str:
            async with gate:
                for pause in (1, 2, 4):
                    try:
                        return await ask("worker", prompt, temperature=0.7, max_tokens=2000)
                    except RateLimitError as error:
                        last = error
                        await asyncio.sleep(pause)
                raise last

        async def run(task: str) -> Said:
            plan = json.loads(await ask("orchestrator", prompts.plan(task), response_format=_FORM))["tasks"]
            asked = [prompts.work(task, each["type"], each["description"]) for each in plan]
            texts = await asyncio.gather(*(work(prompt) for prompt in asked))
            return Said(await ask("synthesizer", prompts.join(task, texts), temperature=0.7, max_tokens=4000))

        yield run


if __name__ == "__main__":
    measured(_prepared)
