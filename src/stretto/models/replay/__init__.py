"""The model of a replay: it answers each call of a run from the run's records."""

from stretto.models.replay.model import Order, Replay
from stretto.models.replay.records import ANY, RecordedCall, Records

__all__ = ["ANY", "Order", "RecordedCall", "Records", "Replay"]
