"""Virtual time, as the package has it."""

from stretto.virtual import VirtualLoop, clock, virtually

__all__ = ["VirtualLoop", "clock", "virtually"]
