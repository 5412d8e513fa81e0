"""What was found out about models, kept by the endpoint that has them."""

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

from msgspec import Struct

from stretto.events import now
from stretto.store.schema import PATIENCE, connect, explain
from stretto.store.sums import values_sum
from stretto.types import Known

Place = tuple[str, str]
"""A model: the base URL of its endpoint, and its name there."""


class Remembered(Struct, frozen=True):
    """What is remembered of a model, and since when (RFC 3339, UTC)."""

    known: Known
    at: str


def remembered(path: Path, patience: float = PATIENCE) -> dict[Place, Remembered]:
    """All that is remembered; nothing if there is no store yet. A damaged row counts as not there."""
    if not path.exists() or not path.stat().st_size:
        return {}
    with closing(connect(path, create=False, patience=patience)) as db:
        try:
            rows = db.execute("SELECT endpoint, model, context, bytes, at, model_sum FROM models").fetchall()
        except sqlite3.Error as error:
            raise explain(path, error) from error
    return {
        (endpoint, model): Remembered(Known(context, each), at)
        for endpoint, model, context, each, at, said in rows
        if values_sum((endpoint, model, context, each, at)) == said
    }


def _is_held(context: int | None) -> bool:
    """Whether SQLite can hold it: what an endpoint says may be any number."""
    return context is None or abs(context) < 2**63


def remember(path: Path, found: Mapping[Place, Known], patience: float = PATIENCE) -> None:
    """Keep what was found out, as of now; raises `StoreError`."""
    if not found:
        return
    rows = [(*place, known.context, known.bytes, now()) for place, known in found.items() if _is_held(known.context)]
    with closing(connect(path, patience=patience)) as db:
        try:
            db.executemany(
                "INSERT OR REPLACE INTO models VALUES (?, ?, ?, ?, ?, ?)", [(*row, values_sum(row)) for row in rows]
            )
        except sqlite3.Error as error:
            raise explain(path, error) from error
