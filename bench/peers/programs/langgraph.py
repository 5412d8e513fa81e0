"""LangGraph's orchestrator-worker: a graph that sends each section of the plan to a worker (the Send API).

Source: https://docs.langchain.com/oss/python/langgraph/workflows-agents (orchestrator-worker), with asynchronous nodes.
"""

# mypy: disable-error-code="import-not-found"

import operator
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

from langchain_openai import ChatOpenAI
from langgraph.graph import END, START, StateGraph
from langgraph.types import Send
from pydantic import BaseModel, Field
from typing_extensions import TypedDict

from bench.peers.programs import prompts
from bench.peers.programs.measure import KEY, Run, Said, Spec, measured


class Section(BaseModel):
    """A subtask."""

    type: str = Field(description="Who does this part.")
    description: str = Field(description="What is to be done in it.")


class Sections(BaseModel):
    """A plan."""

    analysis: str = Field(description="How the task is understood.")
    tasks: list[Section] = Field(description="The parts of the work.")


class State(TypedDict):
    """What the graph passes on."""

    task: str
    sections: list[Section]
    completed_sections: Annotated[list[str], operator.add]
    answer: str


class WorkerState(TypedDict):
    """What one worker gets."""

    task: str
    section: Section
    completed_sections: Annotated[list[str], operator.add]


def _graph(spec: Spec) -> Any:
    def model(name: str) -> Any:
        return ChatOpenAI(model=name, base_url=spec.url, api_key=KEY)

    planner, worker, writer = (
        model("orchestrator").with_structured_output(Sections),
        model("worker"),
        model("synthesizer"),
    )

    async def orchestrator(state: State) -> dict[str, Any]:
        plan = await planner.ainvoke(prompts.plan(state["task"]))
        return {"sections": plan.tasks}

    async def llm_call(state: WorkerState) -> dict[str, Any]:
        section = state["section"]
        reply = await worker.ainvoke(prompts.work(state["task"], section.type, section.description))
        return {"completed_sections": [reply.content]}

    async def synthesizer(state: State) -> dict[str, Any]:
        reply = await writer.ainvoke(prompts.join(state["task"], state["completed_sections"]))
        return {"answer": reply.content}

    def assign_workers(state: State) -> list[Any]:
        return [Send("llm_call", {"task": state["task"], "section": section}) for section in state["sections"]]

    builder = StateGraph(State)
    builder.add_node("orchestrator", orchestrator)
    builder.add_node("llm_call", llm_call)
    builder.add_node("synthesizer", synthesizer)
    builder.add_edge(START, "orchestrator")
    builder.add_conditional_edges("orchestrator", assign_workers, ["llm_call"])
    builder.add_edge("llm_call", "synthesizer")
    builder.add_edge("synthesizer", END)
    return builder.compile()


@asynccontextmanager
async def _prepared(spec: Spec) -> AsyncIterator[Run]:
    graph = _graph(spec)
    config = {"max_concurrency": spec.parallel} if spec.parallel else {}

    async def run(task: str) -> Said:
        state = await graph.ainvoke({"task": task}, config)
        return Said(state["answer"])

    yield run


if __name__ == "__main__":
    measured(_prepared)
