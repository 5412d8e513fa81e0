"""Pydantic AI, handed on in code: an agent with a typed output plans, a gather runs an agent for each part, one merges.

Source: https://ai.pydantic.dev/multi-agent-applications/ (programmatic hand-off), /output/, /models/openai/.
"""

# mypy: disable-error-code="import-not-found"

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from pydantic import BaseModel
from pydantic_ai import Agent
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider

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
    provider = OpenAIProvider(base_url=spec.url, api_key=KEY)

    def agent(name: str, **options: Any) -> Any:
        return Agent(OpenAIChatModel(name, provider=provider), **options)

    orchestrator, synthesizer = agent("orchestrator", output_type=Plan), agent("synthesizer")
    worker = agent("worker", max_concurrency=spec.parallel)

    async def run(task: str) -> Said:
        plan = (await orchestrator.run(prompts.plan(task))).output
        asked = [prompts.work(task, each.type, each.description) for each in plan.tasks]
        replies = await asyncio.gather(*(worker.run(prompt) for prompt in asked))
        merged = await synthesizer.run(prompts.join(task, [reply.output for reply in replies]))
        return Said(merged.output)

    yield run


if __name__ == "__main__":
    measured(_prepared)
