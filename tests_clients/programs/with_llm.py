"""`llm`, with a model of its `extra-openai-models.yaml`: https://llm.datasette.io/en/stable/other-models.html."""

import asyncio
import json
from typing import Any

import llm
from client import BROKEN_URL, KEY, MODEL, SCHEMA, SLOW_URL, TASK, UNKNOWN, URL, leave, tell, tell_error

NAMES = {
    "quick": (MODEL, URL),
    "response": (MODEL, URL),
    "unknown": (UNKNOWN, URL),
    "broken": (MODEL, BROKEN_URL),
    "slow": (MODEL, SLOW_URL),
}


def configure() -> None:
    """As a user would: its file is YAML, and JSON is that."""
    models = [
        {
            "model_id": name,
            "model_name": model,
            "api_base": url,
            "supports_schema": True,
            "responses": name == "response",
            "api_key_name": "stretto",
        }
        for name, (model, url) in NAMES.items()
    ]
    (llm.user_dir() / "extra-openai-models.yaml").write_text(json.dumps(models), encoding="utf-8")
    (llm.user_dir() / "keys.json").write_text(json.dumps({"stretto": KEY}), encoding="utf-8")  # `llm keys set stretto`


async def streamed(name: str) -> str:
    return "".join([chunk async for chunk in llm.get_async_model(name).prompt(TASK)])


async def whole(name: str, **options: Any) -> str:
    return str(await llm.get_async_model(name).prompt(TASK, stream=False, **options).text())


async def main() -> None:
    configure()
    reply = await llm.get_async_model("quick").prompt(TASK, stream=False)
    tell("plain", await reply.text())
    usage = await reply.usage()
    tell("tokens", usage.input + usage.output)
    tell("streamed", await streamed("quick"))
    tell("structured", json.loads(await whole("quick", schema=SCHEMA)))
    tell("response", await whole("response"))
    tell("response streamed", await streamed("response"))
    await tell_error("unknown", whole("unknown"))
    await tell_error("broken", streamed("broken"))
    await leave(streamed("slow"))


asyncio.run(main())
