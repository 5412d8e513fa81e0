"""What the simulator says to rounds, remarks, checks, choices, and where references are wanted."""

import asyncio
import re
from collections import Counter
from typing import Any

import msgspec
import pytest

from stretto import Definition, Input, Limits, Message, Plan, Result, Role, Simulator, Subtask, prompts
from stretto.calls import Call, Text, Urgency, fingerprint
from stretto.engine.requests import again_request, answer_request, plan_request, rest_of_plan, round_request
from stretto.errors import ConfigError
from stretto.head import head_of, messages_of, taken_apart
from stretto.models.simulator import SimulatedProvider, reading
from stretto.models.simulator.reading import role_of
from stretto.types import Request

DEFINITION = Definition(Role("sim:o"), {"general": Role("sim:w")}, Role("sim:s"))
TASK = "Explain how tea is grown"
SUBTASKS = (Subtask("t1", "general", "The soil."), Subtask("t2", "general", "The harvest."))
RESULTS = {"t1": Result("t1", "done", "## Soil\n\nIt is acid."), "t2": Result("t2", "failed", error="500")}


def ask(request: Request, simulator: Simulator | None = None) -> str:
    async def main() -> str:
        model = SimulatedProvider(simulator).connect("instant")
        call = Call("c1", "r1", "worker", None, request, fingerprint(request), True, Urgency(0))
        return "".join([chunk.text async for chunk in model.stream(call) if isinstance(chunk, Text)])

    return asyncio.run(main())


def planned(request: Request, seed: int = 1) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.json.decode(ask(request, Simulator(seed=seed)))
    return found


def without_schema(request: Request) -> Request:
    """As it goes to a provider that takes no schema: that is told in the last message."""
    *first, last = request.messages
    told = f"{last.content}\n\nReply with one JSON object that fits this JSON schema, and nothing else:\n"
    told += msgspec.json.encode(request.schema).decode()
    return msgspec.structs.replace(request, schema=None, messages=(*first, Message(last.role, told)))


@pytest.mark.parametrize("subtasks", [1, 2, 3, 4, 8, 9, 40])
@pytest.mark.parametrize("schema", [True, False])
def test_a_plan_says_a_size_that_permits_what_it_lists(subtasks: int, schema: bool) -> None:
    request = plan_request(DEFINITION, f"{TASK} in {subtasks} subtasks")
    plan = planned(request if schema else without_schema(request))
    size = {1: "one", 2: "small", 3: "small", 4: "medium", 8: "medium", 9: "large", 40: "large"}[subtasks]
    assert (len(plan["tasks"]), plan["size"]) == (subtasks, size)
    assert list(plan) == ["brief", "size", "tasks"]


def test_a_prompt_that_asks_for_no_size_gets_none() -> None:
    assert "size" not in planned(plan_request(Definition(Role("sim:o", "Plan {task}"), {"a": Role("sim:w")}), TASK))


@pytest.mark.parametrize("schema", [True, False])
def test_the_second_round_usually_adds_a_subtask_and_the_third_ends_it(schema: bool) -> None:
    request = plan_request(DEFINITION, TASK)
    counts: Counter[int] = Counter()
    for seed in range(30):
        second = round_request(request, SUBTASKS, RESULTS, 2, 3)
        asked = second if schema else without_schema(second)
        assert role_of(asked) == "orchestrator"
        tasks = planned(asked, seed)["tasks"]
        counts[len(tasks)] += 1
        assert tasks == planned(asked, seed)["tasks"]
        assert all((task["id"], task["needs"]) == ("t3", ["t1"]) for task in tasks)
        assert not planned(round_request(request, SUBTASKS, RESULTS, 3, 3), seed)["tasks"]
    assert counts[1] > 15 > counts[0] > 0
    assert sum(counts.values()) == 30


def test_a_remark_makes_another_plan_and_may_say_how_many_subtasks() -> None:
    request = plan_request(DEFINITION, TASK)
    first = planned(request)
    known = Plan(tuple(Subtask(t["id"], t["type"], t["description"]) for t in first["tasks"]), "complete")
    assert planned(again_request(request, known, "Leave out the tools."))["tasks"] != first["tasks"]
    assert len(planned(again_request(request, known, "Take 2 subtasks."))["tasks"]) == 2


def test_the_words_the_simulator_looks_for_stand_in_the_prompts() -> None:
    request = plan_request(DEFINITION, TASK)
    assert reading.is_repair(rest_of_plan(request, SUBTASKS))
    assert reading.remark_of(again_request(request, Plan(SUBTASKS), "No.")) == "No."
    assert reading.round_of(round_request(request, SUBTASKS, RESULTS, 2, 3)) == 2
    assert not reading.round_of(request)
    assert reading.REFERENCES in prompts.text("references")
    assert reading.QUOTES in prompts.text("quotes")


def answer(inputs: tuple[Input, ...] = (), synthesizer: Role | None = None, task: str = TASK) -> Request:
    definition = msgspec.structs.replace(DEFINITION, synthesizer=synthesizer or Role("sim:s"))
    request = answer_request(definition, task, SUBTASKS, RESULTS, "complete", head=head_of(inputs))
    assert request is not None
    return request


def test_an_answer_refers_to_the_results_it_rests_on_and_quotes_an_input() -> None:
    text = ask(answer((Input("a.txt", "#\nTea wants an acid soil and much rain, they say.\n"),)))
    assert '\nIt is acid. [^t1][^i1 "Tea wants an acid soil and much rain,"]\n' in text
    assert "- general: The harvest. (failed: 500)" in text
    assert "\nIt is acid. [^t1]\n" in ask(answer())


def test_an_answer_over_the_wire_refers_to_the_same() -> None:
    request = answer((Input("a.txt", "Tea wants an acid soil.\n"),))
    head, messages = taken_apart(messages_of(request))
    assert ask(msgspec.structs.replace(request, head=head, messages=messages)) == ask(request)


def test_an_answer_that_is_not_to_refer_to_anything_does_not() -> None:
    assert "[^" not in ask(answer(synthesizer=Role("sim:s", "Task: {task}\n\n{worker_responses}")))
    assert "[^" not in ask(answer(synthesizer=Role("sim:s", schema={"type": "object"})))


def test_the_leap_years_are_referred_to_at_the_end_of_each_part() -> None:
    subtasks = tuple(Subtask(f"x{n}", type_, "…") for n, type_ in enumerate(("plan", "code/solve", "test")))
    results = {s.id: Result(s.id, "done", "…") for s in subtasks}
    request = answer_request(DEFINITION, "The next 20 leap years?", subtasks, results, "complete")
    assert request is not None
    text = ask(request)
    assert re.findall(r"\[\^(x\d)\]\n", text) == ["x1", "x0", "x2"]
    assert "[^" not in text.split("```")[1]


CHECK = {
    "type": "object",
    "properties": {"verdict": {"enum": ["holds", "fails", "unsure"]}, "remark": {"type": "string"}},
    "required": ["verdict", "remark"],
}
BEST = {
    "type": "object",
    "properties": {"best": {"type": "integer", "minimum": 1, "maximum": 3}, "why": {"type": "string"}},
    "required": ["best", "why"],
}


def judged(schema: dict[str, Any], number: int, simulator: Simulator | None = None) -> dict[str, Any]:
    request = Request("sim:x", (Message("user", f"Task:\n{TASK}\n\nJudge result {number}."),), schema=schema)
    found: dict[str, Any] = msgspec.json.decode(ask(request, simulator))
    return found


def test_checks_hold_unless_a_share_of_them_is_to_fail() -> None:
    assert {judged(CHECK, n)["verdict"] for n in range(20)} == {"holds"}
    verdicts = Counter(judged(CHECK, n, Simulator(doubts=0.3))["verdict"] for n in range(200))
    assert 35 < verdicts["fails"] < 90
    assert set(verdicts) == {"holds", "fails"}
    assert judged(CHECK, 1, Simulator(doubts=1.0))["remark"].startswith("It leaves out")


def test_a_choice_is_a_number_within_its_bounds() -> None:
    assert {judged(BEST, n)["best"] for n in range(40)} == {1, 2, 3}


@pytest.mark.parametrize("doubts", [-0.1, 1.1])
def test_a_share_is_between_none_and_all(doubts: float) -> None:
    with pytest.raises(ConfigError, match="doubts must be from 0 to 1"):
        Simulator(doubts=doubts)


def test_a_plan_within_two_subtasks_is_small() -> None:
    definition = msgspec.structs.replace(DEFINITION, limits=Limits(max_subtasks=2))
    plan = planned(plan_request(definition, TASK))
    assert (len(plan["tasks"]), plan["size"]) == (2, "small")
