"""Replies that say again what they were told: found by code, asked for once more, and cut out."""

from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models import Beat, Scripted, by_role, carry, plan_of
from stretto import Definition, Limits, Role, prompts
from stretto.calls import Call

RULE = "Say what is missing where it matters. Do not make anything up."
HEADING = "### Result of t1 (part): Say one."


@pytest.mark.parametrize(
    ("reply", "left"),
    [
        (f"Good.\n{RULE}\nEnd.", "Good.\n\nEnd."),
        (f"{HEADING}\nThe moon pulls.", "The moon pulls."),
        ("=== RESULT OF t2 (plan): Outline. ===\nOne.", "One."),
        ("**Worker result (part), t3**\nOne.", "One."),
        (RULE, ""),
        ("No word of any prompt.", "No word of any prompt."),
        ("ledger = []\nresult = 1", "ledger = []\nresult = 1"),
        (
            "Missing result sets are NULL.\nResult of sum (a, b) is 3.",
            "Missing result sets are NULL.\nResult of sum (a, b) is 3.",
        ),
        (f"{HEADING}\ndef a():\n    pass\n\n\ndef b():\n    pass", "def a():\n    pass\n\n\ndef b():\n    pass"),
    ],
)
def test_what_a_reply_says_of_our_prompts_is_cut_out_by_whole_sentences(reply: str, left: str) -> None:
    assert prompts.without(reply, prompts.echoes(reply, [])) == left


def test_words_of_our_prompts_that_the_task_says_too_are_no_echo() -> None:
    assert prompts.echoes(f"It says: {RULE}", [RULE]) == []
    assert prompts.echoes(f"{HEADING}\nIt is so.", [f"About:\n{HEADING}"]) == []


def test_presets_are_prompts_of_ours_too() -> None:
    assert prompts.echoes("Return only the items. If you find nothing, return exactly: No findings.", [])


def test_fewer_than_eight_words_in_a_row_are_a_coincidence() -> None:
    assert prompts.echoes("Say what is missing where it is.", []) == []


@given(st.text(max_size=300))
def test_looking_for_echoes_takes_any_text(reply: str) -> None:
    spans = prompts.echoes(reply, [])
    assert all(0 <= start < end <= len(reply) for start, end in spans)


TASK = "Write an email to a customer whose order is late, and a checklist for support staff."


@pytest.mark.parametrize(
    ("reply", "asked"),
    [
        ("The checklist for support staff.", "The checklist for support staff"),
        (f"Thank you for the task. I will now {TASK[:1].lower()}{TASK[1:]}", "The checklist for support staff"),
        (f"The whole task is: {TASK}", "The email"),
        ("Day 1: Arrival, where to stay, an easy afternoon.", "Day 1: arrival, where to stay, an easy afternoon"),
        ("比较三种手冲咖啡方法的器具、步骤和口味", "比较三种手冲咖啡方法的器具、步骤和口味。"),
    ],
)
def test_a_reply_that_only_says_again_what_was_asked_is_found(reply: str, asked: str) -> None:
    assert prompts.restates(reply, TASK, asked)


@pytest.mark.parametrize(
    ("reply", "task"),
    [
        ("399.5", "What is 17 % of 2,350?"),
        ("17 % of 2,350 is 399.5.", "What is 17 % of 2,350?"),
        ("The capital of France is Paris.", "What is the capital of France?"),
        ("Dear customer, your order is late, and we are sorry. It will arrive on Monday.", TASK),
        ("Yes.", "Is it so?"),
        ("", "Is it so?"),
    ],
)
def test_a_short_answer_is_not_taken_for_its_question(reply: str, task: str) -> None:
    assert not prompts.restates(reply, task, task)


def asked(worker: Any, **more: Any) -> Scripted:
    return Scripted(
        by_role(orchestrator=plan_of("Name the cause of it all."), worker=worker, synthesizer="All.", **more)
    )


def test_a_worker_that_says_its_part_again_is_asked_plainly() -> None:
    def worker(call: Call, _: int) -> Iterable[Beat]:
        return ["Name the cause of it all."] if call.part == "" else ["The moon."]

    model = asked(worker)
    told = carry(model)
    assert told.run.results["t1"].text == "The moon."
    again = model.calls[2].request.messages
    assert [message.role for message in again] == ["user"]
    assert again[0].content.startswith("Name the cause of it all.\n")
    assert told.run.coverage.complete


def test_a_worker_that_says_its_part_twice_has_failed_and_the_task_is_answered_directly() -> None:
    told = carry(asked("Name the cause of it all."))
    assert told.run.results["t1"].outcome == "failed"
    assert "twice" in told.run.coverage.direct
    assert told.run.answer == "All."


def test_what_still_stands_in_a_result_of_our_prompts_is_cut_out_with_a_remark() -> None:
    told = carry(asked(f"The moon. {RULE}"))
    result = told.run.results["t1"]
    assert (result.outcome, result.text) == ("done", "The moon.")
    assert "cut out" in result.remark


def test_an_answer_that_says_our_prompt_again_is_asked_once_more_and_shown_anew() -> None:
    def synthesizer(call: Call, _: int) -> Iterable[Beat]:
        return [f"The moon. {RULE}"] if call.part == "" else ["The moon pulls the sea."]

    told = carry(Scripted(by_role(orchestrator=plan_of("One."), worker="Done: it is.", synthesizer=synthesizer)))
    assert told.run.answer == "The moon pulls the sea."
    deltas = told.only("answer_delta")
    assert any(event.restart for event in deltas)
    assert "".join(event.text for event in deltas[[event.restart for event in deltas].index(True) :]) == told.run.answer


@pytest.mark.parametrize("own", ["Say in German what this is about: {original_task}", None])
def test_who_does_the_whole_task_and_says_it_again_is_asked_for_that_once_more(own: str | None) -> None:
    def worker(call: Call, _: int) -> Iterable[Beat]:
        return [TIDES] if call.part == "" else ["Gezeiten."]

    model = Scripted(by_role(worker=worker))
    told = carry(model, Definition(None, {"part": Role("sim:x", own)}, None), task=TIDES)
    assert told.run.results["t1"].text == "Gezeiten."
    first, again = model.prompts("worker")
    if own:  # it says what is to be done
        assert again.startswith(f"{first}\n\nYour last reply only says")
    else:
        assert again == TIDES


@pytest.mark.parametrize(
    ("reply", "left"),
    [
        (f"Task: {TASK}\n\nDear customer.", "Dear customer."),
        (f"**Task:** {TASK.upper()}\n\n**Your part:** the email\nDear customer.", "Dear customer."),
        (f"Task: {TASK}\nYour part: Dear customer.", "Dear customer."),
        ("Your part: Dear customer.", "Dear customer."),
        ("Task: Answer the letter.\nDear customer.", "Task: Answer the letter.\nDear customer."),
        ("Dear customer.\nYour part: to wait.", "Dear customer.\nYour part: to wait."),
        ("", ""),
    ],
)
def test_a_reply_may_begin_as_its_prompt_ends(reply: str, left: str) -> None:
    assert reply[prompts.headed(reply, TASK, "The email.") :].lstrip() == left


def test_a_heading_that_the_task_wants_is_left_alone() -> None:
    wanted = "Write a ticket with the lines Task: and Your part: in it."
    assert prompts.headed("Your part: tea", wanted, "") == 0


def test_the_last_lines_of_a_prompt_are_cut_off_results_and_answers_without_asking_again() -> None:
    def synthesizer(call: Call, _: int) -> Iterable[Beat]:
        return [f"Task: {call.request.messages[-1].content.partition('Task: ')[2].partition(chr(10))[0]}\n\nThe moon."]

    model = Scripted(
        by_role(orchestrator=plan_of("Name the cause."), worker="Your part: It is the moon.", synthesizer=synthesizer)
    )
    told = carry(model)
    assert (told.run.results["t1"].text, told.run.answer, len(model.calls)) == ("It is the moon.", "The moon.", 3)
    assert "cut out" in told.run.results["t1"].remark
    assert any("cut out" in remark for remark in told.run.remarks)


def test_what_still_stands_in_an_answer_is_cut_out_and_said() -> None:
    told = carry(by_role(orchestrator=plan_of("One."), worker="Done: it is.", synthesizer=f"The moon. {RULE}"))
    assert told.run.answer == "The moon."
    assert "words of the prompt stood in the reply and were cut out" in told.run.remarks


def test_an_answer_of_nothing_but_our_prompt_is_none_and_the_results_stand() -> None:
    told = carry(by_role(orchestrator=plan_of("One."), worker="Done: it is.", synthesizer=RULE))
    assert "Done: it is." in str(told.run.answer)
    assert told.run.coverage.answer == "unmerged"


WRITES = "Three wrote this: {worker_responses}\n\nMake one text of it: the answer first, then how it was found."
NOTHING = "There is nothing to be said against any of it."
RECITED = "The answer first, then how it was found."


@pytest.mark.parametrize("twice", [False, True])
def test_an_answer_of_nothing_but_what_its_own_prompt_says_is_asked_for_once_more(*, twice: bool) -> None:
    def synthesizer(call: Call, _: int) -> Iterable[Beat]:
        return [RECITED] if twice or call.part == "" else ["The moon."]

    model = Scripted(by_role(orchestrator=plan_of("One."), worker="Done: it is.", synthesizer=synthesizer))
    told = carry(model, Definition(Role("sim:x"), {"part": Role("sim:x")}, Role("sim:x", WRITES)))
    first, again = model.prompts("synthesizer")
    assert again.startswith(first)
    if twice:
        assert told.run.coverage.answer == "unmerged"
        assert "Done: it is." in str(told.run.answer)
    else:
        assert told.run.answer == "The moon."


def test_a_worker_may_say_twice_what_its_own_prompt_says_which_may_want_just_that() -> None:
    prompt = "{task_description} If it stands nowhere, write: I looked in all of the places and there is nothing."
    said = "I looked in all of the places and there is nothing."
    told = carry(asked(said), Definition(Role("sim:x"), {"part": Role("sim:x", prompt)}, Role("sim:x")))
    result = told.run.results["t1"]
    assert (result.outcome, result.text, len(told.run.calls)) == ("done", said, 4)
    assert "nothing but what its prompt says" in result.remark


@pytest.mark.parametrize(
    ("reply", "prompt", "recited"),
    [
        (RECITED, WRITES, True),
        ("Make one text of it, the answer first, then how it was found:", WRITES, True),
        ("The answer is 42, and it was found by asking first.", WRITES, False),
        ("Three wrote this.", WRITES, False),
        (
            "There is nothing to be said against any of it.",
            'Else write "There is nothing to be said against any of it."',
            False,
        ),
        (
            "There is nothing to be said against any of it.",
            "Else write: There is nothing to be said against any of it.",
            True,
        ),
    ],
)
def test_what_a_prompt_of_the_users_own_says_is_found_where_nothing_else_is_said(
    reply: str, prompt: str, *, recited: bool
) -> None:
    assert prompts.recites(reply, prompt) is recited


ALONE = Definition(Role("sim:x"), {"part": Role("sim:x")}, Role("sim:x"))
"""One model does everything, and nobody is asked in a way of his own."""
TIDES = "Explain to me how the tides come."


@pytest.mark.parametrize("size", ["one", "medium"])
def test_a_plan_of_one_subtask_is_no_plan_and_the_task_is_asked_as_it_is_written(size: str) -> None:
    plan = f'{{"size": "{size}", "tasks": [{{"id": "t1", "type": "part", "description": "Name the tides."}}]}}'
    model = Scripted(by_role(orchestrator=plan, worker="Never.", synthesizer="The moon."))
    told = carry(model, ALONE, task=TIDES)
    assert told.run.answer == "The moon."
    assert model.prompts("synthesizer") == [TIDES]
    assert not model.prompts("worker")
    assert not told.run.plan.subtasks
    assert told.run.coverage.complete
    assert told.run.plan.remarks == ("its only subtask is the whole task, and is asked as that",)


def test_the_first_subtask_waits_no_longer_than_for_the_comma_behind_it() -> None:
    """Its worker has begun while the second is still being written."""
    first = '{"tasks": [{"id": "t1", "type": "part", "description": "One."}'
    second = '{"id": "t2", "type": "part", "description": "Two."}]}'
    told = carry(
        by_role(orchestrator=lambda *_: (first, 1.0, ",", 4.0, second), worker="Done.", synthesizer="Both."),
        ALONE,
        task=TIDES,
    )
    assert told.at("subtask_planned") == [1.0, 5.0]
    assert told.at("subtask_started", subtask="t1") == [1.0]


@pytest.mark.parametrize(
    "definition",
    [
        Definition(ALONE.orchestrator, {"part": Role("sim:small")}, Role("sim:large")),
        Definition(ALONE.orchestrator, {"part": Role("sim:x", check="it rhymes")}, ALONE.synthesizer),
        Definition(ALONE.orchestrator, {"part": Role("sim:x", options={"temperature": 0})}, ALONE.synthesizer),
        Definition(ALONE.orchestrator, ALONE.workers, ALONE.synthesizer, limits=Limits(rounds=2)),
        Definition(Role("sim:x", "Put it better: {task} {workers} {sizes}"), ALONE.workers, ALONE.synthesizer),
    ],
)
def test_the_only_subtask_of_whoever_is_asked_otherwise_is_done(definition: Definition) -> None:
    model = Scripted(by_role(orchestrator=plan_of("Name the tides."), worker="The moon.", synthesizer="Well."))
    told = carry(model, definition, task=TIDES)
    assert [subtask.description for subtask in told.run.plan.subtasks][:1] == ["Name the tides."]


def test_whoever_has_a_prompt_of_its_own_is_asked_with_that_even_for_the_whole_task() -> None:
    definition = Definition(ALONE.orchestrator, ALONE.workers, Role("sim:x", "Rhyme: {worker_responses}"))
    model = Scripted(
        by_role(orchestrator=plan_of("Explain how the tides come."), worker="The moon.", synthesizer="Soon.")
    )
    told = carry(model, definition, task="Explain to me how the tides come.")
    assert told.run.answer == "Soon."
