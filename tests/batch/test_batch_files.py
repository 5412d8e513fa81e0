"""The two files of a batch: what goes in is checked at the door, what comes out is whole."""

import io
import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stretto import Input
from stretto.batch.lines import raw_lines, read_line
from stretto.batch.outfile import OutFile, mark
from stretto.errors import TaskError

OUT = (
    b'{"id":1,"answer":"an answer","state":"done","error":null,"run":"A"}\n'
    b'{"id":"b","answer":"half","state":"partial","error":null,"run":"B"}\n'
    b'{"id":"batch_req_C","custom_id":"c","response":{"status_code":200,"request_id":"C","body":{}},"error":null}\n'
    b'{"id":"batch_req_D","custom_id":"d","response":{"status_code":502,"request_id":"D","body":{}},"error":null}\n'
    b'{"id":"e","answer":null,"state":"failed","error":"why","run":"E"}\n'
)


def line(**facts: Any) -> Any:
    return read_line(7, json.dumps(facts).encode(), "in.jsonl")


def test_a_task_is_a_line_with_an_id_and_maybe_inputs() -> None:
    found = line(id=3, task="Compare", inputs=["docs/", {"name": "notes", "text": "tea"}])
    assert (found.key, found.form, found.task) == ("3", "task", "Compare")
    assert found.inputs == ("docs/", Input("notes", "tea"))


def test_a_request_is_a_line_as_openai_and_together_take_it() -> None:
    body = {"model": "sim:x", "messages": [{"role": "user", "content": "hello"}]}
    openai = line(custom_id="a", method="POST", url="/v1/chat/completions", body=body)
    together = line(custom_id="a", body=body)
    assert openai.form == together.form == "chat"
    assert openai.body == together.body == body
    assert line(custom_id="a", url="/v1/responses", body={"model": "m", "input": "x"}).form == "response"


@pytest.mark.parametrize(
    ("written", "why"),
    [
        (b"{", "no JSON"),
        (b"\xff\xfe", "no JSON"),
        (b"[1]", "no JSON object"),
        (b"{}", "no id"),
        (b'{"id": true, "task": "x"}', "no id"),
        (b'{"id": " ", "task": "x"}', "no id"),
        (b'{"id": 1}', "say under task"),
        (b'{"id": 1, "task": " "}', "say under task"),
        (b'{"id": 1, "tsk": "x"}', "did you mean 'task'"),
        (b'{"id": 1, "task": "x", "inputs": "a"}', "inputs is no list"),
        (b'{"id": 1, "task": "x", "inputs": [1]}', "inputs: "),
        (b'{"id": 1, "task": "x", "inputs": ["-"]}', "inputs: "),
        (b'{"id": 1, "task": "x", "inputs": [{"name": "a", "txt": "b"}]}', "'a' has no text"),
        (b'{"custom_id": "a", "url": "/v1/embeddings", "body": {}}', "unknown url '/v1/embeddings'"),
        (b'{"custom_id": "a", "method": "GET", "body": {}}', "only POST"),
        (b'{"custom_id": "a"}', "body is no JSON object"),
        (b'{"custom_id": 1.5, "body": {}}', "no custom_id"),
        (b'{"id": "a", "body": {}}', "a line has custom_id"),
        (b'{"body": {}}', "no custom_id"),
    ],
)
def test_a_line_that_cannot_be_used_names_its_place_and_what_to_do(written: bytes, why: str) -> None:
    with pytest.raises(TaskError, match=r"^in\.jsonl: line 7: ") as told:
        read_line(7, written, "in.jsonl")
    assert why in str(told.value)


def test_blank_lines_and_a_byte_order_mark_are_no_lines_but_count() -> None:
    file = io.BytesIO(b'\xef\xbb\xbf{"id": 1}\n\n  \r\n{"id": 2}')
    assert list(raw_lines(file, "in.jsonl")) == [(1, b'{"id": 1}'), (4, b'{"id": 2}')]


def test_what_is_there_is_known_by_its_id_and_state(tmp_path: Path) -> None:
    out = written(tmp_path, OUT)
    assert out.states == {
        mark("1"): "done",
        mark("b"): "partial",
        mark("c"): "done",
        mark("d"): "failed",
        mark("e"): "failed",
    }


@given(st.integers(0, len(OUT)))
def test_wherever_the_file_was_cut_its_whole_lines_stay_and_the_next_goes_behind_them(
    tmp_path_factory: pytest.TempPathFactory, end: int
) -> None:
    out = written(tmp_path_factory.mktemp("cut"), OUT[:end])
    whole = OUT[:end].splitlines(keepends=True)
    if whole and not whole[-1].endswith(b"\n"):
        only_its_end = any(each == whole[-1] + b"\n" for each in OUT.splitlines(keepends=True))
        whole[-1:] = [whole[-1] + b"\n"] if only_its_end else []
    with out:
        out.write(b'{"id":"z"}\n')
    assert out.path.read_bytes() == b"".join(whole) + b'{"id":"z"}\n'
    assert len(out.states) == len(whole)


@pytest.mark.parametrize("name", ["-", "/dev/null", "pipe", "."])
def test_what_is_no_file_cannot_be_gone_on_with(name: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(TaskError, match=r"name one"):
        OutFile(tmp_path / name if name == "pipe" else Path(name)).read()


def test_a_file_of_which_lines_are_taken_out_stays_where_it_is_and_as_open_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "real.jsonl").write_bytes(OUT)
    (tmp_path / "own" / "real.jsonl").chmod(0o640)
    link = tmp_path / "out.jsonl"
    link.symlink_to(tmp_path / "own" / "real.jsonl")
    out = OutFile(link, retry_failed=True)
    out.read()
    with out:
        pass
    assert link.is_symlink()
    assert link.stat().st_mode & 0o777 == 0o640
    assert b'"failed"' not in link.read_bytes()


def test_lines_that_failed_are_taken_out_to_be_done_again(tmp_path: Path) -> None:
    out = written(tmp_path, OUT.rstrip(b"\n"), retry_failed=True)
    with out:
        out.write(b'{"id":"z"}\n')
    assert out.path.read_bytes() == b"".join(OUT.splitlines(keepends=True)[:3]) + b'{"id":"z"}\n'
    assert set(out.states) == {mark("1"), mark("b"), mark("c")}
    assert [each.name for each in tmp_path.iterdir()] == ["out.jsonl"]


@pytest.mark.parametrize("other", [b"notes of mine", b"notes of mine\n", b'{"id":1,"task":"x"}\n', OUT + b"\nx\n"])
def test_a_file_that_no_batch_has_written_stays_as_it_is(tmp_path: Path, other: bytes) -> None:
    path = tmp_path / "out.jsonl"
    path.write_bytes(other)
    with pytest.raises(TaskError, match=r"is no line that a batch has written"):
        OutFile(path).read()
    assert path.read_bytes() == other


def written(folder: Path, content: bytes, *, retry_failed: bool = False) -> OutFile:
    (folder / "out.jsonl").write_bytes(content)
    out = OutFile(folder / "out.jsonl", retry_failed=retry_failed)
    out.read()
    return out
