"""What people write first: scripts, web routes and threads, and the mistakes they make."""

import ast
import asyncio
import json
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from decimal import Context, Decimal, Inexact, localcontext
from multiprocessing import get_context
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from msgspec import Struct
from pydantic import BaseModel

from forked import python, python_begun
from stretto import Fault, Limits, Memory, Price, Provider, Role, Run, Simulator, Workflow, read_inputs, schema_of
from stretto.errors import ConfigError, ConnectError, MissingKey, StrettoError
from stretto.store.sqlite import Store
from stretto.types import Definition, limits, workflows
from terminal import served

TASK = "Describe three teas."
INSTANT = Simulator(ttft=0, tokens_per_second=1e6)


def flow(**facts: Any) -> Workflow:
    return Workflow("sim:o", {"part": "sim:w"}, "sim:s", providers={"sim": INSTANT}, **facts)


class Tea(BaseModel):
    """What a typed answer is here."""

    name: str


@dataclass
class Leaf:
    """Another kind of type."""

    name: str


def test_an_error_of_the_first_script_is_one_exception_without_the_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(MissingKey, match="OPENAI_API_KEY, or choose another model") as caught:
        Workflow("openai:gpt-4o", {"part": "openai:gpt-4o"}).run_sync(TASK)
    told = "".join(traceback.format_exception(caught.value))
    assert told.count("Traceback") == 1
    assert "During handling" not in told
    assert "-m" not in str(caught.value)
    assert frames_of(caught.value) == []


@pytest.mark.parametrize(
    "mistake",
    [
        lambda: Workflow("sim:o", {"part": "nobody:w"}),
        lambda: Workflow("sim:o", {"part": Role("sim:w", "{what}")}),
        lambda: Workflow.from_toml("slove"),
        lambda: Workflow.from_toml("general", model="gpt"),
        lambda: Limits(budget="a lot"),
        lambda: flow().stream(""),
        lambda: read_inputs("nowhere.md"),
        lambda: schema_of(int),
        lambda: read_inputs(["notes.md"]),  # type: ignore[arg-type]
        lambda: flow().plan(TASK, inputs=[3]),  # type: ignore[list-item]
        lambda: flow().plan(TASK, inputs="notes.md"),  # type: ignore[arg-type]
        lambda: flow().plan(TASK, inputs=Path("notes.md")),  # type: ignore[arg-type]
        lambda: flow().stream(TASK, plan=["one", "two"]),  # type: ignore[arg-type]
        lambda: Workflow("sim:o", {"part": "sim:w"}, limits=Limits(parallel="8")),  # type: ignore[arg-type]
        lambda: flow().resume("01K9ZQ4T"),
        lambda: flow().replay("01K9ZQ4T"),
    ],
)
def test_a_mistake_is_told_at_the_line_that_makes_it(mistake: Callable[[], object]) -> None:
    with pytest.raises(StrettoError) as caught:
        mistake()
    assert frames_of(caught.value) == ["<lambda>"]
    assert "".join(traceback.format_exception(caught.value)).count("Traceback") == 1


def frames_of(error: BaseException) -> list[str]:
    """The functions that a traceback shows below the test itself."""
    return [frame.name for frame in traceback.extract_tb(error.__traceback__)][1:]


def test_an_error_in_a_stream_has_no_frames_of_the_engine() -> None:
    async def main() -> str:
        nobody = Provider("http://127.0.0.1:9/v1", local=True)
        alone = Workflow("x:m", {"part": "x:m"}, providers={"x": nobody}, limits=Limits(attempts=1))
        with pytest.raises(ConnectError) as caught:
            await alone.run(TASK)
        return "".join(traceback.format_exception(caught.value))

    told = asyncio.run(main())
    assert told.count("Traceback") == 1
    assert "engine" not in told
    assert "policies" not in told


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"limits": {"paralel": 3}}, r"limits: there is no 'paralel'; did you mean 'parallel'\?"),
        ({"limits": 3}, r"limits: must be Limits\(parallel=…\) or a mapping of the same, not 3"),
        ({"memory": "store"}, r"memory: must be Memory\(reuse=…\) or a mapping of the same, not 'store'"),
        ({"memory": {"keep": "all"}}, "memory: there is no 'keep'; there are reuse, "),
    ],
)
def test_what_is_no_limit_is_told_with_what_is_wanted(facts: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        flow(**facts)


@pytest.mark.parametrize("workers", [["sim:w"], "sim:w", None])
def test_workers_without_types_are_told_what_is_wanted(workers: Any) -> None:
    with pytest.raises(ConfigError, match=r"workers: must map types of subtasks to who does them"):
        Workflow("sim:o", workers)


def test_whoever_is_no_role_is_told_what_is_wanted() -> None:
    with pytest.raises(ConfigError, match=r"synthesizer: must be a Role or the name of a model \(openai:gpt-4o\), not"):
        Workflow("sim:o", {"part": "sim:w"}, 3)  # type: ignore[arg-type]


def test_limits_and_memory_may_be_mappings() -> None:
    made = flow(limits={"parallel": 3, "budget": "50c"}, memory={"record": "usage"})
    assert made.definition.limits == flow(limits=Limits(parallel=3, budget="50c")).definition.limits
    assert made.definition.memory == Memory(record="usage")


def test_a_limit_is_a_number_from_the_first_moment() -> None:
    assert Limits(budget="50c", tokens="250k", deadline="2m") == Limits(
        budget=Decimal("0.50"), tokens=250_000, deadline=120
    )
    with pytest.raises(
        ConfigError, match=r"limits\.budget: 'a lot' is no amount of US dollars; write 0\.50, \$0\.50 or 50c"
    ):
        Limits(budget="a lot")


@pytest.mark.parametrize("module", [limits, workflows])
def test_type_checkers_are_told_of_the_fields_that_there_are(module: ModuleType) -> None:
    stub = ast.parse(Path(str(module.__file__)).with_suffix(".pyi").read_text())
    classes = [each for each in stub.body if isinstance(each, ast.ClassDef) and not each.name.startswith("_")]
    assert {each.name for each in classes} == {name for name, kind in vars(module).items() if is_struct(kind, module)}
    for told in classes:
        kind = getattr(module, told.name)
        fields = {ast.unparse(each.target): each.value for each in told.body if isinstance(each, ast.AnnAssign)}
        assert tuple(fields) == kind.__struct_fields__
        for made in (each for each in told.body if isinstance(each, ast.FunctionDef) and each.name == "__init__"):
            assert tuple(each.arg for each in made.args.args[1:]) == kind.__struct_fields__
            fields = dict(zip(fields, made.args.defaults, strict=True))
        usual = kind(**({"orchestrator": None, "workers": {}} if kind is Definition else {}))
        given = {name: default for name, default in fields.items() if default and ast.unparse(default) != "..."}
        assert {name: ast.literal_eval(default) for name, default in given.items()} == {
            name: getattr(usual, name) for name in given
        }


def is_struct(kind: object, module: ModuleType) -> bool:
    return isinstance(kind, type) and issubclass(kind, Struct) and kind.__module__ == module.__name__


def test_a_workflow_says_who_does_what() -> None:
    assert repr(flow()) == "<Workflow orchestrator=('sim:o',), workers={'part': ('sim:w',)}, synthesizer=('sim:s',)>"


@pytest.mark.parametrize("answer", [None, Tea, Leaf, {"type": "object", "properties": {"name": {"type": "string"}}}])
def test_a_run_is_data(answer: Any) -> None:
    run = flow(answer=answer).run_sync(TASK)
    data = run.to_dict()
    assert json.loads(run.to_json()) == data == dict(run)
    assert data["answer"] == run.answer
    assert data["parsed"] == (None if answer is None else json.loads(run.answer))


def test_a_run_without_an_answer_says_so_as_data() -> None:
    async def planned() -> Run:
        async with flow().plan(TASK) as events:
            return await events.finished()

    run = asyncio.run(planned())
    assert (run.status, run.answer) == ("interrupted", "")
    assert run.to_dict()["answer"] is None


def test_a_web_route_may_return_a_run() -> None:
    from fastapi import FastAPI  # so long to import that only whoever runs this does
    from fastapi.encoders import jsonable_encoder

    app = FastAPI()

    @app.get("/typed")
    async def typed() -> Run:
        return await flow().run(TASK)

    @app.get("/shaped")
    async def shaped() -> Run[Tea]:
        return await flow(answer=Tea).run(TASK)

    @app.get("/untyped", response_model=None)
    async def untyped() -> Any:
        return await flow().run(TASK)

    for path in ("/typed", "/shaped", "/untyped"):
        told = json.loads(asyncio.run(_got(app, path)))
        assert told["status"] == "finished"
        assert told["answer"]
    assert jsonable_encoder(flow().run_sync(TASK))["task"] == TASK


def test_threads_may_each_run_the_same_workflow() -> None:
    ours = flow()
    with ThreadPoolExecutor(4) as threads:
        runs = list(threads.map(lambda number: ours.run_sync(f"{TASK} {number}"), range(8)))
    assert all(run.status == "finished" and run.answer for run in runs)


def test_another_process_may_be_given_a_workflow() -> None:
    ours = flow()
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as processes:
        theirs = processes.submit(ours.run_sync, TASK).result()
    assert theirs.answer == ours.run_sync(TASK).answer


def test_what_is_to_be_awaited_says_how_where_it_is_shown() -> None:
    with pytest.raises(ValueError, match="await them, or outside of asynchronous code take map_sync"):
        asyncio.run(flow().map("Say {item}", ["tea"]))  # type: ignore[arg-type]
    assert "enter with `async with`, or take run" in repr(flow().stream(TASK))


def test_run_takes_what_stream_takes() -> None:
    plan = {"tasks": [{"id": "green", "type": "part", "description": "Describe green tea."}]}
    assert [*flow().run_sync(TASK, plan=plan, fresh="everything").results] == ["green"]


async def _got(app: Any, path: str) -> bytes:
    """What the app says to a GET, by the protocol that every server speaks to it."""
    said: list[bytes] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        assert message.get("status", 200) == 200
        said.append(message.get("body", b""))

    scope = {"type": "http", "method": "GET", "path": path, "raw_path": path.encode(), "query_string": b""}
    await app(
        {**scope, "headers": [], "http_version": "1.1", "scheme": "http", "asgi": {"version": "3.0"}}, receive, send
    )
    return b"".join(said)


def test_money_is_exact_whatever_its_program_reckons_with() -> None:
    def cost() -> Decimal | None:
        price = Price(Decimal("1.2345678"), Decimal("7.6543219"))
        workflow = Workflow("sim:x", {"part": "sim:x"}, "sim:x", providers={"sim": INSTANT}, prices={"sim:x": price})
        return workflow.run_sync(TASK, fresh="everything").cost

    with localcontext(Context(prec=3, traps=[Inexact])):
        rounded = cost()
    assert rounded == cost() is not None


GREENLETS = """
from gevent import monkey; monkey.patch_all()
import gevent, stretto
flow = stretto.Workflow(
    "sim:o", {"part": "sim:w"}, "sim:s", providers={"sim": stretto.Simulator(ttft=0.01, tokens_per_second=1e4)},
)
asked = [gevent.spawn(flow.run_sync, f"Describe tea {n}.") for n in range(3)]
gevent.joinall(asked, raise_error=True)
print(*(job.value.status for job in asked))
"""


def test_greenlets_may_each_run_the_same_workflow() -> None:
    done = subprocess.run([sys.executable, "-c", GREENLETS], capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.stderr) == ("finished finished finished\n", "")


WITHIN = """
import asyncio, nest_asyncio, stretto
nest_asyncio.apply()
flow = stretto.Workflow(
    "sim:o", {"part": "sim:w"}, "sim:s", providers={"sim": stretto.Simulator(ttft=0.01, tokens_per_second=1e4)},
)
async def main():
    print(flow.run_sync("Describe tea.").status, asyncio.run(flow.run("Describe milk.")).status)
asyncio.run(main())
"""


def test_a_loop_that_may_be_run_within_itself_runs_workflows_as_notebooks_do() -> None:
    done = subprocess.run([sys.executable, "-c", WITHIN], capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.stderr) == ("finished finished\n", "")


MAP = """
import asyncio, json, sys
from stretto import Provider, Workflow

flow = Workflow(
    None,
    {"part": "x:m"},
    providers={"x": Provider(sys.argv[1], local=True)},
    store="runs.db",
    memory={"reuse": "store"},
)

async def main():
    with open("out.jsonl", "w") as file:
        async for row in flow.map("Say what number {item} is good for.", range(500)):
            file.write(json.dumps({"item": row.item, "state": row.state, "error": row.error}) + "\\n")
            file.flush()

asyncio.run(main())
"""


def test_a_map_over_500_rows_goes_on_when_the_program_is_run_again(tmp_path: Path) -> None:
    fault = Fault("400", match="number 77 ")
    with served(Simulator(ttft=0.15, tokens_per_second=1e6, faults=(fault,))) as (url, simulated):
        with python_begun("-c", MAP, url, folder=tmp_path, stdout=1) as program:
            while simulated.completed.total() < 150:
                assert program.poll() is None
                time.sleep(0.01)
            program.kill()
        assert (tmp_path / "out.jsonl").read_text().count("\n") < 500
        store = Store(tmp_path / "runs.db")
        recorded = sum(len(store.replies(run.id)) for run in store.recent(500))
        python("-c", MAP, url, folder=tmp_path).check_returncode()
        asked = simulated.asked.values()
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [row["item"] for row in rows] == list(range(500))
    assert [row["item"] for row in rows if row["state"] != "done"] == [77]
    assert "400" in rows[77]["error"]
    assert recorded > 0
    assert len(asked) == 500
    assert sum(count > 1 for count in asked) <= 500 - recorded  # what was not written down when it was killed
