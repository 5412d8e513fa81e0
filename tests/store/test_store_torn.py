"""Torn writes: whatever happens to the bytes of a store, what is read was written, or an error says what is lost."""

import random
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest
from msgspec.structs import replace

from drawn import share
from stores import fill, rows
from stretto import events as e
from stretto.errors import StoreError
from stretto.store.checkup import facts, findings
from stretto.store.listing import Wanted
from stretto.store.recall import Recall
from stretto.store.rows import Row
from stretto.store.schema import connect
from stretto.store.sqlite import Store
from stretto.store.summary import Summary, summary_of
from stretto.types import Reply, Request

AT = "2026-01-01T00:00:00.000Z"
CASES = share(30, 4)  # of each kind of damage to each kind of store


class Truth(NamedTuple):
    """What was written: by run its log, its summary after every event, and its records."""

    logs: dict[str, list[e.AnyEvent]]
    summaries: dict[str, list[Summary]]
    requests: dict[str, dict[str, Request]]
    replies: dict[str, dict[str, Reply]]


def truth_of(runs: list[list[Row]]) -> Truth:
    truth = Truth({}, {}, {}, {})
    for run in runs:
        name = run[0][0]
        log = truth.logs[name] = [e.decode(body) for _, _, _, body, *_ in run]
        truth.summaries[name] = [summary_of(log[:count]) for count in range(1, len(log) + 1)]
        truth.requests[name] = {key: msgspec.json.decode(r, type=Request) for *_, key, r, _ in run if key and r}
        truth.replies[name] = {key: msgspec.json.decode(r, type=Reply) for *_, key, _, r in run if key and r}
    return truth


Damage = Callable[[Path, random.Random], None]


def cut(file: Path, chance: random.Random) -> None:
    """The end is missing."""
    size = file.stat().st_size
    with file.open("r+b") as opened:
        opened.truncate(chance.randrange(size))


def scramble_the_end(file: Path, chance: random.Random) -> None:
    """The last pages are what was in some buffer."""
    size = file.stat().st_size
    at = max(0, size - chance.randrange(1, 12_000))
    overwrite(file, at, chance.randbytes(size - at))


def zero(file: Path, chance: random.Random) -> None:
    """A sector or a page was never written."""
    length = chance.choice([512, 4096])
    overwrite(file, chance.randrange(file.stat().st_size // length) * length, bytes(length))


def flip(file: Path, chance: random.Random) -> None:
    """Some bits are not what they were."""
    for _ in range(chance.choice([1, 1, 3, 30])):
        at = chance.randrange(file.stat().st_size)
        with file.open("r+b") as opened:
            opened.seek(at)
            byte = opened.read(1)[0]
        overwrite(file, at, bytes([byte ^ (1 << chance.randrange(8))]))


def scribble(file: Path, chance: random.Random) -> None:
    """Random bytes anywhere."""
    at = chance.randrange(file.stat().st_size)
    overwrite(file, at, chance.randbytes(min(chance.choice([1, 8, 64]), file.stat().st_size - at)))


def misplace(file: Path, chance: random.Random) -> None:
    """A page was written in the place of another."""
    count = file.stat().st_size // 4096
    data = file.read_bytes()
    source = chance.randrange(count) * 4096
    overwrite(file, chance.randrange(count) * 4096, data[source : source + 4096])


def overwrite(file: Path, at: int, data: bytes) -> None:
    with file.open("r+b") as opened:
        opened.seek(at)
        opened.write(data)


@pytest.fixture(scope="module")
def truth() -> Truth:
    return truth_of(written())


def written() -> list[list[Row]]:
    chance = random.Random(11)
    ends = ("finished", "failed", "interrupted", "")
    return [rows(f"01K{n:04d}", chance, calls=n % 5 + 1, end=ends[n % 4], at=AT) for n in range(8)]


@pytest.fixture(scope="module")
def settled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store that everybody has closed: one file."""
    path = tmp_path_factory.mktemp("settled") / "s.db"
    fill(path, written())
    return path


@pytest.fixture(scope="module")
def crashed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store as a power loss leaves it: half of it in the write-ahead log, one commit a run."""
    live, path = (tmp_path_factory.mktemp(name) / "s.db" for name in ("live", "crashed"))
    runs = written()
    with closing(connect(live)) as held:
        fill(live, runs[:4])
        held.execute("PRAGMA wal_checkpoint")
        for run in runs[4:]:
            fill(live, [run])
        shutil.copy(live, path)
        shutil.copy(log_of(live), log_of(path))
    return path


def log_of(path: Path) -> Path:
    return path.with_name(path.name + "-wal")


def told(path: Path, truth: Truth) -> Iterator[str]:
    """Ask everything there is to ask; says of each what came of it, and fails where something wrong came back."""
    store, wrong = Store(path), list[str]()

    def ask(name: str, question: Callable[[], bool]) -> Iterator[str]:
        try:
            right = question()
        except StoreError:
            yield "error"
        else:
            if not right:
                wrong.append(name)
            yield "right"

    for run, log in truth.logs.items():
        yield from ask(f"log of {run}", lambda: store.events(run) == log)  # noqa: B023 - asked at once
        yield from ask(f"replies of {run}", lambda: part(store.replies(run), truth.replies[run]))  # noqa: B023
        yield from ask(f"records of {run}", lambda: known(store, run, truth))  # noqa: B023
        yield from ask(f"id of {run}", lambda: store.find(run) == run)  # noqa: B023
    for limit in (20, 1000):
        yield from ask("list", lambda: all(in_list(one, truth) for one in store.listing(Wanted(limit=limit))))  # noqa: B023
    yield from ask("recent", lambda: all(run.id in truth.logs for run in store.recent() if run.status != "unreadable"))
    yield from ask("recall", lambda: recalled(path, truth))
    yield from ask("facts", lambda: facts(path).location == path)
    yield from ask("findings", lambda: isinstance(list(findings(path)), list))
    assert wrong == []


def part(found: dict[str, list[Reply]], replies: dict[str, Reply]) -> bool:
    return all(found[key] == [replies[key]] for key in found)


def known(store: Store, run: str, truth: Truth) -> bool:
    return all(
        (record.request is None or record.request == truth.requests[run].get(key))
        and (record.reply is None or record.reply == truth.replies[run].get(key))
        for key, record in store.records(run).items()
    )


def in_list(one: Summary, truth: Truth) -> bool:
    """What a list says is what the run was at some moment; of an unreadable one it says nothing wrong either."""
    if one.status == "unreadable":
        texts = {told.task for summaries in truth.summaries.values() for told in summaries}
        return bool(one.error) and one.task in {"", *texts}
    status = "running" if one.status == "killed" else one.status
    return replace(one, status=status) in truth.summaries[one.run]


def recalled(path: Path, truth: Truth) -> bool:
    with Recall(path) as recall:
        for run, replies in truth.replies.items():
            for key, reply in replies.items():
                found = recall.reply(key)
                if found is not None and found != (run, reply):
                    return False
    return True


def whole(path: Path, truth: Truth) -> bool:
    """Whether everything that was written can be read."""
    store = Store(path)
    try:
        listed = {run.run: run.status for run in store.listing(Wanted(limit=1000))}
        return all(
            listed.get(run) in {"killed", summaries[-1].status}
            and store.events(run) == truth.logs[run]
            and store.replies(run) == {key: [reply] for key, reply in truth.replies[run].items()}
            and {key: record.request for key, record in store.records(run).items()} == truth.requests[run]
            for run, summaries in truth.summaries.items()
        )
    except StoreError:
        return False


def is_told(path: Path) -> bool:
    """Whether looking the store over says that something is lost."""
    try:
        return bool(list(findings(path)))
    except StoreError:
        return True


@pytest.mark.slow
@pytest.mark.parametrize("damage", [cut, scramble_the_end, zero, flip, scribble, misplace])
def test_a_damaged_file_gives_what_was_written_or_an_error(
    tmp_path: Path, settled: Path, truth: Truth, damage: Damage
) -> None:
    outcomes: list[str] = []
    for seed in range(CASES):
        path = tmp_path / f"{seed}.db"
        shutil.copy(settled, path)
        damage(path, random.Random(seed))
        outcomes += told(path, truth)
        assert whole(path, truth) or is_told(path)
    assert {"right", "error"} >= set(outcomes)
    assert "error" in outcomes


@pytest.mark.slow
@pytest.mark.parametrize("damage", [cut, scramble_the_end, zero, flip, scribble])
def test_a_damaged_write_ahead_log_loses_the_last_commits_and_nothing_else(
    tmp_path: Path, crashed: Path, truth: Truth, damage: Damage
) -> None:
    kept = set()
    for seed in range(CASES):
        path = tmp_path / f"{seed}.db"
        shutil.copy(crashed, path)
        shutil.copy(log_of(crashed), log_of(path))
        damage(log_of(path), random.Random(seed))
        list(told(path, truth))
        assert list(findings(path)) == []
        runs = sorted(run.run for run in Store(path).listing())
        assert runs == sorted(truth.logs)[: len(runs)]
        assert len(runs) >= 4
        kept.add(len(runs))
    assert min(kept) < 8


def test_what_was_torn_can_be_written_to_again_and_loses_no_more(tmp_path: Path, crashed: Path) -> None:
    new = rows("01Z", random.Random(1), at=AT)
    truth = truth_of([*written(), new])
    for seed in range(CASES):
        path = tmp_path / f"{seed}.db"
        shutil.copy(crashed, path)
        shutil.copy(log_of(crashed), log_of(path))
        cut(log_of(path), random.Random(seed))
        before = [run.run for run in Store(path).listing(Wanted(limit=99))]
        fill(path, [new])
        assert [run.run for run in Store(path).listing(Wanted(limit=99))] == ["01Z", *before]
        assert list(findings(path)) == []
        list(told(path, truth))


def test_without_damage_everything_comes_back(settled: Path, truth: Truth, tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    shutil.copy(settled, path)
    assert set(told(path, truth)) == {"right"}
    store = Store(path)
    assert {run: store.events(run) for run in truth.logs} == truth.logs
    assert whole(path, truth)
    assert list(findings(path)) == []
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("SELECT count(*) FROM runs").fetchone() == (8,)
