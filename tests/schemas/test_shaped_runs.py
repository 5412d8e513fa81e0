"""Runs whose answer, or whose workers' results, have a shape: in the process and over real sockets."""

import asyncio
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec
import pydantic
import pytest

import stretto
from endpoint import Endpoint, Exchange, error, reply
from endpoint import http as http_reply
from loops import on_loop
from models import Beat, Scripted, carry, plan_of
from stretto import Definition, Limits, Memory, Provider, Role, Run, Simulator, Workflow, schema_of
from stretto.calls import Call
from stretto.config import Configuration, read_file
from stretto.errors import ConfigError, DeadlineError, ShapeError, WorkError
from stretto.models.simulator import parse_fault
from stretto.server.sim import PROVIDER, listening, simulator_app
from terminal import Terminal
from virtual import virtually


class Verdict(pydantic.BaseModel):
    summary: str
    score: int = pydantic.Field(ge=0, le=10)
    remark: str | None = None

    @pydantic.field_validator("score")
    @classmethod
    def _not_three(cls, score: int) -> int:
        if score == 3:
            raise ValueError("three is no score")
        return score


class Finding(msgspec.Struct):
    what: str
    sure: bool


PLAN = {"tasks": [{"type": "part", "description": "tides"}, {"type": "part", "description": "ports"}]}
SOURCES = str(Path(stretto.__file__).parents[1])
GOOD = '{"summary": "fine", "score": 7}'
SCHEMA = schema_of(Verdict)


def flow(*faults: str, store: Path | None = None, worker: Any = None, **facts: Any) -> Workflow:
    sim = Simulator(ttft=0.01, ttft_spread=0, tokens_per_second=1e5, faults=tuple(map(parse_fault, faults)))
    facts = {"answer": Verdict, "providers": {"sim": sim}, **facts}
    return Workflow("sim:o", {"part": worker or Role("sim:w")}, "sim:s", store=store, **facts)


def carried(workflow: Workflow, plan: Any = PLAN) -> tuple[Run, Exception | None]:
    async def main() -> tuple[Run, Exception | None]:
        async with workflow.stream("Tell of the sea", plan=plan) as events:
            try:
                return await events.finished(), None
            except ShapeError as failed:
                return events.run, failed

    return asyncio.run(main())


def test_an_answer_is_given_as_what_it_is() -> None:
    run, _ = carried(flow())
    assert isinstance(run.parsed, Verdict)
    assert run.answer == json.dumps(json.loads(run.answer), indent=2, ensure_ascii=False)
    assert run.coverage.complete
    assert [call.role for call in run.calls].count("synthesizer") == 1


def test_a_task_that_is_not_divided_has_an_answer_of_that_shape_too() -> None:
    def script(call: Call, _: int) -> Iterable[Beat]:
        return [plan_of()] if call.role == "orchestrator" else [GOOD]

    model = Scripted(script)
    assert carry(model, TRIO).run.answer == GOOD
    assert model.calls[-1].request.schema == SCHEMA


def test_a_reply_that_does_not_fit_is_asked_for_once_more(tmp_path: Path) -> None:
    workflow = flow("schema once role=synthesizer", store=tmp_path / "runs.db")
    run, _ = carried(workflow)
    assert isinstance(run.parsed, Verdict)
    assert [call.role for call in run.calls].count("synthesizer") == 2
    assert run.coverage.complete

    async def again() -> Run:
        async with workflow.replay(run.id) as events:
            told = await events.finished()
            assert events.differences == []
            return told

    replayed = asyncio.run(again())
    assert (replayed.answer, replayed.parsed) == (run.answer, run.parsed)

    async def rerun() -> Run:
        async with workflow.rerun(run.id) as events:
            return await events.finished()

    repeated = asyncio.run(rerun())
    assert repeated.parsed == run.parsed
    assert all(call.finished and call.finished.reused for call in repeated.calls)


def test_an_answer_that_does_not_fit_twice_is_an_error_and_a_resumption_asks_again(tmp_path: Path) -> None:
    workflow = flow("schema always role=synthesizer", store=tmp_path / "runs.db")
    run, failed = carried(workflow)
    assert isinstance(failed, ShapeError)
    assert str(failed) == (
        'sim:s: the reply does not fit its schema, and neither does the repair: $: the key "summary" is missing'
    )
    assert failed.text.startswith('{"result":')
    assert (run.status, run.error_type, run.parsed) == ("failed", "ShapeError", None)

    async def resumed(again: Workflow) -> Run:
        async with again.resume(run.id) as events:
            try:
                return await events.finished()
            except ShapeError:
                return events.run

    async def replayed() -> Run:
        async with workflow.replay(run.id) as events:
            try:
                return await events.finished()
            except ShapeError:
                assert events.differences == []
                return events.run

    still = asyncio.run(resumed(workflow))
    assert still.status == "failed"
    asked = [call for call in still.calls if call.role == "synthesizer" and call.finished and not call.finished.reused]
    assert len(asked) == 3  # two at first, one now
    assert asyncio.run(replayed()).error_type == "ShapeError"
    healed = asyncio.run(resumed(flow(store=tmp_path / "runs.db")))
    assert isinstance(healed.parsed, Verdict)
    assert [call.role for call in healed.calls if call.finished and not call.finished.reused].count("worker") == 2
    assert asyncio.run(replayed()).answer == healed.answer


def test_a_worker_whose_result_does_not_fit_twice_has_failed() -> None:
    worker = Role("sim:w", schema=schema_of(Finding))
    run, _ = carried(flow("schema always role=worker match=ports", worker=worker))
    assert msgspec.json.decode(run.results["t1"].text, type=Finding).what
    assert run.results["t2"].outcome == "failed"
    assert '$: the key "what" is missing' in (run.results["t2"].error or "")
    assert [call.subtask for call in run.calls if call.role == "worker"].count("t2") == 2
    assert isinstance(run.parsed, Verdict)
    run, _ = carried(flow("schema once role=worker", worker=worker))
    assert run.coverage.complete


def test_what_a_rerun_reuses_is_foreseen_though_a_result_was_repaired(tmp_path: Path) -> None:
    worker = Role("sim:w", schema=schema_of(Finding))
    workflow = flow("schema once role=worker match=ports", worker=worker, store=tmp_path / "runs.db")
    run, _ = carried(workflow)

    async def foreseen() -> list[str]:
        return [line.fate for line in await workflow.explain(run.id)]

    assert set(asyncio.run(foreseen())) <= {"kept", "reused"}


class Todo(msgspec.Struct):
    tasks: list[Finding]


def test_a_simulated_model_takes_no_list_of_tasks_for_a_plan() -> None:
    run, _ = carried(flow(answer=Todo))
    assert isinstance(run.parsed, Todo)


def said(*replies: str) -> Any:
    """A script whose synthesizer gives these replies, one a call."""
    left = list(replies)

    def script(call: Call, _: int) -> Iterable[Beat]:
        if call.role == "orchestrator":
            return [plan_of("tides")]
        return ["high water"] if call.role == "worker" else [left.pop(0)]

    return script


ASKED_AGAIN = """\
This reply does not fit the JSON schema it must fit.
$.score: expected at most 10, got 11
Write it once more, as one JSON object that fits the schema, and nothing else. Keep what was right."""
TRIO = Definition(Role("sim:o"), {"part": Role("sim:w")}, Role("sim:s", schema=SCHEMA))


def test_the_repair_is_the_same_request_with_the_reply_and_what_is_wrong_with_it() -> None:
    model = Scripted(said('{"summary": "fine", "score": 11}', f"Sorry!\n```json\n{GOOD}\n```"))
    told = carry(model, TRIO)
    assert told.error is None
    assert told.run.answer == GOOD
    first, repair = (call.request for call in model.calls if call.role == "synthesizer")
    assert repair.messages[: len(first.messages)] == first.messages
    assert [(message.role, message.content) for message in repair.messages[len(first.messages) :]] == [
        ("assistant", '{"summary": "fine", "score": 11}'),
        (
            "user",
            ASKED_AGAIN,
        ),
    ]
    assert (repair.schema, repair.options) == (first.schema, first.options)


def test_what_is_shown_adds_up_to_the_answer() -> None:
    told = carry(Scripted(said("no", f"Sorry!\n```json\n{GOOD}\n```")), TRIO)
    shown = ""
    for event in told.only("answer_delta"):
        shown = event.text if event.restart else shown + event.text
    assert shown == told.run.answer == GOOD


def test_an_answer_cut_short_is_no_answer() -> None:
    workflow = flow("truncated always role=synthesizer")
    _, failed = carried(workflow)
    assert "ends before it fits its schema: the reply met its token limit" in str(failed)

    async def late() -> None:
        sim = Simulator(ttft=0.01, ttft_spread=0, tokens_per_second=1)
        slow = flow(limits=Limits(deadline=30), providers={"sim": sim})
        async with slow.stream("Tell of the sea", plan=PLAN) as events:
            with pytest.raises(DeadlineError):
                await events.finished()

    virtually(late())


def test_texts_that_are_not_kept_do_not_keep_the_answer_from_its_shape(tmp_path: Path) -> None:
    run, _ = carried(flow(store=tmp_path / "runs.db", memory=Memory(record="usage")))
    assert isinstance(run.parsed, Verdict)


def test_a_shape_belongs_to_who_writes_the_answer() -> None:
    for facts, why in (
        ({"synthesizer": None}, "answer: it is the synthesizer that writes one"),
        ({"synthesizer": Role("sim:s", schema=SCHEMA)}, "answer: synthesizer.schema says it already"),
    ):
        with pytest.raises(ConfigError, match=why):
            Workflow("sim:o", {"part": "sim:w"}, answer=Verdict, **facts)
    with pytest.raises(ConfigError, match=r"orchestrator.schema: a plan has a form of its own"):
        Workflow(Role("sim:o", schema=SCHEMA), {"part": "sim:w"})
    with pytest.raises(ConfigError, match=r'workers."part".schema.type: \'text\' is no type'):
        Workflow("sim:o", {"part": Role("sim:w", schema={"type": "text"})})
    with pytest.raises(ConfigError, match=r'workers."part".schema: .* is no shape'):
        Workflow("sim:o", {"part": Role("sim:w", schema=[1])})  # type: ignore[arg-type]


def test_a_role_takes_a_type_in_the_place_of_its_schema() -> None:
    within = Definition(None, {"deep": Role("sim:w", schema=Finding)})
    roles = {"part": Role("sim:w", schema=Finding), "task": Role(workflow=within)}
    definition = Workflow("sim:o", roles, Role("sim:s", schema=Finding)).definition
    assert definition.synthesizer is not None
    assert definition.workers["task"].workflow is not None
    shaped = (*definition.workers.values(), definition.synthesizer, definition.workers["task"].workflow.workers["deep"])
    assert [role.schema for role in shaped] == [schema_of(Finding), None, schema_of(Finding), schema_of(Finding)]


@pytest.mark.parametrize("mode", ["strict", "schema", "json", "prompt"])
@pytest.mark.parametrize("fault", ["", "schema once role=synthesizer"])
def test_over_a_socket_it_is_the_same_however_the_schema_is_asked_for(mode: Any, fault: str) -> None:
    async def main() -> Run:
        faults = (parse_fault(fault),) if fault else ()
        app = simulator_app(Simulator(ttft=0, tokens_per_second=1e6, faults=faults))
        async with asyncio.timeout(60), listening(app) as url:
            workflow = flow(providers={"sim": Provider(url, schema=mode)})
            async with workflow.stream("Tell of the sea", plan=PLAN) as events:
                run = await events.finished()
            assert set(app[PROVIDER].completed.values()) == {1}
            return run

    run = asyncio.run(main())
    assert isinstance(run.parsed, Verdict)
    assert [call.role for call in run.calls].count("synthesizer") == (2 if fault else 1)


@on_loop
async def test_a_schema_that_a_provider_refuses_is_asked_for_in_the_prompt() -> None:
    async def answer(exchange: Exchange) -> None:
        if "response_format" in exchange.body:
            await exchange.send(error("400 Bad Request", "response_format: json_schema is not supported"))
        else:
            await exchange.send(http_reply(json.dumps(reply(GOOD)).encode()))

    async with Endpoint(answer) as server:
        workflow = flow(providers={"sim": Provider(server.url, schema="strict")})
        async with workflow.stream("Tell of the sea", plan=PLAN) as events:
            run = await events.finished()
        assert run.parsed == Verdict(summary="fine", score=7)
        assert (
            json.dumps(SCHEMA["required"], separators=(",", ":")) in server.requests[-1].body["messages"][-1]["content"]
        )


def test_when_no_worker_has_a_result_that_fits_there_is_nothing_to_answer_from() -> None:
    worker = Role("sim:w", schema=SCHEMA)
    with pytest.raises(WorkError, match="does not fit its schema"):
        carried(flow("schema always role=worker", worker=worker))


def configured(folder: Path, workers: str = "", synthesizer: str = "") -> Path:
    (folder / "form.json").write_text(json.dumps(SCHEMA), encoding="utf-8")
    (folder / "list.json").write_text('{"type": "array"}', encoding="utf-8")
    (folder / "torn.json").write_text('{"type": ', encoding="utf-8")
    file = folder / "flow.toml"
    model = 'model = "sim:x"'
    file.write_text(
        f"[orchestrator]\n{model}\n[workers.part]\n{model}\n{workers}\n[synthesizer]\n{model}\n{synthesizer}\n",
        encoding="utf-8",
    )
    return file


def test_a_schema_file_is_found_beside_its_toml_and_a_flag_goes_before_it(tmp_path: Path) -> None:
    file = configured(tmp_path, 'schema_file = "form.json"', 'schema = {type = "object"}')
    definition = Configuration([read_file(file)]).workflow(Workflow, models={}).definition
    assert definition.workers["part"].schema == SCHEMA
    assert definition.synthesizer
    assert definition.synthesizer.schema == {"type": "object"}
    flagged = Configuration([read_file(file)]).workflow(Workflow, models={}, flags={"schema": tmp_path / "form.json"})
    assert flagged.definition.synthesizer
    assert flagged.definition.synthesizer.schema == SCHEMA


@pytest.mark.parametrize(
    ("synthesizer", "why"),
    [
        ("schema_file = 3", "synthesizer.schema_file: expected a text"),
        ("schema_file = 'form.json'\nschema = {}", "synthesizer: schema and schema_file exclude each other"),
        ("schema_file = 'none.json'", "none.json: cannot be read"),
        ("schema_file = 'torn.json'", "torn.json: not JSON"),
        ("schema_file = 'list.json'", "list.json: what a model is asked for is a JSON object"),
        ("schema = {type = 'array'}", "flow.toml: synthesizer.schema: what a model is asked for is a JSON object"),
    ],
)
def test_a_schema_that_cannot_be_used_is_an_error_that_names_its_file(
    tmp_path: Path, synthesizer: str, why: str
) -> None:
    with pytest.raises(ConfigError) as failed:
        Configuration([read_file(configured(tmp_path, synthesizer=synthesizer))]).workflow(Workflow, models={})
    assert why in str(failed.value)


def test_the_command_line_writes_an_answer_that_fits_the_file(tmp_path: Path) -> None:
    configured(tmp_path)
    terminal = Terminal(tmp_path)
    done = terminal("run", "-m", "sim:instant", "--schema", "form.json", "Tell of the sea", PYTHONPATH=SOURCES)
    assert done.code == 0, done.err
    assert Verdict.model_validate_json(done.out)
    fault = '[providers.sim]\nfaults = ["schema always role=synthesizer"]\n'
    (tmp_path / "stretto.toml").write_text(fault, encoding="utf-8")
    done = terminal("run", "-m", "sim:instant", "--schema", "form.json", "Tell of the sea", PYTHONPATH=SOURCES)
    assert done.code == 1
    assert 'neither does the repair: $: the key "summary" is missing' in done.err
    assert "stretto resume" in done.err


def test_a_replay_that_knows_the_schema_only_tells_where_it_differs(tmp_path: Path) -> None:
    left = ['{"summary": "three", "score": 3}', GOOD]

    async def answer(exchange: Exchange) -> None:
        said = exchange.body["messages"][-1]["content"]
        asked = "from the results above" in said or said.startswith("This reply does not fit")
        await exchange.send(http_reply(json.dumps(reply(left.pop(0) if asked else "water")).encode()))

    async def main() -> None:
        async with asyncio.timeout(30), Endpoint(answer) as server:
            workflow = flow(providers={"sim": Provider(server.url)}, store=tmp_path / "runs.db")
            async with workflow.stream("Tell of the sea", plan=PLAN) as events:
                run = await events.finished()
            assert run.parsed == Verdict(summary="fine", score=7)
            async with workflow.replay(run.id) as told:
                assert (await told.finished()).parsed == run.parsed
                assert told.differences == []
            plain = flow(providers={"sim": Provider(server.url)}, store=tmp_path / "runs.db", answer=SCHEMA)
            async with plain.replay(run.id) as told:
                assert (await told.finished()).parsed == {"summary": "three", "score": 3}
                assert told.differences == ["the answer is another one"]

    asyncio.run(main())
