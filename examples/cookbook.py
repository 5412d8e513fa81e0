"""The cookbook's job: one technical task, three workers with prompts and models of their own, one answer.

uv run python examples/cookbook.py                        # on the simulator, no key needed
TOGETHER_API_KEY=… uv run python examples/cookbook.py     # on Together
"""

import os

import stretto

TOGETHER = bool(os.environ.get("TOGETHER_API_KEY"))
THINKER = "together:openai/gpt-oss-120b" if TOGETHER else "sim:default"
CODER = "together:openai/gpt-oss-20b" if TOGETHER else "sim:fast"

ORCHESTRATOR = """
Divide this technical task among three specialists: {task}

One of them only plans how to do it (type "plan"), one writes the solution (type "code/solve"), one says how to test a
solution without writing it (type "test"). Begin with a short analysis, then give each of them one subtask with a
description of a sentence or two. Answer in JSON.
"""

WORKER = """
The whole task: {original_task}
You are the specialist for: {task_type}
What is wanted of you: {task_description}

Write your part and nothing else.
"""

SYNTHESIZER = """
Three specialists worked on this task: {task}
This is what they wrote: {worker_responses}

Make one text of it: the solution first, then how it works and how it is tested.
"""

workflow = stretto.Workflow(
    orchestrator=stretto.Role(THINKER, ORCHESTRATOR),
    workers={
        "plan": stretto.Role(THINKER, WORKER),
        "code/solve": stretto.Role(CODER, WORKER, options={"temperature": 0.7, "max_tokens": 2000}),
        "test": stretto.Role(CODER, WORKER),
    },
    synthesizer=stretto.Role(THINKER, SYNTHESIZER),
)

if __name__ == "__main__":
    run = workflow.run_sync("Write a program that prints the next 20 leap years.")
    for subtask in run.plan.subtasks:
        print(f"\n=== {subtask.type}: {subtask.description}\n{run.results[subtask.id].text}")
    print(f"\n=== ANSWER{' (simulated)' if run.simulated else ''}\n{run.answer}")
    print(f"\n{len(run.calls)} calls, {run.usage.output_tokens} tokens written")
