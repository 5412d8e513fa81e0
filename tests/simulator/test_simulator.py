"""The simulator in the process: what it says, how fast, and what goes wrong when it is told to."""

import asyncio
import calendar
import contextlib
import datetime as dt
import json
import re
import subprocess
import sys
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stretto import Fault, Limits, Message, Result, Role, RoleName, Simulator, Subtask, Workflow, prompts
from stretto.calls import Call, Done, Sent, Text, Urgency, fingerprint
from stretto.errors import (
    AuthError,
    CallError,
    CallTimeout,
    ConfigError,
    ConnectError,
    CutError,
    EmptyReply,
    QuotaError,
    RateLimited,
    ReplyError,
    RequestError,
    ServerError,
    WorkError,
)
from stretto.models.simulator import KINDS, SimulatedModel, SimulatedProvider, parse_fault
from stretto.models.simulator.reading import role_of
from stretto.models.simulator.settings import duration
from stretto.models.simulator.writing import pieces
from stretto.plan.book import rest_request
from stretto.plan.form import Form, plan_schema, size_lines
from stretto.plan.reader import PlanReader
from stretto.types import Request

LEAP = "Write a program that prints the next 20 leap years."
TEA = "Write an overview of how tea came to Europe."
WORKERS = {"plan": Role("sim:default"), "code/solve": Role("sim:default"), "test": Role("sim:default")}


class VirtualLoop(asyncio.SelectorEventLoop):
    """A loop whose clock jumps to the next timer instead of waiting for it."""

    def __init__(self) -> None:
        super().__init__()
        self._virtual = 0.0
        selector: Any = self._selector  # type: ignore[attr-defined]
        really_select: Callable[[float | None], Any] = selector.select

        def select(timeout: float | None) -> Any:
            self._virtual += timeout or 0.0
            return really_select(0)

        selector.select = select

    def time(self) -> float:
        return self._virtual


T = TypeVar("T")


def virtually(main: Coroutine[Any, Any, T]) -> T:
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)


def orchestrator(
    task: str, *, workers: dict[str, Role] = WORKERS, schema: bool = True, model: str = "sim:x"
) -> Request:
    values = {"task": task, "workers": prompts.worker_lines(workers), "max_subtasks": "64", "sizes": size_lines(64)}
    form = plan_schema(workers, 64, Form(sized=True, needs=True))
    text = prompts.fill(prompts.text("orchestrator"), values)
    if schema:
        return Request(model, (Message("user", text),), schema=form)
    told = f"{text}\nReply with one JSON object that fits this JSON schema:\n{msgspec.json.encode(form).decode()}"
    return Request(model, (Message("user", told),))


def worker(task: str, type_: str, description: str, **options: Any) -> Request:
    values = {"original_task": task, "task_type": type_, "task_description": description, "needs": ""}
    return Request("sim:x", (Message("user", prompts.fill(prompts.text("worker"), values)),), options=options)


def synthesizer(task: str, outcomes: list[tuple[Subtask, Result]]) -> Request:
    subtasks = [subtask for subtask, _ in outcomes]
    results = {subtask.id: result for subtask, result in outcomes}
    text = prompts.results_text(subtasks, results, "complete")
    filled = prompts.fill(prompts.text("synthesizer"), {"task": task, "worker_responses": text})
    return Request("sim:x", (Message("user", filled),))


def repair(request: Request, known: list[Subtask]) -> Request:
    asked = (*request.messages, Message("assistant", "{"), Message("user", rest_request(known)))
    return msgspec.structs.replace(request, messages=asked)


def call(request: Request, *, stream: bool = True) -> Call:
    return Call("c1", "r1", "worker", None, request, fingerprint(request), stream, Urgency(0))


async def listen(model: SimulatedModel, request: Request, *, stream: bool = True) -> tuple[list[str], Done]:
    chunks = [chunk async for chunk in model.stream(call(request, stream=stream))]
    assert isinstance(chunks[0], Sent)
    assert isinstance(chunks[-1], Done)
    return [chunk.text for chunk in chunks if isinstance(chunk, Text)], chunks[-1]


def ask(request: Request, simulator: Simulator | None = None, *, name: str = "instant", stream: bool = True) -> str:
    model = SimulatedProvider(simulator).connect(name)
    return "".join(asyncio.run(listen(model, request, stream=stream))[0])


def outcomes(simulator: Simulator, request: Request, times: int) -> list[str]:
    """What each of several askings of one request comes to: `said`, or the class of the error."""

    async def main() -> list[str]:
        model = SimulatedProvider(simulator).connect("default")
        seen = []
        for _ in range(times):
            try:
                await listen(model, request)
                seen.append("said")
            except CallError as error:
                seen.append(type(error).__name__)
        return seen

    return virtually(main())


def tasks_of(text: str) -> list[dict[str, Any]]:
    return list(json.loads(text)["tasks"])


# What it says


def test_the_same_seed_and_request_give_the_same_text_whoever_asks_and_however_often() -> None:
    request = worker(TEA, "plan", "Describe the routes by sea")

    async def main() -> tuple[str, str]:
        model = SimulatedProvider(Simulator(seed=7)).connect("instant")
        first, second = await listen(model, request), await listen(model, request, stream=False)
        return "".join(first[0]), "".join(second[0])

    first, second = asyncio.run(main())
    assert first == second == ask(request, Simulator(seed=7)) == ask(request, Simulator(seed=7), name="fast")


def test_another_seed_option_or_sample_gives_another_text() -> None:
    request = worker(TEA, "plan", "Describe the routes by sea")
    other = [
        ask(request, Simulator(seed=2)),
        ask(msgspec.structs.replace(request, sample=1)),
        ask(worker(TEA, "plan", "Describe the routes by sea", temperature=0.1)),
    ]
    assert len({ask(request), *other}) == 4


@pytest.mark.parametrize("schema", [True, False])
def test_a_plan_is_valid_and_uses_the_worker_types_there_are(schema: bool) -> None:
    plans = [tasks_of(ask(orchestrator(f"{TEA} ({n})", schema=schema))) for n in range(20)]
    for tasks in plans:
        assert 3 <= len(tasks) <= 6
        assert {task["type"] for task in tasks} <= set(WORKERS)
        assert len({task["description"] for task in tasks}) == len(tasks)
        assert all("tea" in task["description"] and not task.get("needs") for task in tasks)
    assert len({len(tasks) for tasks in plans}) > 1


def test_a_plan_fits_the_schema_that_pydantic_writes_for_the_cookbook() -> None:
    task = {
        "type": "object",
        "properties": {"type": {"enum": ["draft", "proof"]}, "description": {"type": "string"}},
        "required": ["type", "description"],
    }
    schema = {
        "$defs": {"Task": task},
        "properties": {
            "analysis": {"type": "string"},
            "tasks": {"type": "array", "items": {"$ref": "#/$defs/Task"}, "maxItems": 2},
        },
    }
    request = Request("sim:x", (Message("user", f"Break this down.\n\nTask: {TEA}\n"),), schema=schema)
    tasks = tasks_of(ask(request))
    assert [task["type"] for task in tasks] == ["draft", "proof"]
    assert all(set(task) == {"type", "description"} for task in tasks)


def test_a_disobedient_orchestrator_plans_exactly_as_many_subtasks_as_the_task_says() -> None:
    tasks = tasks_of(ask(orchestrator("Describe tea in 10000 subtasks.")))
    assert len({task["description"] for task in tasks}) == 10_000


def test_needs_are_planned_only_when_asked_for_and_only_earlier_ones() -> None:
    tasks = tasks_of(ask(orchestrator("Describe tea in 30 subtasks with needs.")))
    needed = [(task["id"], need) for task in tasks for need in task.get("needs", [])]
    assert needed
    assert all(int(need[1:]) < int(id_[1:]) for id_, need in needed)


@pytest.mark.parametrize("schema", [True, False])
@pytest.mark.parametrize("task", [LEAP, TEA, "Describe tea in 40 subtasks."])
def test_the_rest_of_a_plan_is_what_the_same_plan_has_beyond_what_is_under_way(task: str, schema: bool) -> None:
    request = orchestrator(task, schema=schema)
    whole = tasks_of(ask(request))
    known = [Subtask(f"other{n}", t["type"], t["description"]) for n, t in enumerate(whole[::2])]
    assert tasks_of(ask(repair(request, known))) == whole[1::2]
    assert tasks_of(ask(repair(request, []))) == whole


def test_lengths_of_workers_have_a_heavy_tail() -> None:
    provider = SimulatedProvider(Simulator())
    model = provider.connect("instant")

    async def main() -> list[int]:
        replies = [await listen(model, worker(TEA, "plan", f"Describe port {n}"), stream=False) for n in range(600)]
        return sorted(done.usage.output_tokens for _, done in replies if done.usage)

    lengths = asyncio.run(main())
    assert 110 < lengths[300] < 200
    assert lengths[-6] > 4 * lengths[300]


def test_an_answer_lists_the_results_and_repeats_what_is_missing() -> None:
    good = Subtask("t1", "history", "The history"), Result("t1", "done", "## Ships\n\nThey came by sea.")
    bad = Subtask("t2", "prices", "The prices"), Result("t2", "failed", error="500: down")
    text = ask(synthesizer(TEA, [good, bad]))
    assert "## history: Ships" in text
    assert "They came by sea." in text
    assert text.endswith("Missing:\n- prices: The prices (failed: 500: down)\n")


def test_an_answer_about_leap_years_is_built_only_from_the_parts_that_are_there() -> None:
    good = Subtask("t1", "plan", "…"), Result("t1", "done", "## Plan")
    bad = Subtask("t2", "code/solve", "Write it"), Result("t2", "failed", error="500: down")
    text = ask(synthesizer(LEAP, [good, bad]))
    assert "```python" not in text
    assert "Missing:\n- code/solve: Write it (failed: 500: down)" in text


@pytest.mark.parametrize(
    ("types", "planned"),
    [
        (("plan", "code/solve", "test"), ["plan", "code/solve", "test"]),
        (("test", "code/solve"), ["code/solve", "test"]),
        (("general",), ["general", "general", "general"]),
        (("research", "write", "other"), ["research", "write"]),
        (("plan", "general"), ["plan", "general", "general"]),
    ],
)
def test_the_leap_year_plan_has_a_plan_a_program_and_a_test_for_the_workers_there_are(
    types: tuple[str, ...], planned: list[str]
) -> None:
    tasks = tasks_of(ask(orchestrator(LEAP, workers={name: Role("sim:x") for name in types})))
    assert [task["type"] for task in tasks] == planned


def program_in(text: str) -> str:
    found = re.search(r"```python\n(.*?)```", text, re.DOTALL)
    assert found
    return found[1]


def leap_year_texts() -> list[str]:
    """The program as the worker for code gives it, as a worker without a speciality does, and as the answer does."""
    general = tasks_of(ask(orchestrator(LEAP, workers={"general": Role("sim:x")})))
    parts = [(Subtask(t, t, "…"), Result(t, "done", "…")) for t in WORKERS]
    return [
        ask(worker(LEAP, "code/solve", "Do it")),
        ask(worker(LEAP, general[1]["type"], general[1]["description"])),
        ask(synthesizer(LEAP, parts)),
        ask(Request("sim:x", (Message("user", LEAP),))),
    ]


@pytest.mark.parametrize("which", range(4))
def test_the_leap_year_program_runs_and_prints_the_next_20(which: int) -> None:
    code = program_in(leap_year_texts()[which])
    before = dt.datetime.now().astimezone().year
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    after = dt.datetime.now().astimezone().year
    expected = [[y for y in range(year + 1, year + 100) if calendar.isleap(y)][:20] for year in (before, after)]
    assert [int(line) for line in ran.stdout.splitlines()] in expected


def test_the_leap_year_test_plan_is_right_about_every_year_it_names() -> None:
    text = ask(worker(LEAP, "test", "Write the test plan"))
    verdicts = re.findall(r"^\| (\d{4}) \| (yes|no) \|", text, re.MULTILINE)
    assert {"1900", "2000", "2024", "2100"} <= {year for year, _ in verdicts}
    assert all(calendar.isleap(int(year)) == (verdict == "yes") for year, verdict in verdicts)
    assert "2096 -> 2104" in text


def test_no_text_says_that_it_is_simulated_but_every_reply_is_marked() -> None:
    requests = [orchestrator(LEAP), orchestrator(TEA), worker(LEAP, "plan", "…"), worker(TEA, "plan", "…")]
    for request in requests:
        text, done = asyncio.run(listen(SimulatedProvider().connect("instant"), request))
        assert "simulat" not in "".join(text).lower()
        assert done.simulated
        assert done.model == "sim:instant"
        assert done.request_id


@pytest.mark.parametrize(
    ("request_", "role"),
    [
        (orchestrator(TEA), "orchestrator"),
        (orchestrator(TEA, schema=False), "orchestrator"),
        (worker(TEA, "plan", "…"), "worker"),
        (synthesizer(TEA, [(Subtask("t1", "x", "…"), Result("t1", "done", "…"))]), "synthesizer"),
        (synthesizer(TEA, [(Subtask("t1", "x", "…"), Result("t1", "failed", error="…"))]), "synthesizer"),
        (repair(orchestrator(TEA), []), "orchestrator"),
        (Request("sim:x", (Message("user", "Hello"),)), "worker"),
    ],
)
def test_the_role_of_a_request_is_read_from_its_content(request_: Request, role: RoleName) -> None:
    assert role_of(request_) == role


@given(st.text())
def test_pieces_joined_are_the_text(text: str) -> None:
    assert "".join(pieces(text)) == text


# How fast


def test_pieces_come_on_schedule_and_the_whole_reply_takes_as_long_as_its_last_piece() -> None:
    simulator = Simulator(ttft=0.5, ttft_spread=0, tokens_per_second=20)
    request = worker(TEA, "plan", "Describe the routes by sea")

    async def main() -> None:
        loop = asyncio.get_running_loop()
        model, start = SimulatedProvider(simulator).connect("default"), loop.time()
        stream = model.stream(call(request))
        times = [loop.time() - start async for chunk in stream if isinstance(chunk, Text)]
        assert times == pytest.approx([0.5 + i / 20 for i in range(len(times))])
        again = loop.time()
        said, done = await listen(model, request, stream=False)
        assert len(said) == 1
        assert done.usage
        assert loop.time() - again == pytest.approx(0.5 + len(times) / 20)
        assert done.usage.output_tokens == len(times)

    virtually(main())


def test_a_late_reader_gets_the_pieces_that_are_due_at_once_and_then_goes_on_by_the_schedule() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        simulator = Simulator(ttft=0, tokens_per_second=10)
        stream = SimulatedProvider(simulator).connect("default").stream(call(worker(TEA, "plan", "Describe ports")))
        texts = []
        async for chunk in stream:
            if isinstance(chunk, Text):
                texts.append((round(loop.time(), 6), len(pieces(chunk.text))))
                if len(texts) == 1:
                    await asyncio.sleep(1.05)
        assert texts[:3] == [(0.0, 1), (1.05, 10), (1.1, 1)]

    virtually(main())


def test_latency_differs_from_asking_to_asking_but_is_the_same_in_every_run() -> None:
    async def main() -> list[float]:
        loop = asyncio.get_running_loop()
        model = SimulatedProvider(Simulator(seed=3)).connect("default")
        took = []
        for _ in range(3):
            start = loop.time()
            await listen(model, worker(TEA, "plan", "Describe ports"))
            took.append(loop.time() - start)
        return took

    first = virtually(main())
    assert len({round(seconds, 6) for seconds in first}) == 3
    assert first == virtually(main())


def test_fast_is_ten_times_as_fast_and_any_other_name_is_as_default() -> None:
    async def main(name: str) -> float:
        await listen(SimulatedProvider().connect(name), worker(TEA, "plan", "Describe ports"))
        return asyncio.get_running_loop().time()

    took = {name: virtually(main(name)) for name in ("default", "fast", "instant", "gpt-9")}
    assert took["default"] == took["gpt-9"] == pytest.approx(10 * took["fast"])
    assert took["instant"] == 0


def test_max_tokens_cuts_the_reply_and_says_so() -> None:
    for name in ("max_tokens", "max_completion_tokens"):
        request = worker(TEA, "plan", "Describe ports", **{name: 10})
        said, done = asyncio.run(listen(SimulatedProvider().connect("instant"), request))
        assert (len(pieces("".join(said))), done.finish) == (10, "length")
        assert done.usage
        assert done.usage.output_tokens == 10


# What goes wrong


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("429", RateLimited),
        ("quota", QuotaError),
        ("401", AuthError),
        ("400", RequestError),
        ("404", RequestError),
        ("500", ServerError),
        ("503", ServerError),
        ("529", ServerError),
        ("reset", ConnectError),
        ("disconnect", CutError),
        ("silence", CutError),
        ("empty", EmptyReply),
        ("html", ReplyError),
    ],
)
def test_a_fault_raises_the_typed_error_once_and_then_the_same_text_comes(kind: str, error: type[CallError]) -> None:
    request = worker(TEA, "plan", "Describe ports")
    seen = outcomes(Simulator(faults=(parse_fault(f"{kind} once"),)), request, 3)
    assert seen == [error.__name__, "said", "said"]


def test_faults_with_times_take_their_turns() -> None:
    faults = tuple(parse_fault(text) for text in ("429 twice", "disconnect once", "500 once role=orchestrator"))
    seen = outcomes(Simulator(faults=faults), worker(TEA, "plan", "Describe ports"), 4)
    assert seen == ["RateLimited", "RateLimited", "CutError", "said"]


def test_a_rate_hits_its_share_of_the_requests_and_always_the_same_ones() -> None:
    simulator = Simulator(seed=1, faults=(Fault("500", rate=0.1),), length=10, grain="line")
    hits = [outcomes(simulator, worker(TEA, "plan", f"Describe port {n}"), 1) for n in range(300)]
    assert 15 <= sum(hit == ["ServerError"] for hit in hits) <= 50
    assert hits == [outcomes(simulator, worker(TEA, "plan", f"Describe port {n}"), 1) for n in range(300)]


def test_a_fault_concerns_only_the_role_and_the_text_it_names() -> None:
    simulator = Simulator(faults=(parse_fault('500 always role=worker match="port 3"'),))
    assert outcomes(simulator, worker(TEA, "plan", "Describe port 3"), 2) == ["ServerError", "ServerError"]
    assert outcomes(simulator, worker(TEA, "plan", "Describe port 4"), 1) == ["said"]
    assert outcomes(simulator, orchestrator("Describe port 3"), 1) == ["said"]


def test_a_429_says_how_long_to_wait() -> None:
    model = SimulatedProvider(Simulator(faults=(parse_fault("429 once retry_after=2.5"),))).connect("instant")
    with pytest.raises(RateLimited, match="sim:instant: 429") as caught:
        asyncio.run(listen(model, worker(TEA, "plan", "…")))
    assert caught.value.retry_after == 2.5


def test_a_disconnect_comes_in_the_middle_and_a_silence_lasts_as_long_as_it_should() -> None:
    async def main() -> tuple[int, float]:
        simulator = Simulator(faults=(Fault("silence", seconds=50),), ttft=0)
        said = 0

        async def listen_in() -> None:
            nonlocal said
            async for chunk in SimulatedProvider(simulator).connect("instant").stream(call(orchestrator(TEA))):
                said += len(chunk.text) if isinstance(chunk, Text) else 0

        with pytest.raises(CutError):
            await listen_in()
        return said, asyncio.get_running_loop().time()

    said, took = virtually(main())
    assert said == pytest.approx(len(ask(orchestrator(TEA))) / 2, abs=20)
    assert took == 50


def test_a_malformed_plan_is_complete_but_every_second_subtask_is_broken() -> None:
    request = orchestrator("Describe tea in 8 subtasks.")
    text = ask(request, Simulator(faults=(Fault("malformed", times=1),)))
    lines = [line.strip().rstrip(",") for line in text.splitlines() if line.strip().startswith('{"id"')]
    broken = []
    for line in lines:
        try:
            json.loads(line)
        except ValueError:
            broken.append(line)
    assert (len(lines), len(broken)) == (8, 4)
    assert text.endswith("]\n}\n")


@pytest.mark.parametrize("task", [LEAP, TEA, "Describe tea in 8 subtasks."])
def test_a_truncated_plan_ends_inside_a_subtask_after_some_were_closed(task: str) -> None:
    request = orchestrator(task)
    model = SimulatedProvider(Simulator(faults=(Fault("truncated", times=1),))).connect("instant")
    said, done = asyncio.run(listen(model, request))
    text = "".join(said)
    assert done.finish == "length"
    assert ask(request).startswith(text)
    assert text.rindex("{") > text.rindex("}")


def test_a_request_for_the_rest_is_no_first_asking() -> None:
    request = orchestrator(TEA)
    simulator = Simulator(faults=(parse_fault("truncated once"),))
    whole = tasks_of(ask(request))
    assert tasks_of(ask(repair(request, []), simulator)) == whole


def test_a_plan_can_come_in_a_fence_or_be_no_plan_at_all() -> None:
    request = orchestrator(TEA)
    fenced = ask(request, Simulator(faults=(Fault("fenced"),)))
    assert not fenced.startswith("`")
    assert fenced.split("```json\n")[1].split("```")[0] == ask(request)
    assert "{" not in ask(request, Simulator(faults=(Fault("prose"),)))
    assert ask(worker(TEA, "plan", "…"), Simulator(faults=(Fault("prose"),))) == ask(worker(TEA, "plan", "…"))


@pytest.mark.parametrize("kind", ["429", "500", "reset"])
def test_a_fault_that_lasts_ends_so_many_seconds_after_the_first_request_it_concerns(kind: str) -> None:
    simulator = Simulator(ttft=0, faults=(parse_fault(f"{kind} for=20s role=worker"),))

    async def main() -> list[str]:
        model, seen = SimulatedProvider(simulator).connect("instant"), []
        for second, request in enumerate([orchestrator(TEA), *(worker(TEA, "plan", f"Port {n}") for n in range(4))]):
            await asyncio.sleep(9)
            try:
                await listen(model, request)
                seen.append(f"{second}: said")
            except CallError as error:
                seen.append(f"{second}: {type(error).__name__}")
        return seen

    name = {"429": "RateLimited", "500": "ServerError", "reset": "ConnectError"}[kind]
    assert virtually(main()) == ["0: said", f"1: {name}", f"2: {name}", f"3: {name}", "4: said"]


def test_a_trickle_says_a_piece_a_second_and_never_finishes() -> None:
    async def main() -> tuple[list[float], str]:
        loop, times, said = asyncio.get_running_loop(), [], ""
        model = SimulatedProvider(Simulator(ttft=0, faults=(Fault("trickle"),))).connect("default", timeout=900)
        with pytest.raises(CallTimeout):
            async for chunk in model.stream(call(orchestrator(TEA))):
                if isinstance(chunk, Text):
                    times.append(loop.time())
                    said += chunk.text
        return times, said

    times, said = virtually(main())
    assert times == pytest.approx(range(901))
    assert said.rstrip() == ask(orchestrator(TEA)).rstrip()


@pytest.mark.parametrize("stream", [True, False])
def test_a_trickle_that_nobody_gives_up_breaks_off_when_its_time_is_over(stream: bool) -> None:
    async def main() -> float:
        faults = (parse_fault("trickle every=500ms seconds=1m30s"),)
        model = SimulatedProvider(Simulator(ttft=0, faults=faults)).connect("default")
        with pytest.raises(CutError):
            await listen(model, worker(TEA, "plan", "Describe ports"), stream=stream)
        return asyncio.get_running_loop().time()

    assert virtually(main()) == pytest.approx(90, abs=0.5)


def test_a_reply_of_another_form_is_valid_json_but_no_plan() -> None:
    simulator = Simulator(faults=(Fault("schema"),))
    reply = ask(orchestrator(TEA), simulator)
    assert "tasks" not in json.loads(reply)
    reader = PlanReader(WORKERS)
    assert [*reader.feed(reply), *reader.end(), reader.state] == ["absent"]
    request = worker(TEA, "plan", "Describe ports")
    assert json.loads(ask(request, simulator)) == {"result": ask(request)}


@pytest.mark.parametrize(("fault", "size"), [("huge", 10_000_000), ("huge size=300KB", 300_000), ("huge size=1", 0)])
@pytest.mark.parametrize("asked", [orchestrator(TEA), worker(TEA, "plan", "Describe ports", max_tokens=1000)])
def test_a_huge_reply_is_finished_and_as_long_as_it_should_be(asked: Request, fault: str, size: int) -> None:
    usual = ask(asked)
    model = SimulatedProvider(Simulator(faults=(parse_fault(fault),))).connect("default")
    said, done = virtually(listen(model, asked))
    text = "".join(said)
    assert text.startswith(usual)
    assert len(text.encode()) == max(size, len(usual.encode()))
    assert done.finish == "stop"
    assert done.usage
    assert done.usage.output_tokens >= size / 4


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("429 once", Fault("429", times=1)),
        ("429 for=20s", Fault("429", lasts=20)),
        ("reset for=1m30s once", Fault("reset", times=1, lasts=90)),
        ("500 for=2.5", Fault("500", lasts=2.5)),
        ("trickle every=50ms seconds=1h", Fault("trickle", every=0.05, seconds=3600)),
        ("huge size=1.5mb", Fault("huge", size=1_500_000)),
        ("500 always role=worker", Fault("500", role="worker")),
        ("429 times=3 retry_after=2", Fault("429", times=3, retry_after=2)),
        ("disconnect rate=0.1 match=t3", Fault("disconnect", rate=0.1, match="t3")),
        ("silence seconds=5 match='two words'", Fault("silence", seconds=5, match="two words")),
    ],
)
def test_a_fault_is_written_in_words(text: str, fault: Fault) -> None:
    assert parse_fault(text) == fault


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("429 onec", ["onec", "once", "rate="]),
        ("boom once", ["boom", *KINDS]),
        ("200", ["200", "429"]),
        ("429 times=many", ["times=many"]),
        ("429 times=0", ["times", "1 or more"]),
        ("429 for=soon", ["for=soon", "20s"]),
        ("429 for=20x", ["for=20x", "20s"]),
        ("429 for=0s", ["for", "more than 0"]),
        ("429 for=inf", ["for", "finite"]),
        ("429 for=-1", ["for", "more than 0"]),
        ("429 fro=20s", ["fro=20s", "for="]),
        ("429 retry_after=nan", ["retry_after", "finite"]),
        ("silence seconds=-1", ["seconds", "0 or more"]),
        ("trickle every=0", ["every", "more than 0"]),
        ("huge size=10TB", ["size=10TB", "10MB"]),
        ("huge size=0", ["size", "more than 0"]),
        ("429 rate=2", ["rate", "from 0 to 1"]),
        ("429 role=wroker", ["wroker", "worker"]),
        ("", ["kind"]),
        ('429 match="x', ["quotes"]),
    ],
)
def test_a_word_that_no_fault_knows_is_named_beside_the_valid_ones(text: str, names: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_fault(text)
    assert all(name in str(caught.value) for name in names)


def test_settings_that_cannot_work_are_refused() -> None:
    for bad in ({"rpm": 0}, {"tokens_per_second": -1}, {"ttft": float("nan")}, {"burst": -1}, {"length": 0}):
        with pytest.raises(ConfigError, match=next(iter(bad))):
            Simulator(**bad)


# Limits and counts


def test_who_waits_as_long_as_a_429_says_is_let_in() -> None:
    async def main() -> tuple[int, float]:
        loop = asyncio.get_running_loop()
        provider = SimulatedProvider(Simulator(rpm=60, burst=1))
        for n in range(5):
            request = worker(TEA, "plan", f"Describe port {n}")
            try:
                await listen(provider.connect("instant"), request)
            except RateLimited as error:
                await asyncio.sleep(error.retry_after or 0)
                await listen(provider.connect("fast"), request, stream=False)
        return provider.refused, loop.time()

    refused, took = virtually(main())
    assert refused == 4
    assert took == pytest.approx(4, abs=3)


def test_tokens_of_prompt_and_reply_count_and_a_refused_request_counts_as_never_asked() -> None:
    async def main() -> None:
        provider = SimulatedProvider(
            Simulator(tpm=600, burst=10, length=400, length_spread=0, faults=(Fault("500", 1),))
        )
        first, second = worker(TEA, "plan", "Describe port 1"), worker(TEA, "plan", "Describe port 2")
        with pytest.raises(ServerError):
            await listen(provider.connect("instant"), first)
        with pytest.raises(RateLimited, match="600 tokens per min") as caught:
            await listen(provider.connect("instant"), second)
        assert provider.asked == {fingerprint(first): 1}
        await asyncio.sleep(caught.value.retry_after or 0)
        with pytest.raises(ServerError):
            await listen(provider.connect("instant"), second)

    virtually(main())


def test_what_was_completed_is_counted_only_with_its_finish_and_only_with_a_text() -> None:
    faults = tuple(parse_fault(f"{kind} once") for kind in ("500", "reset", "disconnect", "empty", "truncated"))
    request = worker(TEA, "plan", "Describe ports")

    async def main() -> list[int]:
        provider = SimulatedProvider(Simulator(faults=faults))
        counts = []
        for _ in range(6):
            with contextlib.suppress(CallError):
                await listen(provider.connect("instant"), request)
            counts.append(provider.completed[fingerprint(request)])
        return counts

    assert virtually(main()) == [0, 0, 0, 0, 1, 2]


def test_a_call_that_is_given_up_is_counted_and_one_read_to_its_end_is_not() -> None:
    async def main() -> None:
        provider = SimulatedProvider()
        model = provider.connect("default")
        reading = asyncio.create_task(listen(model, worker(TEA, "plan", "…")))
        await asyncio.sleep(1)
        assert (provider.in_flight, provider.max_in_flight) == (1, 1)
        reading.cancel()
        await asyncio.wait([reading])
        stream = model.stream(call(worker(TEA, "plan", "…")))
        async for chunk in stream:
            if isinstance(chunk, Done):
                break
        await stream.aclose()
        assert (provider.in_flight, provider.cancelled) == (0, 1)

    virtually(main())


@pytest.mark.parametrize(("seconds", "written"), [(0.12, "120ms"), (8.64, "8.64s"), (360, "6m0s"), (0, "0ms")])
def test_durations_are_written_as_providers_write_them(seconds: float, written: str) -> None:
    assert duration(seconds) == written


def test_the_simulator_in_the_process_does_not_load_aiohttp() -> None:
    code = "import sys, stretto.models.simulator; print('aiohttp' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "False"


def test_silence_lasts_no_longer_than_a_call_may() -> None:
    silent = Simulator(ttft=0, tokens_per_second=1e6, faults=(Fault("silence", role="worker"),))
    flow = Workflow("sim:x", {"a": "sim:x"}, "sim:x", limits=Limits(timeout=0.2, attempts=1), providers={"sim": silent})
    with pytest.raises(WorkError, match="did not finish within the time of one call"):
        flow.run_sync("Describe tea in 3 subtasks")
