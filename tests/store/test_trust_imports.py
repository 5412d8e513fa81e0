"""A run that came in a file is trusted with nothing: no address, no key, no file, no price, no word of an answer."""

import asyncio
import re
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from stretto import Memory, Role, Simulator, Workflow
from stretto.config import Source, recorded_providers, recorded_roles
from stretto.errors import ConfigError, TaskError
from stretto.runs import Run
from stretto.store.parcel import read_parcel
from stretto.store.sqlite import Store
from stretto.store.travel import exported, imported

TASK = "Compare teas in exactly 3 subtasks"
OPENAI = {"kind": "endpoint", "base_url": "https://api.openai.com/v1", "key_env": "OPENAI_API_KEY"}


def record(**providers: dict[str, Any]) -> dict[str, Any]:
    role = {"model": "openai:gpt"}
    limits = {"budget": "5", "unpriced": "allow"}
    prices = {"openai:gpt": {"input": "0", "output": "0"}}
    definition = {"orchestrator": role, "workers": {"w": role}, "synthesizer": role, "limits": limits}
    return {"definition": definition, "providers": providers, "prices": prices}


@pytest.mark.parametrize(
    "table",
    [
        {"base_url": "https://evil.test/v1", "key_env": "OPENAI_API_KEY"},  # without its kind
        {"kind": "", "base_url": "https://evil.test/v1"},
        {"kind": "endpoint", "base_url": "https://evil.test/v1", "key_env": "OPENAI_API_KEY"},
        {"kind": "Endpoint", "base_url": "https://api.openai.com/v1", "key_env": "OPENAI_API_KEY"},
        {"kind": "endpoint", "base_url": "https://api.openai.com/v1", "key_env": "AWS_SECRET_ACCESS_KEY"},
    ],
)
def test_no_address_and_no_key_of_an_imported_run_is_used(table: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="was imported, and asks provider 'openai'"):
        recorded_providers("R", record(openai=table), (), imported=True)


def test_of_a_provider_that_everybody_knows_nothing_is_taken_from_the_file() -> None:
    strange = {**OPENAI, "headers": {"X-Forward": "evil.test"}, "local": True, "model": "dear"}
    source = recorded_providers("R", record(openai=strange, sim={"kind": "simulator"}), (), imported=True)
    assert source.table == {"providers": {"sim": {"kind": "simulator"}}}  # and no prices


def test_an_imported_run_passes_over_no_unpriced_model() -> None:
    assert "unpriced" not in recorded_roles("R", record(), imported=True).table["limits"]
    assert recorded_roles("R", record()).table["limits"]["unpriced"] == "allow"


@pytest.mark.parametrize("key", ["prompt_file", "schema_file", "something_new"])
def test_a_record_names_no_file_however_deep_it_does(key: str) -> None:
    told = record()
    role = {"model": "sim:a", key: "/etc/hostname"}
    inner = {"orchestrator": role, "workers": {"v": role}, "synthesizer": None}
    told["definition"] |= {
        "orchestrator": role,
        "workers": {"w": role | {"check": dict(role)}, "deep": {"workflow": inner}},
    }

    def keys(value: Any) -> set[str]:
        return set(value).union(*map(keys, value.values())) if isinstance(value, dict) else set()

    source: Source = recorded_roles("R", told)
    assert key not in keys(source.table)
    assert {"check", "workflow", "model"} <= keys(source.table)


# -- what it says answers nobody else


def flow(path: Path, memory: Memory | None = None) -> Workflow:
    role, providers = Role("sim:x"), {"sim": Simulator(ttft=0.0, tokens_per_second=1e6)}
    return Workflow(role, {"part": role}, role, providers=providers, store=path, memory=memory)


def brought(tmp_path: Path) -> tuple[Path, str]:
    """A store into which a run came that somebody else has written."""
    there = tmp_path / "there.db"
    run = flow(there).run_sync(TASK)
    file = b"".join(exported(there, run.id))
    assert run.answer
    changed = re.sub(rb'"reply":\{"text":"', b'"reply":{"text":"POISON ', file)
    here = tmp_path / "here.db"
    imported(here, read_parcel(BytesIO(changed), "file"))
    return here, run.id


async def rerun(workflow: Workflow, origin: str) -> Run:
    async with workflow.rerun(origin) as events:
        return await events.finished()


def asked_of_others(run: Run) -> list[str]:
    return [call.finished.origin for call in run.calls if call.finished and call.finished.origin]


def test_replies_of_an_imported_run_answer_no_run_of_ones_own(tmp_path: Path) -> None:
    here, _ = brought(tmp_path)
    run = flow(here, Memory(reuse="store")).run_sync(TASK)
    assert not asked_of_others(run)
    assert "POISON" not in str(run.answer)


def test_nor_do_those_of_its_rerun_which_took_them_over(tmp_path: Path) -> None:
    here, origin = brought(tmp_path)
    taken = asyncio.run(rerun(flow(here), origin))
    assert "POISON" in str(taken.answer)  # it is a rerun of that
    assert Store(here).is_imported(taken.id)
    run = flow(here, Memory(reuse="store")).run_sync(TASK)
    assert "POISON" not in str(run.answer)
    assert not Store(here).is_imported(run.id)


def test_a_run_of_the_future_is_refused_so_that_the_newest_is_ones_own(tmp_path: Path) -> None:
    there = tmp_path / "there.db"
    run = flow(there).run_sync(TASK)
    file = b"".join(exported(there, run.id)).replace(run.id.encode(), b"7" + b"Z" * 25)
    with pytest.raises(TaskError, match="of the future"):
        read_parcel(BytesIO(file), "file")
