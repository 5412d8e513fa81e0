"""What a store promises wherever it is. Run over a file (tests/store) and over PostgreSQL (tests_cluster).

Whoever runs it has a fixture `where`: the location of a store that is not there yet.
"""

import asyncio
import random
import threading
from collections.abc import Coroutine, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from decimal import Decimal
from io import BytesIO
from subprocess import PIPE
from typing import Any

import msgspec
import pytest

from forked import Child, python_begun
from loops import on_loop
from stores import DAYS, KEY, answered, change, fill, rows
from stretto import Input, Limits, Memory, Price, Role, Simulator, Workflow
from stretto import events as e
from stretto.errors import DayBudgetError, NoStore, RunBusy, RunNotFound, StoreError
from stretto.runs import Run
from stretto.store import idempotency
from stretto.store.checkup import facts, findings
from stretto.store.connecting import connect
from stretto.store.efforts import newest_efforts
from stretto.store.journal import Journal
from stretto.store.known import remember, remembered
from stretto.store.listing import LOOKED_INTO, Wanted
from stretto.store.locations import Location, written
from stretto.store.parcel import read_parcel
from stretto.store.pruning import compact, condemned, prune, size_of, weigh
from stretto.store.recall import Recall
from stretto.store.sqlite import Store
from stretto.store.summary import summary_of
from stretto.store.travel import exported, imported
from stretto.types import Known, Message, Reply, Request

REQUEST, REPLY = Request("sim:x", (Message("user", "tea?"),)), Reply("tea", "stop")
TASK = "Compare tea and coffee in 3 subtasks"
CARRIER = """
import sys
from stretto.errors import RunBusy
from stretto.store.locations import location_of
from stretto.store.sqlite import Store
try:
    with Store(location_of(sys.argv[1])).carrying(sys.argv[2]):
        print("carrying", flush=True)
        sys.stdin.readline()
    print("left", flush=True)
except RunBusy:
    print("busy", flush=True)
"""


def workflow(where: Location, *, simulator: Simulator | None = None, **memory: object) -> Workflow:
    """One that has runs in a store, at once."""
    return Workflow(
        "sim:instant",
        {"part": "sim:instant"},
        "sim:instant",
        store=written(where),
        memory=memory or None,
        providers={"sim": simulator or Simulator()},
    )


def bodies(where: Location) -> list[bytes]:
    """Every event of a store as it stands there."""
    with closing(connect(where, create=False)) as db:
        return [body for (body,) in db.execute("SELECT body FROM events ORDER BY run, seq")]


def stored(where: Location) -> list[int]:
    """The places of every event of a store."""
    with closing(connect(where, create=False)) as db:
        return [seq for (seq,) in db.execute("SELECT seq FROM events ORDER BY run, seq")]


@contextmanager
def another(where: Location, run: str) -> Iterator[Child]:
    """Another process that carries a run, if it may, until it reads a line."""
    with python_begun("-c", CARRIER, str(written(where)), run, stdin=PIPE) as child:
        try:
            yield child
        finally:
            child.kill()


def said(child: Child) -> str:
    """Its next line."""
    assert child.stdout is not None
    return child.stdout.readline().decode().strip()


# -- a run, from its first event to the next who goes on with it


@on_loop
async def test_a_run_is_in_the_store_as_it_was(where: Location) -> None:
    async with workflow(where).stream(TASK, inputs=[Input("notes.txt", "tea is warm")]) as events:
        seen = [event async for event in events]
        run = events.run
    store = Store(where)
    assert [e.encode(event) for event in store.events(run.id)] == [e.encode(event) for event in seen if event.stored]
    assert store.run(run.id).to_json() == run.to_json()
    asked = {event.fingerprint for event in seen if isinstance(event, e.CallFinished)}
    assert set(store.replies(run.id)) == asked
    assert all(record.request and record.reply for record in store.records(run.id).values())
    assert not store.is_carried(run.id)
    assert list(findings(where)) == []
    assert (facts(where).runs, facts(where).form) == (1, 8)


@on_loop
async def test_who_goes_on_with_a_run_pays_nothing_twice(where: Location) -> None:
    stream = workflow(where, simulator=Simulator(ttft=0.01)).stream(TASK)
    async with stream as events:
        async for event in events:
            if isinstance(event, e.SubtaskFinished):
                break
    store = Store(where)
    assert store.run(stream.run_id).status == "interrupted"
    before = {call.fingerprint for call in store.run(stream.run_id).calls if call.finished and not call.finished.error}
    assert before
    async with workflow(where).resume(stream.run_id) as events:
        run = await events.finished()
    assert run.status == "finished"
    paid = [
        call.fingerprint for call in run.calls if call.finished and call.finished.usage and not call.finished.reused
    ]
    assert [key for key in before if paid.count(key) != 1] == []  # what was in flight is asked again
    async with workflow(where).rerun(run.id) as events:
        rerun = await events.finished()
    assert rerun.answer == run.answer
    assert all(call.finished and call.finished.reused for call in rerun.calls)


@on_loop
async def test_what_one_run_was_answered_answers_the_next(where: Location) -> None:
    first = await workflow(where).run(TASK)
    second = await workflow(where, reuse="store").run(TASK)
    assert second.answer == first.answer
    assert all(call.finished and call.finished.reused for call in second.calls)


@on_loop
async def test_of_a_run_that_records_usage_only_no_text_is_left(where: Location) -> None:
    worker = Role("sim:instant", samples=2, merge="best", check="Is it right?")
    asked = Workflow(
        "sim:instant",
        {"part": worker},
        "sim:instant",
        store=written(where),
        memory=Memory(record="usage"),
        providers={"sim": Simulator(doubts=1.0, length=20)},
    )
    notes = [Input("notes.txt", "the secret of the tea is in the water and in the time\n" * 5)]
    run = await asked.run("Compare teas in exactly 3 subtasks", inputs=notes)
    remarks = [one.remark for one in run.coverage.doubtful]
    quotes = [citation.quote for citation in run.citations]
    assert any(remarks)
    assert any(quotes)
    results = [result.text for result in run.results.values()] + [result.remark for result in run.results.values()]
    left = b"\n".join(bodies(where))
    for text in [text for text in (*results, *remarks, *quotes, run.answer) if text]:
        assert msgspec.json.encode(text)[1:-1] not in left
    assert Store(where).replies(run.id) == {}
    assert Store(where).listing()[0].task == ""


@pytest.mark.parametrize(
    "text", ["nul \0 here", "half \ud83d here", "é \U0001f375 \u202e", "'; DROP TABLE events; --", "%s ? $1"]
)
@on_loop
async def test_texts_of_every_kind_are_kept(text: str, where: Location) -> None:
    run = await workflow(where).run(f"{TASK}: {text}")
    kept = Store(where).run(run.id)
    assert (kept.task, kept.answer) == (run.task, run.answer)
    (listed,) = Store(where).listing()
    assert listed.status == "finished"
    assert list(findings(where)) == []


@on_loop
async def test_many_runs_at_once_are_all_there(where: Location) -> None:
    asked = workflow(where)
    runs = await asyncio.gather(*(asked.run(f"{TASK} {n}") for n in range(30)))
    assert {run.run for run in Store(where).listing(Wanted(limit=50))} == {run.id for run in runs}
    assert {run.status for run in Store(where).listing(Wanted(limit=50))} == {"finished"}
    assert [each.name for each in threading.enumerate() if each.name.startswith("stretto")] == []


# -- the journal


def begin(journal: Journal) -> None:
    """Its first event."""
    journal.append(e.RunStarted(task="tea", workflow={}))


@on_loop
async def test_an_event_is_on_the_disk_when_it_is_shown(where: Location) -> None:
    seen: list[bool] = []

    def show(event: e.AnyEvent) -> None:
        seen.append(event.seq in stored(where))

    async with Journal("R", store=where, show=show) as journal:
        begin(journal)
        for n in range(30):
            journal.append(e.SubtaskStarted(subtask=f"t{n}"))
            if n % 7 == 0:
                await asyncio.sleep(0.001)
        await journal.settled()
        assert len(seen) == 31
    assert all(seen)


@on_loop
async def test_settled_means_stored_and_shown(where: Location) -> None:
    shown: list[e.AnyEvent] = []
    async with Journal("R", store=where, show=shown.append) as journal:
        begin(journal)
        await journal.settled()
        assert stored(where) == [1]
        assert [event.seq for event in shown] == [1]


@on_loop
async def test_pieces_of_the_answer_are_shown_in_their_place_and_never_stored(where: Location) -> None:
    shown: list[e.AnyEvent] = []
    async with Journal("R", store=where, show=shown.append) as journal:
        begin(journal)
        journal.append(e.AnswerDelta(text="a"))
        journal.append(e.AnswerDelta(text="b"))
        journal.append(e.SubtaskStarted(subtask="t1"))
        journal.append(e.AnswerDelta(text="c"))
        await journal.settled()
        journal.append(e.AnswerDelta(text="d"))
        assert isinstance(shown[-1], e.AnswerDelta)
    told = [event.text if isinstance(event, e.AnswerDelta) else event.seq for event in shown]
    assert told == [1, "a", "b", 2, "c", "d"]
    assert all(event.run == "R" and event.at for event in shown)
    assert [event.kind for event in Store(where).events("R")] == ["run_started", "subtask_started"]


@on_loop
async def test_leaving_the_journal_stores_and_shows_the_rest_and_ends_its_thread(where: Location) -> None:
    shown: list[e.AnyEvent] = []
    async with Journal("R", store=where, show=shown.append) as journal:
        begin(journal)
        for n in range(99):
            journal.append(e.SubtaskStarted(subtask=f"t{n}"))
    assert len(shown) == 100
    assert stored(where) == list(range(1, 101))
    assert "stretto-store" not in [thread.name for thread in threading.enumerate()]


@on_loop
async def test_a_log_goes_on_where_its_history_ends(where: Location) -> None:
    async with Journal("R", store=where, show=lambda _: None) as journal:
        begin(journal)
        journal.append(e.SubtaskStarted(subtask="t1"))
    history = Store(where).events("R")
    async with Journal("R", store=where, show=lambda _: None, history=history) as journal:
        journal.append(e.RunResumed(workflow={}))
        assert journal.run.executions == 2
    assert stored(where) == [1, 2, 3]


@on_loop
async def test_a_run_that_is_only_begun_is_carried_by_whoever_resumes_it(where: Location) -> None:
    stream = workflow(where).stream(TASK, inputs=[Input("notes.txt", "tea is warm")])
    await stream.begin()
    await stream.begin()
    begun = Store(where).run(stream.run_id)
    assert (begun.status, begun.task, begun.calls) == ("running", TASK, ())
    async with workflow(where).resume(stream.run_id) as events:
        run = await events.finished()
    assert (run.status, run.executions, run.basis.inputs) == ("finished", 1, begun.basis.inputs)


@on_loop
async def test_what_was_asked_and_answered_is_recorded_with_its_event(where: Location) -> None:
    call = {"call": "c1", "role": "worker", "subtask": "t1", "fingerprint": "f1", "model": "sim:x"}
    async with Journal("R", store=where, show=lambda _: None) as journal:
        begin(journal)
        journal.append(e.CallStarted(**call), request=REQUEST)  # type: ignore[arg-type]
        await journal.settled()
        assert Store(where).records("R")["f1"].request == REQUEST
        assert Store(where).replies("R") == {}
        journal.append(e.CallFinished(**call, finish="stop"), reply=REPLY)  # type: ignore[arg-type]
    assert Store(where).replies("R") == {"f1": [REPLY]}
    assert Store(where).records("R")["f1"].request == REQUEST
    assert list(Store(where).records("R", only=["f2"])) == []


# -- listing and finding


@pytest.fixture
def store(where: Location) -> Store:
    """Twelve runs, one a day; every fourth ended in the same way."""
    chance = random.Random(7)
    ends = ("finished", "failed", "interrupted", "")
    runs = [rows(f"01K{n:04d}", chance, end=ends[n % 4], at=f"2026-01-{n + 1:02d}T12:00:00.000Z") for n in range(12)]
    fill(where, runs)
    return Store(where)


def ids(store: Store, **wanted: object) -> list[int]:
    """The numbers of the runs that are listed."""
    return [int(run.run[3:]) for run in store.listing(Wanted(**wanted))]  # type: ignore[arg-type]


def test_the_newest_runs_come_first_and_say_what_the_log_says(store: Store) -> None:
    listed = store.listing()
    assert [run.run for run in listed] == [f"01K{n:04d}" for n in range(11, -1, -1)]
    for run in listed:
        told = summary_of(store.events(run.run))
        assert run == told or (run.status, told.status) == ("killed", "running")
    assert ids(store, limit=2) == [11, 10]
    assert ids(store, before="01K0003") == [2, 1, 0]
    assert ids(store, group="01K001") == [11, 10]
    assert [run.id for run in store.recent(2)] == ["01K0011", "01K0010"]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({"status": "finished"}, [8, 4, 0]),
        ({"status": "failed", "limit": 2}, [9, 5]),
        ({"status": "interrupted"}, [10, 6, 2]),
        ({"status": "killed"}, [11, 7, 3]),
        ({"status": "running"}, []),
        ({"status": "unreadable"}, []),
        ({"since": "2026-01-11T00:00:00.000Z"}, [11, 10]),
        ({"since": "2026-01-05T00:00:00.000Z", "status": "failed"}, [9, 5]),
        ({"task": "DESCRIBE TEA", "limit": 1}, [11]),
        ({"task": "É"}, list(range(11, -1, -1))),
        ({"task": "coffee"}, []),
        ({"task": "100%_'"}, []),
    ],
)
def test_runs_are_searched_by_task_status_and_time(store: Store, wanted: dict[str, object], found: list[int]) -> None:
    assert ids(store, **wanted) == found


def test_a_run_that_is_carried_is_running_and_a_dead_one_was_killed(store: Store) -> None:
    with store.carrying("01K0007"):
        assert ids(store, status="running") == [7]
        assert ids(store, status="killed") == [11, 3]
    assert ids(store, status="killed") == [11, 7, 3]


def test_a_damaged_log_is_unreadable_in_a_list_and_hides_no_other(store: Store, where: Location) -> None:
    change(where, "UPDATE events SET body = ? WHERE run = '01K0004' AND seq = 3", b'{"kind": "pea"}')
    change(where, "DELETE FROM events WHERE run = '01K0011' AND seq = 3")
    assert ids(store) == list(range(11, -1, -1))
    assert ids(store, status="unreadable") == [11, 4]
    assert ids(store, status="unreadable", limit=LOOKED_INTO + 1) == [11, 4]
    assert ids(store, status="finished") == [8, 0]
    (spoilt,) = [run for run in store.listing() if run.run == "01K0004"]
    assert spoilt.task.startswith("Describe tea")
    assert "damaged (event 3 is not what was written)" in (spoilt.error or "")
    assert {finding.run for finding in findings(where)} == {"01K0004", "01K0011"}


def test_a_damaged_line_of_the_list_is_told_from_the_log(store: Store, where: Location) -> None:
    before = store.listing()
    change(where, "UPDATE runs SET task = 'something else' WHERE run = '01K0004'")
    change(where, "UPDATE runs SET done = 99 WHERE run = '01K0005'")
    assert store.listing() == before


def test_a_long_list_is_read_in_pieces(where: Location) -> None:
    chance = random.Random(3)
    fill(where, [rows(f"01K{n:04d}", chance, calls=0) for n in range(1201)])
    store = Store(where)
    assert ids(store, limit=5000) == list(range(1200, -1, -1))
    assert ids(store, limit=600) == list(range(1200, 600, -1))
    assert ids(store, status="finished", task="tea", limit=5000) == list(range(1200, -1, -1))


@on_loop
async def test_the_list_follows_a_run_through_its_life(where: Location) -> None:
    said = []
    async with Journal("R", store=where, show=lambda _: None) as journal:
        for event in (
            e.RunStarted(task="tea", workflow={}),
            e.SubtaskPlanned(subtask="t1", type="a", description="x"),
            e.RunFailed(error="no", error_type="WorkError"),
            e.RunResumed(workflow={}),
            e.RunInterrupted(),
        ):
            journal.append(event)
            await journal.settled()
            (run,) = Store(where).listing()
            said.append((run.status, run.subtasks, run.error_type))
    assert said == [
        ("killed", 0, None),
        ("killed", 1, None),
        ("failed", 1, "WorkError"),
        ("killed", 1, None),
        ("interrupted", 1, None),
    ]


def test_a_run_is_found_by_its_beginning_or_else_its_end(where: Location) -> None:
    chance = random.Random(1)
    fill(where, [rows(name, chance) for name in ("01KA", "01KB", "02C1", "03D01K")])
    store = Store(where)
    assert store.find("02") == store.find("c1") == "02C1"
    assert store.find("d01k") == "03D01K"
    with pytest.raises(RunNotFound, match=r"'01K' fits 2 runs \(01KB, 01KA\)"):
        store.find("01K")
    for nothing in ("%", "x02C1", "_2C1"):
        with pytest.raises(RunNotFound, match="in this store"):
            store.find(nothing)


def test_short_ids_find_no_other_run(where: Location) -> None:
    chance = random.Random(1)
    names = ("01AAAAAAAA0000000001", "01AAAAAAAB0000000001", "01BBBBBBBB0000000002")
    fill(where, [rows(name, chance, calls=0) for name in names])
    short = Store(where).short_ids(names)
    assert short["01BBBBBBBB0000000002"] == "00000002"
    assert [Store(where).find(short[name]) for name in names] == list(names)


# -- replies of other runs


def test_the_newest_reply_of_any_run_is_found_with_its_run(where: Location) -> None:
    # Newest is what was recorded last: a run that was begun earlier may have gone on later.
    fill(where, [answered("01KB", "first"), answered("01KC", "second"), answered("01KA", "third")])
    with Recall(where) as recall:
        assert recall.reply(KEY) == ("01KA", Reply("third", "stop"))
        assert recall.reply("0" * 32) is None
        assert recall.reply("") is None
        fill(where, [answered("01KD", "fourth")])
        assert recall.reply(KEY) == ("01KD", Reply("fourth", "stop"))


def test_a_degraded_reply_is_left_out_and_the_one_before_it_found(where: Location) -> None:
    degraded = [answered(f"01KB{n:03d}", "short", finish="shortened") for n in range(40)]
    fill(where, [answered("01KA", "whole", finish="length"), *degraded, answered("01KC", "other", asked="sim:y")])
    with Recall(where) as recall:
        assert recall.reply(KEY) == ("01KA", Reply("whole", "length"))


def test_a_damaged_reply_is_told_and_not_there(where: Location) -> None:
    told: list[str] = []
    fill(where, [answered("01KA", "first"), answered("01KB", "second")])
    change(where, "UPDATE events SET reply = ? WHERE run = '01KB' AND reply IS NOT NULL", b'{"text": "wrong"}')
    with Recall(where) as recall:
        assert recall.reply(KEY) == ("01KA", Reply("first", "stop"))
    assert Store(where, tell=told.append).replies("01KB") == {}
    assert "damaged" in told[0]


# -- who carries a run


def test_a_run_has_one_carrier_and_a_killed_one_is_in_nobodys_way(store: Store, where: Location) -> None:
    with another(where, "01K0003") as child:
        assert said(child) == "carrying"
        assert store.is_carried("01K0003")
        with pytest.raises(RunBusy), store.carrying("01K0003"):
            pass
        with another(where, "01K0003") as third, another(where, "01K0007") as fourth:
            assert (said(third), said(fourth)) == ("busy", "carrying")
        child.kill()
        child.wait()
        # Its connection may take a moment to be gone.
        while store.is_carried("01K0003"):
            threading.Event().wait(0.01)
        with store.carrying("01K0003"), pytest.raises(RunBusy), store.carrying("01K0003"):
            pass


def test_who_leaves_a_run_leaves_it_to_the_next(store: Store, where: Location) -> None:
    with another(where, "01K0003") as child:
        assert said(child) == "carrying"
        child.communicate(b"\n")
        with store.carrying("01K0003"), store.carrying("01K0007"):
            assert store.is_carried("01K0003")
    assert not store.is_carried("01K0003")


# -- beside the runs


def test_runs_go_by_age_and_number_but_for_those_that_are_carried(where: Location) -> None:
    chance = random.Random(5)
    fill(where, [rows(f"01K{n:04d}", chance, at=at, end="" if n == 3 else "finished") for n, at in enumerate(DAYS)])
    assert condemned(where, before=DAYS[4]) == ["01K0003", "01K0002", "01K0001", "01K0000"]
    assert condemned(where, keep=10) == ["01K0001", "01K0000"]
    assert condemned(where, before=DAYS[4], keep=10) == ["01K0001", "01K0000"]
    assert 0 < weigh(where, ["01K0000"]) < size_of(where)
    with another(where, "01K0002") as child:
        assert said(child) == "carrying"
        done = prune(where, condemned(where, before=DAYS[4]), before=DAYS[4])
    assert (done.removed, done.kept) == (3, 1)
    compact(where)
    left = ids(Store(where))
    assert left == [11, 10, 9, 8, 7, 6, 5, 4, 2]
    assert list(findings(where)) == []


@on_loop
async def test_a_run_travels_and_is_the_same_there(where: Location) -> None:
    store, run = Store(where), await workflow(where).run(TASK)
    lines = b"".join(exported(where, run.id))
    parcel = read_parcel(BytesIO(lines), "file")
    assert imported(where, parcel) is False
    assert prune(where, [run.id]).removed == 1
    with pytest.raises(RunNotFound):
        store.events(run.id)
    assert imported(where, parcel) is True
    assert store.run(run.id).to_json() == run.to_json()
    assert b"".join(exported(where, run.id)) == lines
    assert store.is_imported(run.id)
    other = await workflow(where).run(TASK)
    assert not store.is_imported(other.id)
    store.mark_imported(other.id)
    assert store.is_imported(other.id)


def test_a_key_stands_for_the_run_that_came_first(where: Location) -> None:
    assert idempotency.claim(where, "key", "digest", "01K0001") == ("01K0001", "digest")
    assert idempotency.claim(where, "key", "other", "01K0002") == ("01K0001", "digest")
    idempotency.release(where, "key", "01K0002")
    assert idempotency.claim(where, "key", "other", "01K0002") == ("01K0001", "digest")
    idempotency.release(where, "key", "01K0001")
    assert idempotency.claim(where, "key", "other", "01K0002") == ("01K0002", "other")


def test_what_is_known_of_models_is_remembered(where: Location) -> None:
    assert remembered(where) == {}
    remember(where, {("http://a/v1", "m"): Known(context=4096, bytes=3.5), ("http://b/v1", "m"): Known()})
    remember(where, {("http://a/v1", "m"): Known(context=8192, bytes=3.25)})
    found = {place: each.known for place, each in remembered(where).items()}
    assert found == {("http://a/v1", "m"): Known(context=8192, bytes=3.25), ("http://b/v1", "m"): Known()}


@pytest.mark.usefixtures("store")
def test_what_calls_took_is_told_newest_last(where: Location) -> None:
    efforts = newest_efforts(where)
    assert len(efforts) == 36
    assert {(each.model, each.role, each.output_tokens) for each in efforts} == {("sim:x", "worker", 50)}


def test_what_is_not_there_is_said(where: Location) -> None:
    for ask in (Store(where).listing, lambda: Store(where).find("01"), lambda: Recall(where), lambda: facts(where)):
        with pytest.raises(NoStore, match="there is no run store"):
            ask()
    fill(where, [rows("01KA", random.Random(1))])
    with pytest.raises(RunNotFound, match="no run '01KB' in this store"):
        Store(where).events("01KB")
    with pytest.raises(StoreError):
        list(exported(where, "01KB"))


def test_runs_are_the_same_by_all_ways_to_read_them(store: Store) -> None:
    for run in store.recent(12):
        assert isinstance(run, Run)
        assert store.run(run.id).to_json() == run.to_json()
        assert store.has(run.id)
        store.check(run.id)


# -- the budget of a day


def frugal(where: Location, budget: str, day: str, ttft: float = 0.0) -> Workflow:
    """A workflow whose runs may cost so much, all of a day together so much; each of its calls takes so long."""
    return Workflow(
        "sim:x",
        {"part": "sim:x"},
        "sim:x",
        store=written(where),
        limits=Limits(budget=budget, budget_per_day=day),
        prices={"sim:x": Price(Decimal(1), Decimal(1))},
        providers={"sim": Simulator(ttft=ttft, tokens_per_second=1e6)},
    )


@on_loop
async def test_what_runs_cost_on_a_day_counts_against_its_budget(where: Location) -> None:
    first = await frugal(where, "5c", "5c").run(TASK)
    assert first.cost is not None
    assert Decimal(0) < first.cost < Decimal("0.02")

    with pytest.raises(DayBudgetError, match=rf"\$0.05, limits.budget_per_day.*cost \${first.cost} today"):
        await frugal(where, "5c", "5c").run(TASK)
    assert len(Store(where).recent()) == 1, "nothing is begun that cannot be carried"
    assert (await frugal(where, "3c", "5c").run(TASK)).status == "finished"
    assert (await workflow(where).run(TASK)).status == "finished", "who has no such limit is not held back"


@on_loop
async def test_what_ended_on_another_day_counts_no_more(where: Location) -> None:
    await frugal(where, "5c", "5c").run(TASK)
    with closing(connect(where)) as db:
        db.execute("UPDATE runs SET last_at = ?", ("2026-01-01T00:00:00.000Z",))
    assert (await frugal(where, "5c", "5c").run(TASK)).status == "finished"


@on_loop
async def test_a_run_that_is_carried_counts_with_all_it_may_cost_and_others_wait_for_it(where: Location) -> None:
    async with frugal(where, "6c", "10c", ttft=1).stream(TASK) as under_way:
        await anext(under_way)
        other = asyncio.create_task(frugal(where, "5c", "10c").run(TASK))
        await asyncio.sleep(1.5)
        assert (other.done(), len(Store(where).recent())) == (False, 1)
        assert (await under_way.finished()).status == "finished"
    assert (await other).status == "finished"


@on_loop
async def test_of_many_at_once_only_so_many_are_carried_as_the_day_allows(where: Location) -> None:
    under_way, most = 0, 0

    async def carried(number: int) -> str:
        nonlocal under_way, most
        async with frugal(where, "3c", "10c", ttft=0.3).stream(f"{TASK} {number}") as stream:
            await anext(stream)
            under_way += 1
            most = max(most, under_way)
            status = (await stream.finished()).status
            under_way -= 1
            return status

    def two(*numbers: int) -> list[str]:
        return asyncio.run(_all(map(carried, numbers)))

    with ThreadPoolExecutor(2) as threads:  # each with a loop of its own, as two processes have
        both = [threads.submit(two, 1, 2), threads.submit(two, 3, 4)]
        while not all(each.done() for each in both):
            await asyncio.sleep(0.01)
    assert [each.result() for each in both] == [["finished"] * 2] * 2
    assert 1 < most <= 3


async def _all(some: Iterable[Coroutine[Any, Any, str]]) -> list[str]:
    return await asyncio.gather(*some)


@on_loop
async def test_what_a_killed_process_had_set_aside_is_free_and_what_it_paid_is_not(where: Location) -> None:
    run = await frugal(where, "5c", "5c").run(TASK)
    with another(where, run.id) as child:
        assert said(child) == "carrying"
        with closing(connect(where)) as db:
            db.execute("INSERT INTO aside VALUES (?, ?) ON CONFLICT (run) DO UPDATE SET amount = '5'", (run.id, "5"))
        waiting = asyncio.create_task(frugal(where, "3c", "5c").run(TASK))
        await asyncio.sleep(1.5)
        assert not waiting.done()
    child.wait()
    assert (await waiting).status == "finished"
    with pytest.raises(DayBudgetError):
        await frugal(where, "5c", "5c").run(TASK)


@on_loop
async def test_a_damaged_log_counts_as_the_list_of_runs_says(where: Location) -> None:
    run = await frugal(where, "5c", "5c").run(TASK)
    with closing(connect(where)) as db:
        db.execute("UPDATE runs SET status = 'failed' WHERE run = ?", (run.id,))
        db.execute("UPDATE events SET body = ? WHERE run = ? AND seq = 2", (b"{", run.id))
    with pytest.raises(DayBudgetError, match=rf"cost \${run.cost} today"):
        await frugal(where, "5c", "5c").run(TASK)
