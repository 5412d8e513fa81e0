"""Replay: a run once more, from its records, with no key and no network."""

from stretto.replay.recording import Recording, recording_of
from stretto.replay.stream import ReplayStream

__all__ = ["Recording", "ReplayStream", "recording_of"]
