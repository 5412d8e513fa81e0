"""LangChain's `ChatOpenAI`: https://docs.langchain.com/oss/python/integrations/chat/openai."""

import asyncio
from typing import Any

from client import BROKEN_URL, KEY, MODEL, SLOW_URL, TASK, UNKNOWN, URL, leave, tell, tell_error
from langchain_openai import ChatOpenAI
from pydantic import BaseModel


class Verdict(BaseModel):
    """A verdict."""

    winner: str
    reasons: list[str]


def chat(model: str = MODEL, url: str = URL, **options: Any) -> Any:
    return ChatOpenAI(model=model, base_url=url, api_key=KEY, **options)


async def streamed(model: Any) -> str:
    return "".join([chunk.text async for chunk in model.astream(TASK)])


async def main() -> None:
    reply = await chat().ainvoke(TASK)
    tell("plain", reply.text)
    tell("tokens", reply.usage_metadata["total_tokens"])
    tell("streamed", await streamed(chat()))
    tell("structured", (await chat().with_structured_output(Verdict).ainvoke(TASK)).model_dump())
    called = chat().with_structured_output(Verdict, method="function_calling")
    tell("called", (await called.ainvoke(TASK)).model_dump())
    tell("response", (await chat(use_responses_api=True).ainvoke(TASK)).text)
    tell("response streamed", await streamed(chat(use_responses_api=True)))
    await tell_error("unknown", chat(UNKNOWN).ainvoke(TASK))
    await tell_error("broken", streamed(chat(url=BROKEN_URL)))
    await leave(streamed(chat(url=SLOW_URL)))


asyncio.run(main())
