"""The gauntlet judges as a careful reader would, counts what a run tells, and ends with its tables."""

import asyncio
import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from bench.gauntlet.echoes import echo_in, heading_in, prompts_of
from bench.gauntlet.endpoint import Endpoint
from bench.gauntlet.judging import Judgement, judge
from bench.gauntlet.notebook import Prompts, prompts_from
from bench.gauntlet.ours import ours
from bench.gauntlet.plans import needs_in, plan_is_valid
from bench.gauntlet.programs import printed
from bench.gauntlet.setting import Setting
from bench.gauntlet.tasks import Task, load
from bench.gauntlet.tongues import language

from forked import python
from places import ROOT
from stretto import Provider, Simulator, Workflow
from stretto.models.simulator.faults import parse_fault
from stretto.server.sim import served

TASKS = {task.id: task for task in load()}
LEAP = "```python\nyear = 2027\nfound = []\nwhile len(found) < 20:\n    if year % 4 == 0 and year % 100:\n"
LEAP += "        found.append(year)\n    year += 1\nprint(*found)\n```"
SLUG = "import re\n\ndef slugify(title):\n    return '-'.join(re.findall('[a-z0-9]+', title.lower()))\n"
QUERY = "```sql\nSELECT c.name, COUNT(*) AS n FROM customers c JOIN orders o ON {}\n"
QUERY += "GROUP BY c.id HAVING COUNT(*) > 3 ORDER BY n DESC;\n```"


def judged(task: str, answer: str | None, **how: Any) -> Judgement:
    return asyncio.run(judge(TASKS[task], answer, **how))


def test_every_kind_of_task_is_there_and_fits_a_small_context() -> None:
    kinds = {task.kind for task in TASKS.values()}
    wanted = "code comparison planning writing data trivial German Spanish Chinese design opinion needs"
    assert len(TASKS) == 20
    assert kinds >= {*wanted.split(), "many parts", "long input"}
    assert max(len(task.whole) for task in TASKS.values()) < 3 * 2000
    assert any(len(task.whole) > 2000 for task in TASKS.values())


@pytest.mark.parametrize(
    ("task", "answer", "verdict"),
    [
        ("percent", "17 % of 2,350 is **399.5**.", "full"),
        ("percent", "The result is 412.5.", "part"),
        ("percent", "", "none"),
        ("percent", "What is 17 % of 2,350?", "none"),
        ("percent", "I'm sorry, but I can't help with that.", "none"),
        ("leap", f"Here it is, a program for leap years:\n{LEAP}", "full"),
        ("leap", f"A plan first.\n```python\nassert False\n```\nThe leap years:\n{LEAP}", "full"),
        ("leap", "```python\nfor leap in range(2024, 2110, 4):\n    print(leap)\n```", "part"),
        ("leap", "```python\nfor leap in range(\n```", "part"),
        ("fix", "```python\ndef average(xs):\n    return sum(xs) / len(xs) if xs else 0\n```", "full"),
        ("fix", "```python\ndef average(xs):\n    return sum(xs) / len(xs)\n```", "part"),
        ("slug", f"```python\n{SLUG}assert slugify('C++') == 'c-plus-plus'\n```", "full"),
        ("slug", f"```python\n{SLUG.replace('-', '_')}```", "part"),
        ("leap", "Leap years are every fourth year.", "part"),
        (
            "sql",
            QUERY.format("o.customer_id = c.id"),
            "full",
        ),
        (
            "sql",
            QUERY.format("o.id = c.id"),
            "part",
        ),
        (
            "himmel",
            "Das Licht der Sonne ist bunt. Die Luft streut das blaue Licht am meisten, und so ist es. " * 2,
            "full",
        ),
        ("himmel", "The sky is blue because the air scatters the light of the sun (himmel, licht, luft). " * 3, "part"),
        (
            "walking",
            "1. 步行有益心脏健康。2. 步行可以帮助控制体重和压力。3. 步行能改善睡眠、心情和免疫力。",
            "full",
        ),
        ("walking", "1. Walking (步行) is good for the heart. 2. It is good for you. 3. It is free.", "part"),
        ("birthday", "Happy birthday, Anna, and a year of fine hikes!", "full"),
        ("birthday", "Happy birthday, Anna, and many fine mountain hikes to you. " * 20, "part"),
        ("birthday", "Say happy birthday to Anna and speak of hiking, in a warm and upbeat tone, " * 9 + ".", "part"),
        ("birthday", "Our quarterly report is attached.", "none"),
        ("sales", "Ulm, with 40 thousand euros.", "full"),
        ("sales", "Bonn sold the most: 33.", "part"),
        ("log", "billing: no space left on the disk. mailer: SMTP connection refused.", "full"),
    ],
)
def test_an_answer_is_judged_as_a_reader_would(task: str, answer: str, verdict: str) -> None:
    found = judged(task, answer)
    assert found.verdict == verdict, found.why
    assert bool(found.why) == (verdict != "full")


def test_a_program_without_an_end_is_ended() -> None:
    assert asyncio.run(printed("while True: pass", 0.5)) == ""
    assert "Error" in asyncio.run(printed("[0] * 10**10"))


def test_a_whole_answer_with_a_mistake_is_told_from_one_that_lacks_something() -> None:
    assert judged("percent", "The result is 412.5.").wrong
    assert judged("sales", "Bonn sold the most: 33.").wrong
    assert not judged("sales", "Bonn sold the most.").wrong
    assert not judged("percent", "It is 399.5").wrong


def test_an_answer_that_was_cut_off_is_answered_in_part() -> None:
    assert judged("percent", "It is 399.5", whole=False).verdict == "part"


def test_a_language_is_told_by_its_small_words_and_not_by_its_code() -> None:
    assert language("Der Hund und die Katze sind auf dem Dach, weil es warm ist.") == "de"
    assert language("La tortilla se hace con los huevos y las patatas en una sartén.") == "es"
    assert language("```python\nfor it in the.list: is_in = it or the.end\n```") is None


def test_a_piece_of_our_prompts_in_an_answer_is_found_and_one_of_the_task_is_not() -> None:
    ours = ["Do this part only, completely, and return only its result, {task} please."]
    said = "Thank you. I do this part only, completely and return ONLY its result."
    assert echo_in(said, ours, []) == "do this part only completely and return only"
    assert not echo_in(said, ours, ["they do this part only, completely, and return only its result"])
    assert not echo_in("completely, and return only its result, now", ours, [])
    assert heading_in("Fine.\n=== WORKER RESULT (plan), t1 ===\n") == "WORKER RESULT"
    assert not heading_in("## Result\nThe ledger of a shop.")


def test_the_prompts_of_every_role_of_a_preset_are_among_ours() -> None:
    said = "\n".join(prompts_of(Workflow.from_toml("review", model="sim:instant").definition))
    assert "You review its security" in said
    assert "Reviewers looked at this code" in said


def test_needs_count_as_valid_if_they_name_an_earlier_subtask_as_it_is_written() -> None:
    tasks: list[dict[str, Any]] = [
        {"id": "t1", "type": "general", "description": "a", "needs": []},
        {"id": "t2", "type": "general", "description": "b", "needs": ["t1", "general", "t3"]},
        {"type": "general", "description": "c", "needs": ["t2", "t4"]},
    ]
    written = json.dumps({"tasks": tasks})
    assert needs_in(written) == (5, 2)
    assert plan_is_valid(written, ["general"])
    assert not plan_is_valid(written, ["other"])
    assert not plan_is_valid(written[:-3], ["general"])
    assert plan_is_valid('{"tasks": []}', ["general"])
    assert not plan_is_valid('{"analysis": "None."}', ["general"])


def test_the_notebooks_own_prompts_are_read_from_it(tmp_path: Path) -> None:
    text = "".join(f'{role}_PROMPT = """\n{role} {{task}}\n"""\n' for role in ("ORCHESTRATOR", "WORKER", "SYNTHESIZER"))
    (tmp_path / "book.txt").write_text(text, encoding="utf-8")
    book = {"cells": [{"source": text.splitlines(keepends=True)}]}
    (tmp_path / "book.ipynb").write_text(json.dumps(book), encoding="utf-8")
    wanted = Prompts("\nORCHESTRATOR {task}\n", "\nWORKER {task}\n", "\nSYNTHESIZER {task}\n")
    assert prompts_from(tmp_path / "book.txt") == prompts_from(tmp_path / "book.ipynb") == wanted
    with pytest.raises(ValueError, match="no ORCHESTRATOR_PROMPT"):
        prompts_from(ROOT / "README.md")


@contextmanager
def simulated(*faults: str) -> Iterator[str]:
    """The address of the simulator, served over HTTP."""
    with served(Simulator(ttft=0.0, tokens_per_second=1e6, faults=tuple(map(parse_fault, faults)))) as (url, _):
        yield url


def gauntlet(*arguments: str, url: str = "") -> subprocess.CompletedProcess[str]:
    environ = {name: value for name, value in os.environ.items() if not name.endswith(("_API_KEY", "_BASE_URL"))}
    world = {**environ, "LLAMACPP_BASE_URL": url} if url else environ
    return python("-m", "bench.gauntlet", *arguments, folder=ROOT, environ=world)


def test_tasks_go_every_way_at_an_endpoint_and_the_tables_and_texts_tell_of_it(tmp_path: Path) -> None:
    texts, figures = tmp_path / "texts", tmp_path / "figures.json"
    asked = ("--model", "llamacpp:instant", "--only", "birthday,log", "--save", str(texts), "--json", str(figures))
    with simulated() as url:
        done = gauntlet(*asked, url=url)
    assert done.returncode == 0, done.stderr
    assert "18/18" in done.stderr
    trials = json.loads(figures.read_text(encoding="utf-8"))
    assert {trial["way"] for trial in trials} == {
        *("general", "solve", "research", "documents", "review", "moa", "cookbook", "notebook", "direct")
    }
    assert all(trial["answer"] and not trial["error"] and trial["tokens"]["output"] for trial in trials)
    assert all(trial["plan_valid"] for trial in trials if trial["way"] in {"general", "cookbook", "notebook"})
    assert "| general | 2 | 2/2 (100 %) |" in done.stdout
    page = (texts / "log.md").read_text(encoding="utf-8")
    assert page.count("\n## ") >= 9 + 3
    assert "no space left on disk" in page
    again = gauntlet("--judge", str(figures), "--only", "log")
    assert again.returncode == 0, again.stderr
    assert [line for line in again.stdout.splitlines() if line in done.stdout.splitlines() and "log (long" in line]


def test_the_quick_form_fails_if_a_way_has_no_answer() -> None:
    quick = ("--model", "llamacpp:instant", "--quick")
    with simulated() as url:
        well = gauntlet(*quick, url=url)
    assert well.returncode == 0, well.stdout + well.stderr
    with simulated("400") as url:
        ill = gauntlet(*quick, url=url)
    assert ill.returncode == 1, ill.stdout + ill.stderr
    assert "ClientResponseError: 400" in ill.stdout


def test_a_run_that_cannot_begin_is_a_trial_with_its_error(tmp_path: Path) -> None:
    locked = {"locked": Provider("http://127.0.0.1:9/v1", key_env="NO_SUCH_KEY")}
    setting = Setting(Endpoint("locked:x", "http://127.0.0.1:9/v1", "x", providers=locked), tmp_path / "runs.db")
    trial = asyncio.run(ours("general", TASKS["percent"], setting, 1))
    assert (trial.exit, trial.answer, trial.calls) == (3, None, 0)
    assert "NO_SUCH_KEY" in trial.error


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--model", "llamacpp:x", "--only", "nothing"), "no task nothing"),
        (("--model", "llamacpp:x", "--workflows", "general,wrong"), "no wrong; there are"),
        (("--model", "sim:instant"), "has no address"),
        (("--model", "llamacpp:x", "--tasks", "pyproject.toml"), "no table of tasks"),
    ],
)
def test_what_cannot_be_run_is_said_before_anything_is_asked(arguments: tuple[str, ...], said: str) -> None:
    done = gauntlet(*arguments)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_task_that_is_not_as_it_must_be_is_refused(tmp_path: Path) -> None:
    table = tmp_path / "tasks.toml"
    entry = '[[task]]\nid = "a"\nkind = "code"\ntext = "Write."\nabout = "x"\n'
    table.write_text(entry, encoding="utf-8")
    assert load(table) == [Task("a", "code", "Write.", "x")]
    table.write_text(entry * 2, encoding="utf-8")
    with pytest.raises(ValueError, match="twice"):
        load(table)
    table.write_text(entry + "pionts = []\n", encoding="utf-8")
    with pytest.raises(ValueError, match="pionts"):
        load(table)
