"""The same task for each item of a list, from Python: what is asked, what comes back, and what goes on."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, field_validator

import stretto
from stretto import Row, Simulator, Workflow
from stretto.cli.proposal_table import table
from stretto.errors import ConfigError, StrettoError, TaskError
from stretto.models.simulator.faults import parse_fault
from stretto.proposal import Drop, Edit, Go, Stop
from stretto.store.sqlite import Store

INSTANT = Simulator(ttft=0, tokens_per_second=1e6)
ITEMS = ["green", "black", "white", "red"]


def flow(*faults: str, worker: Any = "sim:w", **facts: Any) -> Workflow:
    sim = Simulator(ttft=0, tokens_per_second=1e6, faults=tuple(map(parse_fault, faults)))
    return Workflow("sim:o", {"part": worker}, "sim:s", providers={"sim": sim}, **facts)


def states(rows: list[Row]) -> list[str]:
    return [row.state for row in rows]


def test_each_item_is_asked_its_own_text_and_nothing_else(tmp_path: Path) -> None:
    ours = flow(store=tmp_path / "runs.db")
    rows = ours.map_sync("Describe {item} tea.", ITEMS)
    assert [row.item for row in rows] == ITEMS
    assert all(row.done and row.answer for row in rows)
    records = Store(tmp_path / "runs.db").records(Store(tmp_path / "runs.db").recent(1)[0].id)
    asked = {
        tuple(message.content for message in record.request.messages) for record in records.values() if record.request
    }
    assert asked == {(f"Describe {item} tea.",) for item in ITEMS}


def test_a_prompt_of_ones_own_has_the_items_text_as_task_and_part(tmp_path: Path) -> None:
    ours = flow(
        worker=stretto.Role("sim:w", prompt="{original_task}|{task_description}|{needs}"), store=tmp_path / "r.db"
    )
    ours.map_sync("Do {item}", ["a"])
    run = Store(tmp_path / "r.db").recent(1)[0].id
    (record,) = Store(tmp_path / "r.db").records(run).values()
    assert record.request is not None
    assert record.request.messages[-1].content == "Do a|Do a|"


def test_a_failed_row_is_a_row_and_all_failed_are_rows_too() -> None:
    async def main() -> None:
        some = flow("400 always match=black").map("Describe {item}", ITEMS)
        rows = await some
        assert states(rows) == ["done", "failed", "done", "done"]
        assert rows[1].error
        assert "400" in rows[1].error
        assert some.run.status == "finished"
        assert not some.run.coverage.complete
        every = flow("400 always").map("Describe {item}", ITEMS)
        assert states(await every) == ["failed"] * 4
        assert every.run.status == "failed"
        assert {call.role for call in every.run.calls} == {"worker"}

    asyncio.run(main())


def test_rows_come_in_order_or_as_they_are_done() -> None:
    async def slow(subtask: stretto.Subtask) -> str:
        """Takes long for a."""
        await asyncio.sleep(0.05 if subtask.description == "a" else 0)
        return subtask.description.upper()

    async def main() -> None:
        ours = flow(worker=slow)
        assert [row.answer async for row in ours.map("{item}", ["abc", *list("abc")])] == ["ABC", "A", "B", "C"]
        assert [row.index async for row in ours.map("{item}", list("abc"), as_completed=True)][-1] == 0

    asyncio.run(main())


def test_leaving_early_stops_the_run() -> None:
    async def main() -> str:
        async with flow(worker="sim:slow").map("Do {item}", range(300), as_completed=True) as rows:
            async for _ in rows:
                break
        return rows.run.status

    assert asyncio.run(main()) == "interrupted"


def test_items_that_are_alike_are_asked_once() -> None:
    rows = flow().map_sync("Describe {item}", ["a", "b", "a"])
    assert rows[0].answer == rows[2].answer
    assert [row.reused for row in rows] == [False, False, True]
    assert rows[2].usage.output_tokens == 0


def test_another_list_takes_what_the_store_has_of_it(tmp_path: Path) -> None:
    ours = flow(store=tmp_path / "runs.db", memory={"reuse": "store"})
    ours.map_sync("Describe {item}", ITEMS)
    assert [row.reused for row in ours.map_sync("Describe {item}", ["blue", *ITEMS[::-1]])] == [False] + [True] * 4


def test_more_rows_than_max_subtasks_are_no_matter() -> None:
    rows = flow(limits={"max_subtasks": 3, "parallel": 100}).map_sync("Do {item}", range(300))
    assert states(rows) == ["done"] * 300


def test_no_items_are_no_rows() -> None:
    async def main() -> None:
        nothing = flow().map("Do {item}", [])
        assert await nothing == []
        with pytest.raises(StrettoError, match="there were no items"):
            assert nothing.run

    asyncio.run(main())


class Tea(BaseModel):
    """A shape with a rule that no schema knows."""

    name: str

    @field_validator("name")
    @classmethod
    def no_black(cls, name: str) -> str:
        if "black" in name.casefold():
            raise ValueError("no black tea")
        return name


@pytest.mark.parametrize("made", [lambda: (flow(answer=Tea), {}), lambda: (flow(), {"answer": Tea})])
def test_rows_have_the_shape_that_is_wanted(made: Callable[[], tuple[Workflow, dict[str, Any]]]) -> None:
    ours, more = made()
    rows = ours.map_sync("Describe {item}", ITEMS, **more)
    assert states(rows) == ["done", "failed", "done", "done"]
    assert isinstance(rows[0].parsed, Tea)
    assert "no black tea" in (rows[1].error or "")


def test_one_answer_from_all_rows(tmp_path: Path) -> None:
    async def main() -> None:
        ours = flow(store=tmp_path / "runs.db", answer=Tea)
        rows = ours.map("Describe {item}", ITEMS, then="Which is best?")
        assert len(await rows) == 4
        assert (rows.run.task, rows.run.parsed) == ("Which is best?", None)
        assert rows.run.answer
        async with ours.resume(rows.run_id) as events:
            again = await events.finished()
        assert again.answer == rows.run.answer
        assert {call.subtask for call in again.calls[6:] if call.finished and not call.finished.reused} == {"t2"}
        assert [row.state for row in again.rows] == ["done", "failed", "done", "done"]

    asyncio.run(main())


def test_rows_stand_where_the_one_answer_cannot_be_written() -> None:
    async def main() -> None:
        rows = flow("400 always role=synthesizer").map("Describe {item}", ITEMS, then="Which is best?")
        assert states(await rows) == ["done"] * 4
        assert rows.run.coverage.answer == "unmerged"

    asyncio.run(main())


def test_a_workflow_may_do_each_row() -> None:
    outer = Workflow(None, {"w": flow()}, None, limits={"max_subtasks": 5})
    rows = outer.map_sync("Name teas in exactly 4 subtasks: {item}", range(20))
    assert states(rows) == ["done"] * 20
    assert all(row.usage.output_tokens > 0 for row in rows)


def test_a_reply_may_be_the_row_itself() -> None:
    text = "The cat sat on the mat and looked at us."

    def mend(subtask: stretto.Subtask) -> str:
        """Finds nothing to mend."""
        return subtask.description.partition(": ")[2]

    rows = flow(worker=mend).map_sync("Mend the spelling: {item}", [text])
    assert (rows[0].state, rows[0].answer) == ("done", text)


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"template": ""}, "the template is empty"),
        ({"template": 3}, "template: must be a text, not int"),
        ({"items": "abc"}, "items: must be a list of texts or of mappings, not str"),
        ({"items": {"a": 1}}, "not dict"),
        ({"items": [{"a": 1}, {}], "template": "{a}"}, r"^items\[1\]: lacks 'a'"),
    ],
)
def test_mistakes_are_told_before_anything_is_asked(facts: dict[str, Any], said: str) -> None:
    with pytest.raises(TaskError, match=said):
        flow().map(**{"template": "Do {item}", "items": ["a"], **facts})


def test_of_several_workers_one_must_be_named() -> None:
    def b(subtask: stretto.Subtask) -> str:
        """Says how long it is."""
        return str(len(subtask.description))

    two = Workflow("sim:o", {"a": "sim:w", "b": b}, "sim:s", providers={"sim": INSTANT})
    with pytest.raises(ConfigError, match=r"worker: one of them does all rows; say which \(--worker\): a, b"):
        two.map("Do {item}", ["x"])
    with pytest.raises(ConfigError, match=r"worker: there is no 'c'; say which \(--worker\): a, b"):
        two.map("Do {item}", ["x"], worker="c")
    assert two.map_sync("Do {item}", ["x"], worker="b")[0].answer == "4"
    with pytest.raises(ConfigError, match="cannot be made to fit a schema"):
        two.map("Do {item}", ["x"], worker="b", answer=Tea)


def test_only_the_workers_model_takes_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    ours = Workflow("openai:gpt-4o", {"a": "sim:w"}, "openai:gpt-4o", providers={"sim": INSTANT})
    assert ours.map_sync("Do {item}", ["x"])[0].done


@pytest.mark.slow
def test_a_map_is_approved_shortened_resumed_rerun_explained_and_replayed(tmp_path: Path) -> None:
    async def main() -> None:
        ours, asked = flow(store=tmp_path / "runs.db"), list[int]()

        def decide(proposal: Any) -> Go | Drop:
            asked.append(len(proposal.plan.subtasks))
            return Drop(["t1", "t3"]) if len(asked) == 1 else Go()

        rows = ours.map("Do {item}", ITEMS, approve=decide)
        assert [(row.id, row.item) for row in await rows] == [("t2", "black"), ("t4", "red")]
        assert asked == [4, 2]
        for stream in (ours.resume(rows.run_id), ours.replay(rows.run_id), ours.rerun(rows.run_id)):
            async with stream:
                assert [row.id for row in (await stream.finished()).rows] == ["t2", "t4"]
        told = await ours.explain(rows.run_id, fresh=["t2"])
        assert [(line.name, line.fate) for line in told if line.type] == [("t2", "new"), ("t4", "reused")]
        with pytest.raises(TaskError, match="the plan of a map is its list"):
            await ours.explain(rows.run_id, plan={"tasks": [{"type": "part", "description": "x"}]})
        with pytest.raises(TaskError, match="edit: the plan of a map is its list"):
            await ours.map("Do {item}", ["a"], approve=lambda _: Edit({"tasks": []}))

    asyncio.run(main())


def test_the_table_of_a_long_list_is_short() -> None:
    told = list[str]()

    def look(proposal: Any) -> Stop:
        told.append(table(proposal, 100))
        return Stop()

    assert flow().map_sync("Do {item}", range(100), approve=look) == []
    assert "… and 92 more rows of the list" in told[0]
    assert len(told[0].splitlines()) < 20


def test_nothing_of_a_list_is_kept_where_no_text_is(tmp_path: Path) -> None:
    ours = flow(store=tmp_path / "runs.db", memory={"record": "usage"})
    assert ours.map_sync("Do {item}", ["a secret"])[0].done
    run = Store(tmp_path / "runs.db").run(Store(tmp_path / "runs.db").recent(1)[0].id)
    assert (run.basis.each, run.rows) == (None, [])
    assert b"a secret" not in (tmp_path / "runs.db").read_bytes()
