"""What was found out about models, kept by the endpoint that has them."""

from collections.abc import Mapping

from msgspec import Struct

from stretto.errors import NoStore
from stretto.events import now
from stretto.store.connecting import opened
from stretto.store.locations import Location
from stretto.store.schema import PATIENCE
from stretto.store.sums import values_sum
from stretto.types import Known

Place = tuple[str, str]
"""A model: the base URL of its endpoint, and its name there."""


_KEEP = """
INSERT INTO models VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (endpoint, model) DO UPDATE
SET context = excluded.context, bytes = excluded.bytes, at = excluded.at, model_sum = excluded.model_sum
"""


class Remembered(Struct, frozen=True):
    """What is remembered of a model, and since when (RFC 3339, UTC)."""

    known: Known
    at: str


def remembered(location: Location, patience: float = PATIENCE) -> dict[Place, Remembered]:
    """All that is remembered; nothing if there is no store yet. A damaged row counts as not there."""
    try:
        with opened(location, create=False, patience=patience) as db:
            rows = db.execute("SELECT endpoint, model, context, bytes, at, model_sum FROM models").fetchall()
    except NoStore:
        return {}
    return {
        (endpoint, model): Remembered(Known(context, each), at)
        for endpoint, model, context, each, at, said in rows
        if values_sum((endpoint, model, context, each, at)) == said
    }


def remember(location: Location, found: Mapping[Place, Known], patience: float = PATIENCE) -> None:
    """Keep what was found out, as of now; raises `StoreError`."""
    if not found:
        return
    # What an endpoint says may be any number, and SQLite holds no larger one.
    held = [(place, known) for place, known in found.items() if abs(known.context or 0) < 2**63]
    rows = [(*place, known.context, known.bytes, now()) for place, known in held]
    with opened(location, patience=patience) as db:
        db.executemany(_KEEP, [(*row, values_sum(row)) for row in rows])
