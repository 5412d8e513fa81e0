"""Inspect, with its provider for OpenAI-compatible endpoints: https://inspect.aisi.org.uk/providers.html#openai-api."""

import asyncio
import json
from typing import Any

from client import BROKEN_URL, KEY, MODEL, SCHEMA, SLOW_URL, TASK, UNKNOWN, URL, leave, tell, tell_error
from inspect_ai.model import GenerateConfig, ResponseSchema, get_model
from inspect_ai.tool import ToolFunction, ToolInfo, ToolParams
from inspect_ai.util import JSONSchema

_SCHEMA = JSONSchema.model_validate(SCHEMA)
_STRUCTURED = GenerateConfig(response_schema=ResponseSchema(name="verdict", json_schema=_SCHEMA))


def model(name: str = MODEL, url: str = URL, **options: Any) -> Any:
    return get_model(f"openai-api/stretto/{name}", base_url=url, api_key=KEY, memoize=False, **options)


async def main() -> None:
    reply = await model().generate(TASK)
    tell("plain", reply.completion)
    tell("tokens", reply.usage.total_tokens)
    tell("streamed", (await model(stream=True).generate(TASK)).completion)
    tell("structured", json.loads((await model().generate(TASK, config=_STRUCTURED)).completion))
    verdict = ToolInfo(name="verdict", description="The verdict.", parameters=ToolParams.model_validate(SCHEMA))
    reply = await model().generate(TASK, tools=[verdict], tool_choice=ToolFunction("verdict"))
    tell("called", reply.message.tool_calls[0].arguments)
    tell("response", (await model(responses_api=True).generate(TASK)).completion)
    await tell_error("unknown", model(UNKNOWN).generate(TASK))
    await tell_error("broken", model(url=BROKEN_URL, stream=True).generate(TASK))
    await leave(model(url=SLOW_URL, stream=True).generate(TASK))


asyncio.run(main())
