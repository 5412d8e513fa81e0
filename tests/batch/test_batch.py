"""`stretto batch` from a shell: lines in, lines out, what is said, and what a second start does."""

import json
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from batches import PRICES, WORKFLOW, came_out
from stretto import Simulator
from stretto.models.simulator import parse_fault
from stretto.store.sqlite import Store
from terminal import Terminal, served


@pytest.fixture
def terminal(tmp_path: Path) -> Terminal:
    made = Terminal(tmp_path)
    made.write("flow.toml", WORKFLOW.format(faults=[]))
    made.write("fails.toml", WORKFLOW.format(faults=["400 always match=Peru"]))
    made.write("priced.toml", WORKFLOW.format(faults=[]) + PRICES)
    return made


def task(id_: str | int, about: str = "tea", **more: Any) -> dict[str, Any]:
    return {"id": id_, "task": f"Describe {about} in 2 subtasks", **more}


def chat(id_: str, model: str, *said: str, url: str = "/v1/chat/completions", **more: Any) -> dict[str, Any]:
    messages = [{"role": "user", "content": text} for text in said or ("What is a brick?",)]
    body = {"model": model, "messages": messages, **more}
    return {"custom_id": id_, "method": "POST", "url": url, "body": body}


def wrote(terminal: Terminal, lines: Iterable[dict[str, Any]], name: str = "in.jsonl") -> None:
    terminal.write(name, "".join(json.dumps(line) + "\n" for line in lines))


def test_each_task_is_a_run_and_a_line(terminal: Terminal) -> None:
    notes = [{"name": "notes", "text": "The secret is the water."}]
    wrote(terminal, [task(1), task("b", "coffee"), task("c", inputs=[*notes, "more.txt"])])
    terminal.write("more.txt", "And the time.")
    done = terminal("batch", "in.jsonl", "-o", "out.jsonl", "-w", "./flow.toml")
    assert (done.code, done.out) == (0, ""), done.err
    found = came_out(terminal)
    assert set(found) == {"1", "b", "c"}
    assert found["1"]["id"] == 1
    for line in found.values():
        run = Store(terminal.store).run(line["run"])
        assert (line["answer"], line["state"], line["error"]) == (run.answer, "done", None)
        assert (line["input_tokens"], line["output_tokens"]) == (run.usage.input_tokens, run.usage.output_tokens)
    inputs = Store(terminal.store).run(found["c"]["run"]).basis.inputs
    assert [each.text for each in inputs] == ["The secret is the water.", "And the time."]
    assert "3 of 3 lines answered" in done.err


def test_a_second_start_does_only_what_is_not_there(terminal: Terminal) -> None:
    wrote(terminal, [task(1), task(2)])
    assert terminal("batch", "in.jsonl", "-o", "out.jsonl", "-w", "./flow.toml").code == 0
    before = (terminal.folder / "out.jsonl").read_bytes()
    wrote(terminal, [task(1, "something else"), task(2), task(3)])
    done = terminal("batch", "in.jsonl", "-o", "out.jsonl", "-w", "./flow.toml")
    assert done.code == 0
    after = (terminal.folder / "out.jsonl").read_bytes()
    assert after.startswith(before)
    assert after.count(b"\n") == 3
    assert "3 of 3 lines answered (2 of them before)" in done.err
    assert len(Store(terminal.store).recent(10)) == 3


def test_a_lost_file_is_written_again_from_the_store_and_nothing_is_paid(terminal: Terminal) -> None:
    wrote(terminal, [task(1), task(2)])
    with served() as (url, provider):
        terminal.environ |= {"TOGETHER_BASE_URL": url, "TOGETHER_API_KEY": "x"}
        assert terminal("batch", "in.jsonl", "-o", "out.jsonl", "-m", "together:x").code == 0
        asked, answers = provider.asked.total(), {key: line["answer"] for key, line in came_out(terminal).items()}
        (terminal.folder / "out.jsonl").unlink()
        assert terminal("batch", "in.jsonl", "-o", "out.jsonl", "-m", "together:x").code == 0
        assert provider.asked.total() == asked
    assert {key: line["answer"] for key, line in came_out(terminal).items()} == answers


def test_requests_come_out_as_openai_has_them(terminal: Terminal) -> None:
    response = {"custom_id": "r", "url": "/v1/responses", "body": {"model": "flow", "input": "Compare tea and coffee"}}
    wrote(terminal, [chat("one", "sim:x"), chat("all", "flow"), response, task("ours")])
    done = terminal("batch", "in.jsonl", "-o", "out.jsonl", "-w", "./flow.toml")
    assert done.code == 0, done.err
    found = came_out(terminal)
    assert found["ours"]["state"] == "done"
    for key in ("one", "all", "r"):
        assert set(found[key]) == {"id", "custom_id", "response", "error"}
        assert (found[key]["response"]["status_code"], found[key]["error"]) == (200, None)
    one, every, answer = (found[key]["response"]["body"] for key in ("one", "all", "r"))
    assert one["object"] == every["object"] == "chat.completion"
    assert one["choices"][0]["finish_reason"] == "stop"
    assert answer["object"] == "response"
    assert answer["output"][0]["content"][0]["text"]
    runs = {run.id: run for run in Store(terminal.store).recent(10)}
    alone = runs[found["one"]["response"]["request_id"]]
    assert len(alone.calls) == 1
    assert alone.calls[0].model == "sim:x"
    assert len(runs[found["all"]["response"]["request_id"]].calls) > 1


def test_a_request_is_sent_as_its_client_wrote_it(terminal: Terminal) -> None:
    said = ("Hello", "What is a brick?")
    same: dict[str, Any] = {"temperature": 1, "max_tokens": 400}
    wrote(terminal, [chat("a", "together:x", *said, **same), chat("b", "together:x", *said, **same)])
    with served() as (url, provider):
        terminal.environ |= {"TOGETHER_BASE_URL": url, "TOGETHER_API_KEY": "x"}
        done = terminal("batch", "in.jsonl", "-o", "out.jsonl", "-m", "sim:instant")
    assert done.code == 0, done.err
    assert list(provider.asked.values()) == [2]  # each line is asked for itself, also one that says the same
    run = Store(terminal.store).recent(1)[0]
    (record,) = Store(terminal.store).records(run.id).values()
    assert record.request
    assert [message.content for message in record.request.messages] == list(said)
    assert record.request.options == same


def test_what_fails_is_a_line_and_is_tried_again_when_that_is_wanted(terminal: Terminal) -> None:
    wrote(terminal, [task(1), task(2, "Peru"), chat("c", "sim:x", "Where is Peru?")])
    done = terminal("batch", "in.jsonl", "-o", "out.jsonl", "-w", "./fails.toml")
    assert done.code == 4
    assert "failed: line 2 (2): " in done.err
    assert "1 of 3 lines answered, 2 failed" in done.err
    found = came_out(terminal)
    assert (found["2"]["state"], found["2"]["answer"]) == ("failed", None)
    assert "400" in found["2"]["error"]
    assert found["c"]["response"]["status_code"] == 400
    assert "400" in found["c"]["response"]["body"]["error"]["message"]
    again = terminal("batch", "in.jsonl", "-o", "out.jsonl", "-w", "./fails.toml")
    assert (again.code, came_out(terminal)) == (4, found)
    better = terminal("batch", "in.jsonl", "-o", "out.jsonl", "-w", "./flow.toml", "--retry-failed")
    assert better.code == 0, better.err
    last = came_out(terminal)
    assert last["1"] == found["1"]
    assert last["2"]["state"] == "done"
    assert last["2"]["run"] == found["2"]["run"]
    assert last["c"]["response"]["status_code"] == 200


def test_an_answer_that_lacks_something_is_partial(terminal: Terminal) -> None:
    terminal.write("some.toml", WORKFLOW.format(faults=["400 always role=worker rate=0.5"]))
    wrote(terminal, [{"id": number, "task": f"Describe tea {number} in 8 subtasks"} for number in range(3)])
    done = terminal("batch", "in.jsonl", "-o", "out.jsonl", "-w", "./some.toml")
    partial = [line for line in came_out(terminal).values() if line["state"] == "partial"]
    assert done.code == 4
    assert partial
    assert all(line["answer"] and line["missing"][0]["why"] for line in partial)


def test_all_lines_failed_is_a_failure(terminal: Terminal) -> None:
    wrote(terminal, [task(1, "Peru")])
    assert terminal("batch", "in.jsonl", "-o", "out.jsonl", "-w", "./fails.toml").code == 1


def test_lines_that_cannot_be_used_are_named_before_anything_is_asked(terminal: Terminal) -> None:
    lines = [
        task(1), task("1"), chat("a", "gpt"), chat("b", "nobody:gpt"), chat("c", "sim:x", ""),
        chat("d", "sim:x", tools=[{"type": "function"}]), chat("e", "sim:x", url="/v1/embeddings"), {"id": 9},
    ]  # fmt: skip
    wrote(terminal, lines)
    done = terminal("batch", "in.jsonl", "-o", "out.jsonl", "-w", "./flow.toml")
    assert done.code == 2
    for place, why in [
        (2, "the id '1' stands twice"), (3, "write PROVIDER:gpt"), (4, "unknown model 'nobody:gpt'"),
        (5, "every message is empty"), (6, "no tools are called here"), (7, "unknown url"), (8, "say under task"),
    ]:  # fmt: skip
        assert any(f"in.jsonl: line {place}: " in told and why in told for told in done.err.splitlines()), done.err
    assert not (terminal.folder / "out.jsonl").exists()
    assert Store(terminal.store).recent(10) == []


def test_a_key_that_is_missing_is_told_before_anything_is_asked(terminal: Terminal) -> None:
    wrote(terminal, [task(1), chat("a", "openai:gpt-5")])
    done = terminal("batch", "in.jsonl", "-o", "out.jsonl", "-w", "./flow.toml")
    assert done.code == 3
    assert "OPENAI_API_KEY" in done.err
    assert Store(terminal.store).recent(10) == []


def test_a_key_that_is_refused_ends_the_batch_and_no_line_is_lost(terminal: Terminal) -> None:
    wrote(terminal, [task(number) for number in range(20)])
    refusing = Simulator(faults=(parse_fault("401 always"),))
    with served(refusing) as (url, _):
        terminal.environ |= {"TOGETHER_BASE_URL": url, "TOGETHER_API_KEY": "x"}
        done = terminal("batch", "in.jsonl", "-o", "out.jsonl", "-m", "together:x", "--runs", "2")
    assert done.code == 3
    assert (terminal.folder / "out.jsonl").read_bytes() == b""
    done = terminal("batch", "in.jsonl", "-o", "out.jsonl", "-m", "sim:instant")
    assert done.code == 0, done.err
    assert len(came_out(terminal)) == 20


def test_lines_come_through_a_pipe(terminal: Terminal) -> None:
    piped = "".join(json.dumps(task(number)) + "\n" for number in range(3)).encode()
    done = terminal.fed(piped, "batch", "-q", "-", "-o", "out.jsonl", "-w", "./flow.toml")
    assert (done.code, done.out, done.err) == (0, "", "")
    assert len(came_out(terminal)) == 3
    again = terminal.fed(piped + b"{}\n", "batch", "-", "-o", "out.jsonl", "-w", "./flow.toml")
    assert again.code == 2
    assert "standard input: line 4: no id" in again.err


def test_the_lines_themselves_are_never_written_over(terminal: Terminal) -> None:
    wrote(terminal, [task(1)])
    before = (terminal.folder / "in.jsonl").read_bytes()
    done = terminal("batch", "in.jsonl", "-o", "in.jsonl", "-w", "./flow.toml")
    assert done.code == 2
    assert (terminal.folder / "in.jsonl").read_bytes() == before


def test_a_total_budget_is_never_passed_and_more_of_it_goes_on(terminal: Terminal) -> None:
    wrote(terminal, [task(number, f"tea {number}") for number in range(40)])
    command = ("batch", "in.jsonl", "-o", "out.jsonl", "-w", "./priced.toml", "--runs", "3", "--budget", "0.2")
    refused = terminal(*command[:-2], "--total-budget", "1")
    assert refused.code == 3
    assert "--budget" in refused.err
    nothing = terminal(*command, "--total-budget", "0.1")
    assert nothing.code == 5
    short = terminal(*command, "--total-budget", "0.5")
    assert short.code == 4, short.err
    assert "leaves" in short.err
    some = came_out(terminal)
    cost = sum((run.cost or Decimal(0) for run in Store(terminal.store).recent(100)), Decimal(0))
    assert 0 < len(some) < 40
    assert Decimal("0.3") < cost <= Decimal("0.5")
    rest = terminal(*command, "--total-budget", "20")
    assert rest.code == 0, rest.err
    assert len(came_out(terminal)) == 40


def test_objects_as_answers(terminal: Terminal) -> None:
    schema = {"type": "object", "properties": {"river": {"type": "string"}}, "required": ["river"]}
    terminal.write("river.json", json.dumps(schema))
    wrote(terminal, [task(1)])
    done = terminal("batch", "in.jsonl", "-o", "out.jsonl", "-w", "./flow.toml", "--schema", "river.json")
    assert done.code == 0, done.err
    assert set(came_out(terminal)["1"]["answer"]) == {"river"}
