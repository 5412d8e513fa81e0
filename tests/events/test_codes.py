"""What events tell to programs they tell in codes: no code reads words, and what older formats said gets its codes."""

import ast
import asyncio
import io
import re
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

import stretto
from stretto import Limits, Role, Simulator, Workflow
from stretto.errors import StrettoError
from stretto.events import AnyEvent, CallFinished, RunDegraded, RunFailed, RunInterrupted, SubtaskFinished, decode
from stretto.models.simulator.faults import parse_fault
from stretto.proposal import Proposal, Stop
from stretto.store.copying import copy
from stretto.store.migration import Coding
from stretto.store.parcel import read_parcel
from stretto.store.schema import connect
from stretto.store.sqlite import Store
from stretto.store.sums import event_sum
from stretto.store.travel import exported, imported
from stretto.types.facts import Facts

SOURCE = Path(stretto.__file__).parent
SAID = {"error", "reason", "remark", "message"}
"""Fields that people read."""
TURNED = {f"str({error})" for error in ("self", "error", "failure", "cause")}
"""What an error says."""
TAKEN_APART = {"startswith", "endswith", "partition", "rpartition", "split", "removeprefix", "removesuffix"}


def wordings(tree: ast.AST) -> Iterator[int]:
    """The lines where what people read is compared with words, or taken apart."""
    for node in ast.walk(tree):
        match node:
            case ast.Compare(left=left, comparators=others):
                sides = [left, *others]
                told = any(isinstance(side, ast.Attribute) and side.attr in SAID for side in sides)
                words = (
                    isinstance(side, ast.Constant) and isinstance(side.value, str) and side.value for side in sides
                )
                named = (isinstance(side, ast.Name) and side.id.isupper() for side in sides)
                if told and (any(words) or any(named)):
                    yield node.lineno
            case ast.Call(func=ast.Attribute(value=ast.Attribute(attr=attr), attr=done), args=[_, *_]):
                if attr in SAID and done in TAKEN_APART:
                    yield node.lineno
            case ast.Call(func=ast.Attribute(attr="search" | "match" | "fullmatch" | "findall"), args=args):
                if any(isinstance(each, ast.Call) and ast.unparse(each) in TURNED for each in args):
                    yield node.lineno
            case _:
                pass


def test_no_code_reads_what_a_message_says() -> None:
    named = re.compile(rf"\.({'|'.join(SAID)})\b|str\(")  # or it has nothing that people read
    texts = {path: path.read_text(encoding="utf-8") for path in SOURCE.rglob("*.py") if path.name != "coding.py"}
    found = [
        f"{path.relative_to(SOURCE)}:{line}"
        for path, text in texts.items()
        if named.search(text)
        for line in wordings(ast.parse(text))
    ]
    assert found == []


def stop(_: Proposal) -> Stop:
    return Stop()


def quick(*faults: str, ttft: float = 0.01) -> Simulator:
    found = tuple(parse_fault(each) for each in faults)
    return Simulator(faults=found, ttft=ttft, ttft_spread=0.0, tokens_per_second=20_000.0)


PROVIDERS = {"sim": quick(), "lost": quick("500 role=worker"), "shut": quick("401"), "slow": quick(ttft=0.4)}
FLOWS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({}, {"approve": stop}),
    ({"workers": {"work": Role(("lost:m", "sim:default"))}}, {}),
    ({"workers": {"work": Role("lost:m")}}, {}),
    ({"limits": Limits(tokens=9_000)}, {}),
    ({"limits": Limits(tokens=4_500)}, {}),
    ({"workers": {"work": Role("slow:m")}, "limits": Limits(deadline=1.0, parallel=1)}, {}),
    ({"limits": Limits(deadline=0.01)}, {}),
    ({"orchestrator": Role("shut:m"), "synthesizer": Role("shut:m")}, {}),
]
"""Workflows that are stopped, give something up or fail."""


def carry_all(store: Path) -> None:
    """Carry out all these, and keep their events."""

    async def carry(facts: dict[str, Any], how: dict[str, Any]) -> None:
        roles = {"orchestrator": Role("sim:default"), "workers": {"work": Role("sim:default")}}
        given = {**roles, "synthesizer": Role("sim:default"), "limits": Limits(attempts=1), **facts}
        async with Workflow(**given, providers=PROVIDERS, store=store).stream("Compare teas in 6 parts", **how) as run:
            with suppress(StrettoError):
                await run.finished()

    for facts, how in FLOWS:
        asyncio.run(carry(facts, how))


def uncoded(body: bytes, form: int) -> bytes:
    """An event as an earlier format of stores wrote it."""
    said = msgspec.json.decode(body)
    codes = ("code", "instead", *(["call"] if said["kind"] == "run_failed" else []))
    for name in ("facts", *(codes if form < 5 else ())):
        said.pop(name, None)
    return msgspec.json.encode(said)


def uncaused(event: AnyEvent, form: int) -> AnyEvent:
    """Without what older formats did not say at all: why a call was stopped, and the status of an error."""
    if isinstance(event, CallFinished) and form < 5:
        event = replace(event, code="")
    if isinstance(event, CallFinished | RunFailed) and event.facts:
        facts = replace(event.facts, status=None)
        return replace(event, facts=None if facts == Facts() else facts)
    return event


def rows(store: Path, form: int) -> list[tuple[Any, ...]]:
    """Every row with its event; then that as it is written, and whether its checksum fits."""
    with closing(connect(store, create=False)) as db:
        return [
            (*row[:3], uncaused(decode(row[3]), form), *row[5:], row[3], row[4] == event_sum(*row[:4]))
            for row in db.execute("SELECT * FROM events ORDER BY run, seq")
        ]


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with the events of all these."""
    store = tmp_path_factory.mktemp("codes") / "s.db"
    carry_all(store)
    return store


@pytest.mark.slow
@pytest.mark.parametrize(("form", "version", "lacking"), [(4, 1, ("idempotency", "aside")), (7, 2, ())])
def test_older_stores_and_files_get_what_their_messages_alone_told(
    kept: Path, tmp_path: Path, form: int, version: int, lacking: Sequence[str]
) -> None:
    store = tmp_path / "s.db"
    copy(kept, store)
    events = [event for run in Store(store).recent() for event in Store(store).events(run.id)]
    codes = {each.code for each in events if isinstance(each, RunDegraded | SubtaskFinished | RunInterrupted)}
    assert codes > {"stopped", "fallback", "unasked", "unpaid", "skipped", "cut"}
    assert any(isinstance(each, RunFailed) and each.call for each in events)
    assert any(isinstance(each, CallFinished) and each.facts and each.facts.binding for each in events)

    for run in Store(store).recent():
        first, *lines = exported(store, run.id)
        old = [first.replace(b'"version":3', b'"version":%d' % version), *(uncoded(x, form) + b"\n" for x in lines)]
        assert imported(tmp_path / "other.db", read_parcel(io.BytesIO(b"".join(old)), "old.jsonl"))
    whole = rows(store, form)
    assert [row[:-2] for row in rows(tmp_path / "other.db", form)] == [row[:-2] for row in whole]

    with closing(sqlite3.connect(store, isolation_level=None)) as db:
        for run, seq, kind, *_, body, _ in whole:
            bare = uncoded(body, form)
            values = (bare, event_sum(run, seq, kind, bare), run, seq)
            db.execute("UPDATE events SET body = ?, event_sum = ? WHERE run = ? AND seq = ?", values)
        for table in lacking:
            db.execute(f"DROP TABLE {table}")
        db.execute(f"PRAGMA user_version = {form}")
    assert [row[:-2] for row in rows(store, form)] == [row[:-2] for row in whole]
    assert all(row[-1] for row in rows(store, form))


def test_what_a_refusal_for_length_said_of_a_context_is_a_fact_of_older_events_too() -> None:
    old = RunFailed(error="x: 400 too long (its context is 32,768 tokens; shorten it)", error_type="ContextError")
    coded = Coding(codes=False).coded(old)
    assert isinstance(coded, RunFailed)
    assert coded.facts == Facts(context=32768)
    assert Coding(codes=False).coded(coded) is coded
