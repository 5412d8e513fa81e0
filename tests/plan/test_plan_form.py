"""The form of a plan: what its prompt speaks of, in the order of writing, and nothing that could not be meant."""

import asyncio
import json
import re
import tomllib
from typing import Any

import pytest
from msgspec.structs import replace

from endpoint import call
from stretto import Message, Role, prompts
from stretto.calls import Text
from stretto.config.reading import preset_text
from stretto.models.simulator import SimulatedProvider
from stretto.plan.form import Form, form_of, plan_schema
from stretto.shapes.fit import misfit
from stretto.types import Request

WORKERS = {"draw": Role("sim:a", about="pictures"), "Text/Long": Role("sim:b")}
EVERYTHING = Form(sized=True, needs=True, brief=True)


def subtask_of(schema: dict[str, Any]) -> dict[str, Any]:
    properties: dict[str, Any] = schema["properties"]["tasks"]["items"]["properties"]
    return properties


def test_the_schema_permits_the_workers_there_are_and_says_what_they_are_good_for() -> None:
    kind = subtask_of(plan_schema(WORKERS, 7))["type"]
    assert kind["enum"] == ["draw", "Text/Long"]
    assert "draw: pictures" in kind["description"]


def test_properties_stand_in_the_order_of_writing_and_all_of_them_are_required() -> None:
    schema = plan_schema(WORKERS, 7, EVERYTHING, ranked=True)
    task = schema["properties"]["tasks"]["items"]
    assert [*schema["properties"]] == schema["required"] == ["brief", "size", "tasks"]
    assert [*task["properties"]] == task["required"] == ["id", "type", "description", "needs", "value"]


def test_a_form_without_anything_asks_for_an_analysis_and_no_needs() -> None:
    schema = plan_schema(WORKERS, 7)
    assert [*schema["properties"]] == ["analysis", "tasks"]
    assert [*subtask_of(schema)] == ["id", "type", "description"]


@pytest.mark.parametrize(
    ("most", "last", "beyond"), [(8, "t99", "t100"), (64, "t64", "t100"), (1000, "t1000", "t10000")]
)
def test_an_id_is_a_number_and_a_need_is_an_id(most: int, last: str, beyond: str) -> None:
    properties = subtask_of(plan_schema(WORKERS, most, EVERYTHING))
    pattern = properties["id"]["pattern"]
    assert properties["needs"]["items"]["pattern"] == pattern
    assert re.search(pattern, "t1")
    assert re.search(pattern, last)
    for wrong in ("t0", "1", "task1", "draw", "t1 ", " t1", beyond):
        assert not re.search(pattern, wrong)


@pytest.mark.parametrize(
    ("prompt", "form"),
    [
        ("Split {task} for {workers}.", Form()),
        ("Split {task}. Take a size: {sizes}", Form(sized=True)),
        ("Split {task}. {{sizes}} is a word.", Form()),
        ("List an id in `needs` only where it is used.", Form(needs=True)),
        ("Say which needs each subtask has.", Form(needs=True)),
        ("The user need not know. needsless.", Form()),
        ('Write {"brief": "…", "tasks": []}.', Form(brief=True)),
        ("First the `brief`.", Form(brief=True)),
        ("Be brief, and keep descriptions brief.", Form()),
    ],
)
def test_a_plan_has_what_its_prompt_speaks_of(prompt: str, form: Form) -> None:
    assert form_of(prompt) == form


@pytest.mark.parametrize(("preset", "needs"), [("general", True), ("research", True), ("solve", False)])
def test_needs_are_offered_by_the_presets_that_speak_of_them(preset: str, needs: bool) -> None:
    prompt = tomllib.loads(preset_text(preset))["orchestrator"].get("prompt")
    assert form_of(prompts.whole("orchestrator", prompt)).needs == needs


@pytest.mark.parametrize("form", [Form(), Form(needs=True), Form(sized=True, brief=True), EVERYTHING])
@pytest.mark.parametrize("ranked", [True, False])
def test_the_simulator_writes_plans_that_fit_the_form(form: Form, ranked: bool) -> None:
    schema = plan_schema(WORKERS, 20, form, ranked=ranked)
    asked = Request("sim:x", (Message("user", "Task:\nTwelve subtasks, with needs."),), schema=schema)

    async def write() -> str:
        model = SimulatedProvider().connect("instant")
        chunks = model.stream(replace(call(), request=asked))
        return "".join([chunk.text async for chunk in chunks if isinstance(chunk, Text)])

    written = json.loads(asyncio.run(write()))
    assert misfit(written, schema) is None
    assert [*written] == schema["required"]
    assert all([*task] == [*subtask_of(schema)] for task in written["tasks"])
