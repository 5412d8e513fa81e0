"""Whoever stands still in the midst of writing keeps nobody from going on."""

import time
from contextlib import closing

import pytest

from stretto.errors import StoreLocked
from stretto.store.connecting import connect
from stretto.store.database import WRITING, transaction
from stretto.store.locations import Location
from stretto.store.sqlite import Store


def test_a_lock_is_not_kept_by_who_stands_still(where: Location) -> None:
    with closing(connect(where)) as frozen:
        frozen.execute("INSERT INTO carriers VALUES ('01K0001', '0123456789abcdef/1')")
        frozen.execute(WRITING)
        frozen.execute("SELECT run FROM carriers FOR SHARE").fetchall()
        time.sleep(6)
        with Store(where).carrying("01K0001"):
            pass
        with pytest.raises(StoreLocked, match="idle-in-transaction"):
            frozen.execute("UPDATE carriers SET owner = '0123456789abcdef/2'")


def test_a_connection_that_was_ended_so_is_made_again(where: Location) -> None:
    with closing(connect(where)) as db:
        db.execute(WRITING)
        time.sleep(6)
        with pytest.raises(StoreLocked):
            db.execute("SELECT 1")
    with closing(connect(where)) as db, transaction(db):
        db.execute("INSERT INTO carriers VALUES ('01K0001', '0123456789abcdef/1')")
    assert not Store(where).is_carried("01K0001")
