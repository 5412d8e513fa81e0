"""A store is its owner's only, however its files came to be."""

import os
from pathlib import Path

import pytest

from stretto import Workflow
from stretto.errors import StoreError
from stretto.store.schema import connect


def modes(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir() if "runs.db" in path.name}


def test_a_store_that_was_made_open_to_all_is_closed_before_anything_goes_into_it(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        store = tmp_path / "runs.db"
        store.touch()
        (tmp_path / "runs.db.locks").mkdir()
        db = connect(store)
        assert modes(tmp_path)["runs.db"] == 0o600
        flow = Workflow("sim:instant", {"w": "sim:instant"}, store=store)
        flow.run_sync("Name three uses of a brick")
        db.execute("SELECT count(*) FROM events").fetchone()  # whoever reads keeps the write-ahead log there
        for path in tmp_path.glob("runs.db*"):
            path.chmod(0o755 if path.is_dir() else 0o644)  # a copy, say
        flow.run_sync("Name three uses of a brick")
        assert {"runs.db-wal", "runs.db-shm"} <= set(modes(tmp_path))
        assert all(mode & 0o077 == 0 for mode in modes(tmp_path).values())
        db.close()
    finally:
        os.umask(before)


def test_what_is_no_store_is_left_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("not a store, and readable for all\n" * 100)
    file.chmod(0o644)
    with pytest.raises(StoreError, match="not an intact SQLite file"):
        connect(file)
    assert file.stat().st_mode & 0o777 == 0o644


def test_a_link_that_leads_to_nothing_yet_becomes_a_store(tmp_path: Path) -> None:
    (tmp_path / "link.db").symlink_to("runs.db")
    connect(tmp_path / "link.db").close()
    assert modes(tmp_path) == {"runs.db": 0o600}
