"""The bench against peers runs with what is here, counts what it says it counts, and writes its table."""

import json
import os
import re
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from forked import python, python_begun
from places import ROOT

MARKS = "<!-- begin: `python -m bench.peers --write` writes what follows -->\n\nold\n\n<!-- end -->"


def peers(*arguments: str) -> subprocess.CompletedProcess[str]:
    return python("-m", "bench.peers", "--here", *arguments, folder=ROOT)


@contextmanager
def endpoint(scene: dict[str, Any]) -> Iterator[str]:
    with python_begun("-m", "bench.peers.endpoint", json.dumps(scene), folder=ROOT) as process:
        assert process.stdout
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}/v1"
        finally:
            process.kill()


def ask(url: str, model: str, prompt: str) -> str:
    body = json.dumps({"model": model, "messages": [{"role": "user", "content": prompt}]}).encode()
    with urllib.request.urlopen(f"{url}/chat/completions", body) as response:  # noqa: S310 - our own, http
        return str(json.load(response)["choices"][0]["message"]["content"])


def seen(url: str) -> dict[str, int]:
    with urllib.request.urlopen(f"{url}/stats") as response:  # noqa: S310 - the same
        return dict(json.load(response))


def test_stretto_and_the_bare_loop_are_compared_and_the_table_is_written_between_its_marks(tmp_path: Path) -> None:
    document = tmp_path / "peers.md"
    document.write_text(f"# Peers\n\n{MARKS}\n\nThe rest.\n")
    done = peers("--quick", "--workers", "5", "--only", "speed,malformed,500-twice", "--write", str(document))
    assert done.returncode == 0, done.stderr
    written = document.read_text()
    assert written.startswith("# Peers\n")
    assert written.endswith("<!-- end -->\n\nThe rest.\n")
    assert "old" not in written
    assert "--workers 5" in written
    rows = {cells[0].strip(): cells[1:] for line in written.splitlines() if (cells := line.strip("|").split(" | "))}
    assert len(rows["CPU a call, 5 workers, zero latency"]) == 2
    assert all(re.search(r"\d ms", cell) for cell in rows["CPU a call, 5 workers, zero latency"])
    ours, bare = rows["one worker: 500 twice"]
    assert ours.startswith("5 of 5, ")
    assert "**none**: ClientResponseError" in bare
    ours, bare = rows["plan: malformed JSON, once"]
    assert ours.startswith("5 of 5, ")
    assert "**none**: JSONDecodeError" in bare


def test_others_go_through_the_door_and_are_killed_and_run_again(tmp_path: Path) -> None:
    document = tmp_path / "peers.md"
    document.write_text(MARKS.replace("peers --write", "peers --door --write"))
    done = peers("--door", "--quick", "--workers", "6", "--only", "bare", "--write", str(document))
    assert done.returncode == 0, done.stderr
    lines = [line.strip("|").split(" | ") for line in document.read_text().splitlines() if line.startswith("| ")]
    rows = {what.replace("&emsp;", "").strip(): cell.strip() for what, cell in lines}
    assert rows["6 subtasks at 600 requests/min: answer"] == rows["through `stretto serve`"] == "6 of 6"
    assert rows["killed (-9) with it after 3 replies, and run again"] == "6 of 6"
    paid, recorded = map(int, rows["of the first run: replies paid, recorded"].split(", "))
    assert int(rows["replies paid twice"]) <= paid - recorded  # what was on its way at the kill, and nothing else


def test_a_document_without_the_marks_is_refused_before_anything_is_measured(tmp_path: Path) -> None:
    document = tmp_path / "peers.md"
    document.write_text("# Peers\n")
    done = peers("--write", str(document))
    assert done.returncode == 2
    assert "<!-- end -->" in done.stderr
    assert document.read_text() == "# Peers\n"


def test_the_document_of_the_project_takes_the_whole_table_only() -> None:
    done = peers("--only", "speed", "--write")
    assert done.returncode == 2
    assert "--write" in done.stderr


def test_an_unknown_peer_or_part_is_refused_by_name() -> None:
    done = peers("--only", "speed,langchain")
    assert done.returncode == 2
    assert "'langchain' is none of" in done.stderr


def test_a_peer_that_cannot_be_installed_is_named_with_the_reason(tmp_path: Path) -> None:
    without_uv = {**os.environ, "PATH": str(tmp_path)}
    done = python("-m", "bench.peers", "--only", "langgraph,speed", folder=ROOT, environ=without_uv)
    assert done.returncode == 1
    assert "LangGraph could not be installed: uv is not on the path" in done.stdout


def test_the_endpoint_counts_what_is_paid_twice_and_what_reaches_the_answer() -> None:
    with endpoint({}) as url:
        first = ask(url, "worker", "Part 3: describe it")
        assert ask(url, "worker", "Part 3: describe it") == first
        other = ask(url, "worker", "Part 4: describe it")
        ask(url, "synthesizer", f"{first}\n{other}")
        counts = seen(url)
    assert (counts["requests"], counts["completed"], counts["twice"], counts["results"]) == (4, 4, 1, 2)
    assert counts["tokens"] > 0


def test_the_endpoint_fails_one_worker_as_often_as_it_is_told_to() -> None:
    with endpoint({"fault": {"kind": "429", "times": 1, "retry_after": 2}}) as url:
        ask(url, "worker", "Part 3: describe it")
        with pytest.raises(urllib.request.HTTPError) as refused:
            ask(url, "worker", "Part 4: describe it")
        with refused.value as told:
            assert told.headers["Retry-After"] == "2"
        assert ask(url, "worker", "Part 4: describe it").startswith("Finding 4.")
        assert seen(url)["failed"] == 1


def test_a_plan_has_as_many_subtasks_as_the_task_wants() -> None:
    with endpoint({}) as url:
        plan = json.loads(ask(url, "orchestrator", "Compare them, in 7 subtasks."))
    assert [task["type"] for task in plan["tasks"]] == ["work"] * 7


PINS = [*(ROOT / "bench" / "peers" / "pins").glob("*.txt"), *(ROOT / "tests_clients" / "pins").glob("*.txt")]


@pytest.mark.parametrize("path", sorted(PINS), ids=lambda path: path.stem)
def test_a_peers_versions_are_exact_and_name_no_index(path: Path) -> None:
    named, *pins = path.read_text().splitlines()
    assert named.startswith("# ")
    assert all(re.fullmatch(r"[a-z0-9-]+==[\w.]+( ; [^/]*)?", pin) for pin in pins), pins
