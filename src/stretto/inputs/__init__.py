"""Reading what a task comes with: files, folders, globs, addresses, standard input."""

from stretto.inputs.gathering import MOST, Gathered, gather, read_inputs

__all__ = ["MOST", "Gathered", "gather", "read_inputs"]
