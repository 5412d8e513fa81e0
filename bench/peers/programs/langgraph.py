"""LangGraph's orchestrator-worker: a graph that sends each part of the plan to a worker (the Send API).

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


class Part(BaseModel):
    """A subtask."""

    type: str = Field(description="Who does it.")
    description: str = Field(description="What is to be done.")


class Plan(BaseModel):
    """A plan."""

    analysis: str = Field(description="How the task is understood.")
    tasks: list[Part] = Field(description="The parts of the work.")


class State(TypedDict):
    """What the graph passes on."""

    task: str
    parts: list[Part]
    results: Annotated[list[str], operator.add]
    answer: str


class WorkerState(TypedDict):
    """What one worker gets."""

    task: str
    part: Part
    results: Annotated[list[str], operator.add]


def _graph(spec: Spec) -> Any:
    def model(name: str) -> Any:
        return ChatOpenAI(model=name, base_url=spec.url, api_key=KEY)

    orchestrator = model("orchestrator").with_structured_output(Plan)
    worker, synthesizer = model("worker"), model("synthesizer")

    async def plan(state: State) -> dict[str, Any]:
        planned = await orchestrator.ainvoke(prompts.plan(state["task"]))
        return {"parts": planned.tasks}

    def assign(state: State) -> list[Any]:
        return [Send("work", {"task": state["task"], "part": part}) for part in state["parts"]]

    async def work(state: WorkerState) -> dict[str, Any]:
        part = state["part"]
        reply = await worker.ainvoke(prompts.work(state["task"], part.type, part.description))
        return {"results": [reply.content]}

    async def join(state: State) -> dict[str, Any]:
        reply = await synthesizer.ainvoke(prompts.join(state["task"], state["results"]))
        return {"answer": reply.content}

    graph = StateGraph(State)
    graph.add_node("plan", plan)
    graph.add_node("work", work)
    graph.add_node("join", join)
    graph.add_edge(START, "plan")
    graph.add_conditional_edges("plan", assign, ["work"])
    graph.add_edge("work", "join")
    graph.add_edge("join", END)
    return graph.compile()


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
