"""The notebook's own way, and one direct call: the same requests with aiohttp alone.

As the cookbook's notebook does it (together-cookbook, Parallel_Subtask_Agent_Workflow.ipynb): a plan by JSON mode with
the schema in `response_format`, every worker at once by `asyncio.gather`, one call that merges. Whatever would end the
notebook with a traceback ends the trial without an answer: a plan that is no JSON or lacks a key, an HTTP error other
than a 429, which a worker asks again after 1, 2 and 4 s. Its schema is not enforced beyond what the server does.

The prompts here are ours, with the parts of the notebook's in their order; `--notebook FILE` (the notebook, or its
text) takes the notebook's own.
"""

import asyncio
import json
import re
from pathlib import Path
from typing import Any

import aiohttp
from msgspec import Struct

from bench.gauntlet.plans import plan_is_valid
from bench.gauntlet.setting import Setting
from bench.gauntlet.tasks import Task
from bench.gauntlet.trial import Part, Tokens, Trial

TYPES = ("plan", "code/solve", "test")
_TEXT = {"type": "string"}
_SUBTASK = {
    "type": "object",
    "title": "Task",
    "properties": {
        "type": {**_TEXT, "title": "Type", "enum": list(TYPES)},
        "description": {**_TEXT, "title": "Description"},
    },
    "required": ["type", "description"],
}
_SCHEMA = {  # as pydantic writes it, whose list with a default is not required
    "$defs": {"Task": _SUBTASK},
    "type": "object",
    "title": "TaskList",
    "properties": {
        "analysis": {**_TEXT, "title": "Analysis"},
        "tasks": {"type": "array", "title": "Tasks", "items": {"$ref": "#/$defs/Task"}},
    },
    "required": ["analysis"],
}
_DIRECT = 2000  # tokens of the direct call's reply at most, as many as a worker of the notebook may write


class Prompts(Struct, frozen=True):
    """What orchestrator, workers and synthesizer are asked; templates for `str.format`."""

    orchestrator: str = """
Look at this task and split it into 2 or 3 different approaches:

Task: {task}

First give an analysis: how you understand the task, which variations are worth having, and what each approach is
good for.

Then give 2 or 3 approaches to the task, each with a short description:

Planning: write a detailed plan for the task, without solving it
Solving: write a technical solution of the task
Testing: write a plan for testing a solution, without solving the task

Return JSON and nothing else.
"""
    worker: str = """
Write content based on:
Task: {original_task}
Style: {task_type}
Guidelines: {task_description}

Return your response alone:
[Your content, in the style that is given, with everything that is required.]
"""
    synthesizer: str = """For this task: {task} and these responses, each of which addresses another aspect of it, \
write one final response.

{worker_responses}
"""


def prompts_from(file: Path) -> Prompts:
    """The prompts that stand in a notebook, or its text, as `ORCHESTRATOR_PROMPT = \"\"\"…\"\"\"` and so on."""
    text = file.read_text(encoding="utf-8")
    if file.suffix == ".ipynb":
        text = "\n".join("".join(cell["source"]) for cell in json.loads(text)["cells"])
    found = dict(re.findall(r'^(\w+)_PROMPT = """(.*?)"""', text, re.DOTALL | re.MULTILINE))
    if missing := [name for name in ("ORCHESTRATOR", "WORKER", "SYNTHESIZER") if name not in found]:
        raise ValueError(f"--notebook: {file}: no {missing[0]}_PROMPT in it; name the cookbook's notebook or its text")
    return Prompts(found["ORCHESTRATOR"], found["WORKER"], found["SYNTHESIZER"])


class Client:
    """Asks as the notebook does, and counts for a trial what that takes."""

    def __init__(self, session: aiohttp.ClientSession, setting: Setting, trial: Trial) -> None:
        self._session = session
        self._endpoint = setting.endpoint
        self._most = setting.most
        self._trial = trial

    async def ask(self, prompt: str, **options: Any) -> str:
        """The text of a reply."""
        body = {"model": self._endpoint.name, "messages": [{"role": "user", "content": prompt}], **options}
        if self._most:
            body["max_tokens"] = self._most
        self._trial.calls += 1
        url = f"{self._endpoint.url}/chat/completions"
        async with self._session.post(
            url, json=body, headers=self._endpoint.headers, raise_for_status=True
        ) as response:
            reply = await response.json()
        usage = reply.get("usage") or {}
        cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens") or 0
        self._trial.tokens += Tokens(usage.get("prompt_tokens", 0), usage.get("completion_tokens", 0), cached)
        choice = reply["choices"][0]
        self._trial.met_limit += choice.get("finish_reason") == "length"
        self._trial.whole = choice.get("finish_reason") != "length"
        return choice["message"].get("content") or ""

    async def work(self, prompt: str) -> str:
        """The text of a worker's reply."""
        for pause in (1, 2, 4):
            try:
                return await self.ask(prompt, temperature=0.7, max_tokens=2000)
            except aiohttp.ClientResponseError as error:
                if error.status != 429:
                    raise
                self._trial.repairs += 1
                await asyncio.sleep(pause)
        raise UnboundLocalError("response")  # what the notebook ends with after its third refusal


async def notebook(task: Task, setting: Setting, time: int) -> Trial:
    """The task by the notebook's way."""
    trial = Trial(task=task.id, way="notebook", time=time)
    prompts = prompts_from(setting.notebook) if setting.notebook else Prompts()

    async def run(client: Client) -> str:
        form = {"type": "json_object", "schema": _SCHEMA}
        trial.plan_valid = False
        trial.plan = await client.ask(prompts.orchestrator.format(task=task.whole), response_format=form)
        trial.plan_valid = plan_is_valid(trial.plan, TYPES)
        plan = json.loads(trial.plan)
        _, tasks = plan["analysis"], plan["tasks"]
        trial.subtasks = len(tasks)
        asked = [
            prompts.worker.format(
                original_task=task.whole, task_type=each["type"], task_description=each["description"]
            )
            for each in tasks
        ]
        texts = await asyncio.gather(*(client.work(prompt) for prompt in asked))
        trial.parts = [
            Part(f"t{number}", each["type"], each["description"], "done", text, prompt=prompt)
            for number, (each, text, prompt) in enumerate(zip(tasks, texts, asked, strict=True), 1)
        ]
        results = " ".join(f"\n=== WORKER RESULT ({each.type}) ===\n{each.text}\n" for each in trial.parts)
        merged = prompts.synthesizer.format(task=task.whole, worker_responses=results)
        return await client.ask(merged, temperature=0.7, max_tokens=4000)

    return await _timed(trial, setting, run)


async def direct(task: Task, setting: Setting, time: int) -> Trial:
    """The task alone, as one call."""
    trial = Trial(task=task.id, way="direct", time=time)

    async def run(client: Client) -> str:
        return await client.ask(task.whole, **{"max_tokens": _DIRECT, **setting.options(time)})

    return await _timed(trial, setting, run)


async def _timed(trial: Trial, setting: Setting, run: Any) -> Trial:
    """Run it at most for the time there is; what would be a traceback in the notebook leaves no answer."""
    loop = asyncio.get_running_loop()
    start = loop.time()
    try:
        timeout = aiohttp.ClientTimeout(total=None)
        async with aiohttp.ClientSession(timeout=timeout) as session, asyncio.timeout(setting.limit):
            trial.answer = await run(Client(session, setting, trial))
    except TimeoutError:
        trial.endless, trial.error, trial.exit = True, f"no answer in {setting.limit:.0f} s", 1
    except (aiohttp.ClientError, ValueError, KeyError, TypeError, UnboundLocalError) as error:
        trial.error, trial.exit = f"{type(error).__name__}: {error}", 1
    trial.seconds = loop.time() - start
    return trial
