"""Prompts: what is filled in, what stays as it is, and that nothing but the plan decides their order."""

import itertools
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models import Scripted, by_role, carry, plan_of
from stretto import Definition, Result, Role, RoleName, Simulator, Subtask, Workflow, prompts
from stretto.errors import ConfigError
from virtual import virtually

# Of the shape that the cookbook's have: its placeholders, the plan's form nowhere described.
BREAK_DOWN = """
There are always two or three sides to a job.

Task: {task}

How do you read this one? Name its sides, a sentence for each: how to go about it, how it is done, how to check it.

Write JSON alone.
"""
DO_ONE = """
Task: {original_task}
Type: {task_type}
Description: {task_description}

Do what the description says, and send nothing but that.
"""
JOIN = """The job was: {task}

This came back:
{worker_responses}

Make one text of it.
"""
TYPES = ("plan", "code/solve", "test")


def test_prompts_of_the_cookbooks_shape_run_as_they_are() -> None:
    flow = Workflow(
        Role("sim:x", BREAK_DOWN),
        {name: Role("sim:x", DO_ONE) for name in TYPES},
        Role("sim:x", JOIN),
        providers={"sim": Simulator()},
    )
    run = virtually(flow.run("Write a program that prints the next 20 leap years."))
    assert [subtask.type for subtask in run.plan.subtasks] == list(TYPES)
    assert run.coverage.complete
    assert "def " in run.answer


def test_the_synthesizer_reads_every_result_under_its_type_and_what_was_asked() -> None:
    definition = Definition(Role("sim:o"), {name: Role("sim:w", DO_ONE) for name in TYPES}, Role("sim:s", JOIN))
    plan = plan_of({"type": "plan", "description": "Outline."}, {"type": "test", "description": "Check."})
    model = Scripted(by_role(orchestrator=plan, worker=lambda call, _: [f"I am {call.subtask}."], synthesizer="All."))
    carry(model, definition, task="A job.")
    assert model.prompts("worker")[0] == DO_ONE.replace("{original_task}", "A job.").replace(
        "{task_type}", "plan"
    ).replace("{task_description}", "Outline.")
    (prompt,) = model.prompts("synthesizer")
    results = "\n=== RESULT OF t1 (plan): Outline. ===\nI am t1.\n\n=== RESULT OF t2 (test): Check. ===\nI am t2.\n"
    assert prompt == JOIN.replace("{task}", "A job.").replace("{worker_responses}", results)


def test_every_role_is_asked_with_its_own_model_prompt_system_and_options() -> None:
    definition = Definition(
        Role("sim:o", "Plan {task}", "You plan.", {"temperature": 0}),
        {"a": Role("sim:a", "A: {task_description}", "You do a.", {"max_tokens": 5}), "b": Role("sim:b", "B!")},
        Role("sim:s", "Join {worker_responses}", "You join.", {"top_p": 0.5}),
    )
    plan = plan_of({"type": "a", "description": "one"}, {"type": "b", "description": "two"})
    model = Scripted(by_role(orchestrator=plan, worker="Done.", synthesizer="All."))
    carry(model, definition, task="it")
    asked = {
        call.request.model: ([(m.role, m.content) for m in call.request.messages][:2], call.request.options)
        for call in model.calls
    }
    assert asked["sim:o"] == ([("system", "You plan."), ("user", "Plan it")], {"temperature": 0})
    assert asked["sim:a"] == ([("system", "You do a."), ("user", "A: one")], {"max_tokens": 5})
    assert asked["sim:b"] == ([("user", "B!")], {})
    assert asked["sim:s"][0][0] == ("system", "You join.")
    assert asked["sim:s"][1] == {"top_p": 0.5}


def test_prompts_do_not_depend_on_the_order_in_which_workers_finish() -> None:
    parts = ["One.", "Two.", "Three."]
    seen = set()
    for seconds in itertools.permutations((1.0, 2.0, 3.0)):
        wait = dict(zip(("t1", "t2", "t3"), seconds, strict=True))
        model = Scripted(
            by_role(
                orchestrator=plan_of(*parts),
                worker=lambda call, _, wait=wait: [wait[call.subtask], f"Done {call.subtask}."],  # type: ignore[misc]
                synthesizer="All.",
            )
        )
        carry(model)
        seen.add(model.prompts("synthesizer")[0])
    assert len(seen) == 1
    assert re.findall(r"Done t\d", seen.pop()) == ["Done t1", "Done t2", "Done t3"]


def test_two_runs_of_one_task_ask_exactly_the_same() -> None:
    script = by_role(orchestrator=plan_of("One.", "Two."), worker="Done.", synthesizer="All.")
    first, second = Scripted(script), Scripted(script)
    carry(first)
    carry(second)
    assert [call.fingerprint for call in first.calls] == [call.fingerprint for call in second.calls]


def test_json_and_other_braces_in_a_prompt_are_left_alone() -> None:
    prompt = 'Like {"tasks": [{"type": "x"}]}, {} or { task }, ${1} and f({a: 1}): {task}'
    prompts.check("orchestrator", prompt, "here")
    assert prompts.fill(prompt, {"task": "it"}) == prompt.replace("{task}", "it")


def test_doubled_braces_stand_for_a_literal_word_in_braces() -> None:
    prompts.check("worker", "{{name}} {task_type}", "here")
    assert prompts.fill("{{name}} {{task_type}} {task_type}", {"task_type": "x"}) == "{name} {task_type} x"


@given(st.text(alphabet="{}task_ \n"), st.text())
def test_filling_in_never_fails_and_what_is_filled_in_is_never_read_again(prompt: str, value: str) -> None:
    prompts.fill(prompt, {"task": value})
    assert prompts.fill("{task} {task}", {"task": "{workers}" + value}) == " ".join(["{workers}" + value] * 2)


@pytest.mark.parametrize(("role", "known"), prompts.PLACEHOLDERS.items())
def test_an_unknown_placeholder_is_an_error_with_its_place_and_the_remedy(
    role: RoleName, known: frozenset[str]
) -> None:
    with pytest.raises(ConfigError) as raised:
        prompts.check(role, "Do {tusk}", 'workers."a".prompt')
    message = str(raised.value)
    assert message.startswith('workers."a".prompt: unknown placeholder {tusk}; ')
    assert all(f"{{{name}}}" in message for name in known)
    assert "{{tusk}} stands for a literal {tusk}" in message


@pytest.mark.parametrize("role", prompts.ROLES)
def test_the_default_prompts_use_their_placeholders_and_no_others(role: RoleName) -> None:
    told = prompts.whole(role, None)
    prompts.check(role, told, role)
    # The default says by its sizes how many subtasks there may be.
    assert {name for name in prompts.PLACEHOLDERS[role] if not prompts.uses(told, name)} <= {"max_subtasks"}


@pytest.mark.parametrize("prompt", ["Do {task_description}", "Do {task_description} with {{needs}}"])
def test_a_worker_prompt_without_a_place_for_needs_gets_them_at_its_end(prompt: str) -> None:
    definition = Definition(Role("sim:o"), {"a": Role("sim:a", prompt)})
    plan = plan_of({"type": "a", "description": "x"}, {"type": "a", "description": "y", "needs": ["t1"]})
    model = Scripted(by_role(orchestrator=plan, worker=lambda call, _: [f"Done {call.subtask}."]))
    carry(model, definition)
    assert model.prompts("worker")[1].endswith("\n=== RESULT OF t1 (a): x ===\nDone t1.\n")


@pytest.mark.parametrize(
    ("brief", "told"),
    [
        ("Compare green and black tea for a small shop: taste, price, shelf life.", False),
        ("Compare green and black tea for a shop: taste, price, and shelf life.", False),
        ("Prices in euros; a table for each tea.", True),
        ("For a small shop.", True),
    ],
)
@pytest.mark.parametrize("prompt", [None, "Do {task_description}"])
def test_a_brief_that_is_the_task_once_more_is_told_to_nobody(brief: str, prompt: str | None, *, told: bool) -> None:
    task = "Compare green and black tea for a small shop: taste, price, shelf life."
    said = prompts.worker_prompt(Role("sim:a", prompt), task, Subtask("t1", "a", "Compare prices.", brief=brief), [])
    assert (f"For all parts:\n{brief}\n" in said) == told
    assert ("For all parts:" in said) == told


def test_a_long_description_is_shortened_in_the_list_of_what_is_missing() -> None:
    subtask = Subtask("t1", "a", "line\nof " + "x" * 5000)
    text = prompts.results_text([subtask], {"t1": Result("t1", "failed", error="500")}, "complete")
    assert re.search(r'"outcome":"failed","why":"500","description":"line of x{280,}…"}\n', text)
    assert len(text) < 1000
