"""A run travels as one file: out of a store and into another, to the byte, and nothing in such a file is trusted."""

import asyncio
import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from io import BytesIO
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from drawn import examples
from stretto import Memory, Provider, Simulator, Workflow
from stretto.errors import RunNotFound, StoreError, TaskError
from stretto.events import encode
from stretto.models.simulator import parse_fault
from stretto.runs import Run
from stretto.store.parcel import LONGEST, read_parcel
from stretto.store.sqlite import Store
from stretto.store.travel import entries, exported, imported
from terminal import Terminal

TASK = "Describe tea in exactly 3 subtasks with needs"
FAST = Simulator(ttft=0.0, tokens_per_second=1e6, length=20)


def a_run(path: Path, *, simulator: Simulator = FAST, memory: Memory | None = None) -> Run:
    providers = {"sim": simulator}
    return Workflow("sim:o", {"a": "sim:w"}, "sim:s", store=path, providers=providers, memory=memory).run_sync(TASK)


def file_of(path: Path, run: str) -> bytes:
    return b"".join(exported(path, run))


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    store = tmp_path_factory.mktemp("travel") / "from.db"
    return file_of(store, a_run(store).id)


def test_a_run_comes_out_of_another_store_as_it_was(tmp_path: Path) -> None:
    here, there = tmp_path / "here.db", tmp_path / "there.db"
    run = a_run(here, simulator=msgspec.structs.replace(FAST, faults=(parse_fault("500 rate=0.5 role=worker"),)))
    first = file_of(here, run.id)
    assert imported(there, read_parcel(BytesIO(first), "file"))
    assert file_of(there, run.id) == first
    assert Store(there).run(run.id) == Store(here).run(run.id)
    assert Store(there).records(run.id) == Store(here).records(run.id)
    assert not imported(there, read_parcel(BytesIO(first), "file"))
    assert file_of(there, run.id) == first


def test_a_line_is_the_event_as_json_shows_it_with_its_records_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    run = a_run(path)
    _, *lines = file_of(path, run.id).splitlines()
    events = Store(path).events(run.id)
    for line, event, entry in zip(lines, events, entries(path, run.id), strict=True):
        told = msgspec.json.decode(line)
        request, reply = told.pop("request", None), told.pop("reply", None)
        assert told == msgspec.json.decode(encode(event))
        assert (request is not None) == (event.kind == "call_started")
        assert (reply is not None) == (event.kind == "call_finished")
        assert entry.event == event


def test_what_a_newer_version_wrote_beside_is_kept(file: bytes, tmp_path: Path) -> None:
    newer = file.replace(b'"kind":"plan_finished"', b'"kind":"plan_finished","mood":{"x":1.50}')
    parcel = read_parcel(BytesIO(newer), "file")
    imported(tmp_path / "to.db", parcel)
    assert file_of(tmp_path / "to.db", parcel.run) == newer


def test_a_rerun_and_a_run_that_was_stopped_travel_too(tmp_path: Path) -> None:
    async def main() -> list[str]:
        flow = Workflow("sim:o", {"a": "sim:w"}, "sim:s", store=tmp_path / "s.db", providers={"sim": FAST})
        async with flow.plan(TASK) as events:
            planned = await events.finished()
        async with flow.rerun(planned.id, fresh=["t1"]) as events:
            again = await events.finished()
        return [planned.id, again.id]

    for run in asyncio.run(main()):
        file = file_of(tmp_path / "s.db", run)
        imported(tmp_path / "to.db", read_parcel(BytesIO(file), "file"))
        assert file_of(tmp_path / "to.db", run) == file


def test_another_run_of_the_same_id_is_not_mixed_in(file: bytes, tmp_path: Path) -> None:
    path = tmp_path / "to.db"
    parcel = read_parcel(BytesIO(file), "file")
    imported(path, parcel)
    other = read_parcel(BytesIO(file.replace(b"Describe tea", b"Describe TEA", 1)), "file")
    with pytest.raises(StoreError, match="differs from event 1 on"):
        imported(path, other)
    with pytest.raises(StoreError, match="differs from event 5 on"):
        imported(path, msgspec.structs.replace(parcel, entries=parcel.entries[:4]))
    with closing(sqlite3.connect(path)) as db:
        db.execute("DELETE FROM events WHERE seq > 4")
        db.commit()
    with pytest.raises(StoreError, match="only its first 4 of"):
        imported(path, parcel)


def test_no_header_and_no_query_of_a_provider_travels(tmp_path: Path) -> None:
    secret = Provider("http://127.0.0.1:9/v1?key=hush1", headers={"X-Key": "hush2"}, local=True)
    flow = Workflow("box:o", {"a": "box:w"}, store=tmp_path / "s.db", providers={"box": secret})

    async def main() -> str:
        async with flow.stream(TASK) as events:
            async for event in events:
                return event.run
        raise AssertionError

    assert b"hush" not in file_of(tmp_path / "s.db", asyncio.run(main()))


def test_a_damaged_run_is_not_exported_and_one_that_is_not_there_neither(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    run = a_run(path)
    with pytest.raises(RunNotFound):
        file_of(path, "01NONE")
    with closing(sqlite3.connect(path)) as db:
        db.execute("UPDATE events SET request = replace(CAST(request AS TEXT), 'tea', 'pea') WHERE seq = 2")
        db.execute("UPDATE events SET request = CAST(request AS BLOB) WHERE seq = 2")
        db.commit()
    with pytest.raises(StoreError, match="damaged"):
        file_of(path, run.id)


def lines_of(file: bytes) -> list[bytes]:
    return file.splitlines(keepends=True)


def edited(old: str, new: str) -> Callable[[bytes], bytes]:
    def edit(file: bytes) -> bytes:
        assert old.encode() in file
        return file.replace(old.encode(), new.encode(), 1)

    return edit


RUN = '"run":"'


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda _: b"", "file: empty"),
        (lambda _: b"\n\n", "file: empty"),
        (lambda _: b"SQLite format 3\0", "line 1: no exported run"),
        (lambda _: b'{"a":1}', "line 1: no exported run"),
        (lambda _: b"[" * 100_000, "line 1: no exported run"),
        (lambda file: b"\xef\xbb\xbf" + file, "line 1: .*byte order mark"),
        (lambda file: file.decode().encode("utf-16"), "line 1: not UTF-8"),
        (lambda file: file.replace(b"tea", b"t\xff", 1), "line 2: not UTF-8"),
        (lambda file: b"".join(lines_of(file)[:-1]), "is the last, but .* torn"),
        (lambda file: file[:-200], "not JSON"),
        (lambda file: b"".join(lines_of(file)[:1]), "line 1 is the last"),
        (lambda file: file + lines_of(file)[-1], "the header says that"),
        (lambda file: b"".join([*lines_of(file)[:3], *lines_of(file)[4:], b"\n"]), "line 4: its seq is 4 where 3"),
        (lambda file: b"".join([*lines_of(file)[:3], b"\n", *lines_of(file)[4:]]), "line 4: not JSON"),
        (lambda file: file.replace(b'"mood"', b"") + b"", None),
        (edited('"version":3', '"version":4'), "version 4 of this format"),
        (edited('"stretto-run"', '"other"'), "its format is 'other'"),
        (edited(RUN, RUN + "../../"), "no id of a run"),
        (edited(RUN + "01", RUN + "é1"), "no id of a run"),
        (edited('"events":', '"events":-'), "one event at least"),
        (edited('"events":', '"events":9'), "torn"),
        (edited('"kind":"plan_finished"', '"kind":"plan_furnished"'), "no event that this version knows"),
        (edited('"kind":"subtask_planned"', '"kind":"answer_delta","text":""'), "a log begins with"),
        (edited('"kind":"run_started"', '"kind":"run_resumed"'), "a log begins with"),
        (edited('"sample":0', '"sample":1'), "another fingerprint"),
        (edited('"call":"c1"', '"call":"x"'), "no id of a call"),
        (edited('"call":"c1"', '"call":"c' + 5000 * "1" + '"'), "no id of a call"),
        (edited('"at":"2', '"at":"x'), "line 2: "),
        (edited('Z","seq":1', '","seq":1'), "with its time zone"),
        (edited('"at":"2', '"at":"9'), "when no run can have been carried"),
        (edited('"at":"20', '"at":"00'), "when no run can have been carried"),
        (lambda file: re.sub(rb'("at":"[^"]+)T', rb"\1W", file), "line 2: "),
        (edited('"subtask":"t1"', '"subtask":""'), "no id of a subtask"),
        (edited('"subtask":"t1"', '"subtask":"t1\\u001b]0;x"'), "no id of a subtask"),
        (edited('"subtask":"t1"', '"subtask":"../../x y"'), "no id of a subtask"),
        (edited('"needs":[]', '"needs":["t1"]'), "a subtask that is not planned before it"),
        (edited('"needs":[]', '"needs":["t9"]'), "a subtask that is not planned before it"),
        (edited('"definition":{', '"definition":0,"x":{'), "line 2: no event that this version knows"),
        (edited('"workflow":{', '"workflow":{},"x":{'), "line 2: no event that this version knows"),
        (edited('"input_tokens":', '"input_tokens":9' + 30 * "9"), "no amount"),
        (edited('"cost":"0', '"cost":"NaN'), "no amount|no event"),
        (edited('"reply":{', '"reply":7,"x":{'), "no event that this version knows"),
        (edited('"seq":1,', '"seq":1,"deep":' + "[" * 50_000 + "]" * 50_000 + ","), "line 2: nested too deep"),
        (edited('"seq":1,', '"seq":1,"request":{"model":"m","messages":[]},'), "run_started has no request"),
        (edited('"seq":1,', '"seq":1,"reply":{"text":"","finish":"stop"},'), "run_started has no reply"),
    ],
)
def test_a_file_that_is_no_exported_run_is_refused_with_its_place(
    file: bytes, tmp_path: Path, spoil: Callable[[bytes], bytes], said: str | None
) -> None:
    spoiled = BytesIO(spoil(file))
    if said is None:
        read_parcel(spoiled, "file")
        return
    with pytest.raises(TaskError, match=said) as error:
        read_parcel(spoiled, "file")
    assert str(error.value).startswith("file: ")
    assert not (tmp_path / "to.db").exists()


class Endless(BytesIO):
    """A line without an end."""

    asked = 0

    def readline(self, size: int | None = -1, /) -> bytes:
        self.asked += 1
        assert size == LONGEST + 1
        return bytes(size)


def test_a_line_without_an_end_is_not_read_to_its_end() -> None:
    endless = Endless()
    with pytest.raises(TaskError, match="line 1: longer than 256 MiB"):
        read_parcel(endless, "file")
    assert endless.asked == 1


@examples(150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_whatever_a_file_holds_it_is_an_error_of_ours_or_a_run_that_can_be_read(
    file: bytes, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    start = data.draw(st.integers(0, len(file)))
    spoiled = file[:start] + data.draw(st.binary(max_size=4)) + file[start + data.draw(st.integers(0, 8)) :]
    try:
        parcel = read_parcel(BytesIO(spoiled), "file")
    except TaskError:
        return
    path = tmp_path_factory.mktemp("hostile") / "to.db"
    imported(path, parcel)
    assert Store(path).run(parcel.run).id == parcel.run
    once = file_of(path, parcel.run)
    assert file_of(path, read_parcel(BytesIO(once), "again").run) == once


def test_replies_of_megabytes_travel(tmp_path: Path) -> None:
    big = msgspec.structs.replace(FAST, faults=(parse_fault("huge rate=0.3 role=worker size=1MB"),))
    run = a_run(tmp_path / "s.db", simulator=big)
    file = file_of(tmp_path / "s.db", run.id)
    assert len(file) > 1_000_000
    imported(tmp_path / "to.db", read_parcel(BytesIO(file), "file"))
    assert file_of(tmp_path / "to.db", run.id) == file


# -- the commands


def test_export_and_import_by_command(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path)
    terminal("run", "-q", "-m", "sim:instant", TASK)
    run = terminal.run_id()
    out = terminal("export", "--last")
    assert terminal("export", run[:20], "-o", "run.jsonl").out == ""
    assert (tmp_path / "run.jsonl").read_text() == out.out
    assert (tmp_path / "run.jsonl").stat().st_mode & 0o777 == 0o600
    there = ("--store", "there.db")
    done = terminal("import", *there, "run.jsonl")
    assert (done.code, done.out) == (0, run + "\n")
    assert "run_finished" in done.err
    again = terminal.fed(out.out.encode(), "import", *there, "-")
    assert (again.code, "it was here already" in again.err) == (0, True)
    assert terminal("show", "--last", *there).out == terminal("show", "--last").out
    assert terminal("export", "--last", *there, "-o", "-").out == out.out


def test_what_cannot_be_exported_or_imported_is_said(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path)
    terminal("run", "-q", "-m", "sim:instant", TASK)
    terminal("export", "--last", "-o", "run.jsonl")
    torn = terminal.write("torn.jsonl", (tmp_path / "run.jsonl").read_text()[:3000])
    for args, code, said in [
        (("export", "--last", "-o", "missing/run.jsonl"), 1, "missing/run.jsonl: cannot be written"),
        (("export", "--last", "-o", "."), 2, "directory"),
        (("export", "01NONE"), 1, "no run"),
        (("export", "01NONE", "--last"), 2, "--last"),
        (("import", "missing.jsonl"), 2, "missing.jsonl: cannot be read"),
        (("import", torn), 2, "torn.jsonl: line"),
        (("import",), 2, "FILE"),
    ]:
        done = terminal(*args)
        assert (done.code, said in done.err) == (code, True), done
    assert sorted(path.name for path in tmp_path.glob("*.jsonl")) == ["run.jsonl", "torn.jsonl"]


def test_where_a_key_would_go_is_said_of_a_run_that_somebody_else_recorded(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path)
    terminal("run", "-q", "-m", "sim:instant", TASK)
    file = terminal("export", "--last").out
    endpoint = '"openai":{"kind":"endpoint","base_url":"http://198.51.100.1/v1","key_env":"OPENAI_API_KEY"},"sim":{'
    terminal.write("theirs.jsonl", file.replace('"providers":{"sim":{', '"providers":{' + endpoint, 1))
    said = terminal("import", "--store", "there.db", "theirs.jsonl").err
    assert "provider openai at http://198.51.100.1/v1 with the key in OPENAI_API_KEY" in said
