"""With `record = "usage"` nothing that a model said is left, whatever feature it was said for."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import msgspec

from stretto import Input, Memory, Role, Simulator, Workflow


def test_remarks_of_checks_and_quotes_of_references_go_with_the_other_texts(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    worker = Role("sim:instant", samples=2, merge="best", check="Is it right?")
    workflow = Workflow(
        "sim:instant",
        {"part": worker},
        "sim:instant",
        store=path,
        memory=Memory(record="usage"),
        providers={"sim": Simulator(doubts=1.0, length=20)},
    )
    notes = [Input("notes.txt", "the secret of the tea is in the water and in the time\n" * 5)]
    run = asyncio.run(workflow.run("Compare teas in exactly 3 subtasks", inputs=notes))
    assert run.citations
    said = [result.remark for result in run.results.values()]
    said += [one.remark for one in run.coverage.doubtful]
    said += [citation.quote for citation in run.citations] + [result.text for result in run.results.values()]
    said = [text for text in said if text]
    assert any(one.remark for one in run.coverage.doubtful)
    assert any(citation.quote for citation in run.citations)
    with closing(sqlite3.connect(path)) as db:
        left = b"\n".join(body for (body,) in db.execute("SELECT body FROM events"))
    for text in said:
        assert msgspec.json.encode(text)[1:-1] not in left
