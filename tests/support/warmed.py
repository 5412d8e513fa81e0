"""What the process that others are forked from has behind it beside its imports: all that is read or made once."""

import asyncio
import gc

from genai_prices import Usage, calc_price

import command  # noqa: F401 - what each of them does
from stretto import Workflow

calc_price(Usage(input_tokens=1, output_tokens=1), model_ref="gpt-4o", provider_id="openai")
asyncio.run(Workflow.from_toml("general", model="sim:instant").run("Name teas in 3 subtasks"))  # nothing is kept of it
gc.collect()
gc.freeze()  # whoever looked for garbage in it would have a copy of it all
