"""Pydantic AI: https://ai.pydantic.dev/models/openai/ and /output/ (a type is a function to call)."""

import asyncio
from typing import Any

from client import BROKEN_URL, KEY, MODEL, SLOW_URL, TASK, UNKNOWN, URL, leave, tell, tell_error
from pydantic import BaseModel
from pydantic_ai import Agent, NativeOutput
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers.openai import OpenAIProvider


class Verdict(BaseModel):
    """A verdict."""

    winner: str
    reasons: list[str]


def agent(model: str = MODEL, url: str = URL, kind: Any = OpenAIChatModel, **options: Any) -> Any:
    return Agent(kind(model, provider=OpenAIProvider(base_url=url, api_key=KEY)), **options)


async def streamed(agent: Any) -> Any:
    async with agent.run_stream(TASK) as result:
        return [said async for said in result.stream_output(debounce_by=None)][-1]


async def main() -> None:
    reply = await agent().run(TASK)
    tell("plain", reply.output)
    tell("tokens", reply.usage.total_tokens)
    tell("streamed", await streamed(agent()))
    tell("structured", (await agent(output_type=NativeOutput(Verdict)).run(TASK)).output.model_dump())
    tell("called", (await agent(output_type=Verdict).run(TASK)).output.model_dump())
    tell("called streamed", (await streamed(agent(output_type=Verdict))).model_dump())
    tell("response", (await agent(kind=OpenAIResponsesModel).run(TASK)).output)
    tell("response streamed", await streamed(agent(kind=OpenAIResponsesModel)))
    called = agent(kind=OpenAIResponsesModel, output_type=Verdict)
    tell("response called", (await called.run(TASK)).output.model_dump())
    tell("response called streamed", (await streamed(called)).model_dump())
    await tell_error("unknown", agent(UNKNOWN).run(TASK))
    await tell_error("broken", streamed(agent(url=BROKEN_URL)))
    await leave(streamed(agent(url=SLOW_URL)))


asyncio.run(main())
