"""LiteLLM, with its provider for OpenAI-compatible endpoints: https://docs.litellm.ai/docs/providers/openai_compatible."""

import asyncio
import json
import logging
from typing import Any

import litellm
from client import BROKEN_URL, KEY, MODEL, SCHEMA, SLOW_URL, TASK, UNKNOWN, URL, leave, tell, tell_error
from pydantic import BaseModel

_VERDICT = {"type": "function", "function": {"name": "verdict", "parameters": SCHEMA}}


class Verdict(BaseModel):
    """A verdict."""

    winner: str
    reasons: list[str]


def ask(model: str = MODEL, url: str = URL, **options: Any) -> Any:
    messages = [{"role": "user", "content": TASK}]
    return litellm.acompletion(model=f"openai/{model}", messages=messages, api_base=url, api_key=KEY, **options)


async def streamed(url: str = URL) -> str:
    return "".join([chunk.choices[0].delta.content or "" async for chunk in await ask(url=url, stream=True)])


def models() -> Any:
    return litellm.get_valid_models(
        check_provider_endpoint=True, custom_llm_provider="openai", api_base=URL, api_key=KEY
    )


async def main() -> None:
    tell("models", await asyncio.to_thread(models))
    reply = await ask()
    tell("plain", reply.choices[0].message.content)
    tell("tokens", reply.usage.total_tokens)
    tell("streamed", await streamed())
    tell("structured", json.loads((await ask(response_format=Verdict)).choices[0].message.content))
    (call,) = (await ask(tools=[_VERDICT], tool_choice="required")).choices[0].message.tool_calls
    tell("called", json.loads(call.function.arguments))
    response = await litellm.aresponses(model=f"openai/{MODEL}", input=TASK, api_base=URL, api_key=KEY)
    tell("response", response.output_text)
    await tell_error("unknown", ask(UNKNOWN))
    await tell_error("broken", streamed(BROKEN_URL))
    await leave(streamed(SLOW_URL))


logging.disable()
litellm.suppress_debug_info = True  # it would print to where we tell
asyncio.run(main())
