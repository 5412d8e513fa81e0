"""The OpenAI Agents SDK, orchestrated in code: an agent plans, a gather runs an agent for each part, an agent merges.

Source: https://openai.github.io/openai-agents-python/multi_agent/ (orchestrating via code), and /models/ for endpoints
that are not OpenAI's: chat completions on a client of one's own, tracing off (it would send to OpenAI).
"""

# mypy: disable-error-code="import-not-found"

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from agents import Agent, OpenAIChatCompletionsModel, Runner, set_tracing_disabled
from openai import AsyncOpenAI
from pydantic import BaseModel

from bench.peers.programs import prompts
from bench.peers.programs.measure import KEY, Run, Said, Spec, measured


class Task(BaseModel):
    """A subtask."""

    type: str
    description: str


class Plan(BaseModel):
    """A plan."""

    analysis: str
    tasks: list[Task]


@asynccontextmanager
async def _prepared(spec: Spec) -> AsyncIterator[Run]:
    set_tracing_disabled(disabled=True)
    gate = asyncio.Semaphore(spec.parallel or spec.workers + 2)
    async with AsyncOpenAI(base_url=spec.url, api_key=KEY) as client:

        def agent(name: str, **options: Any) -> Any:
            return Agent(name=name, model=OpenAIChatCompletionsModel(model=name, openai_client=client), **options)

        orchestrator, worker = agent("orchestrator", output_type=Plan), agent("worker")
        synthesizer = agent("synthesizer")

        async def work(prompt: str) -> str:
            async with gate:
                return str((await Runner.run(worker, prompt)).final_output)

        async def run(task: str) -> Said:
            plan = (await Runner.run(orchestrator, prompts.plan(task))).final_output
            asked = [prompts.work(task, each.type, each.description) for each in plan.tasks]
            texts = await asyncio.gather(*(work(prompt) for prompt in asked))
            return Said((await Runner.run(synthesizer, prompts.join(task, texts))).final_output)

        yield run


if __name__ == "__main__":
    measured(_prepared)
