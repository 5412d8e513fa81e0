"""What a store promises, of one in PostgreSQL."""

from contract import *  # noqa: F403 - its tests
