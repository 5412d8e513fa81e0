"""Rerunning: a new run over the records of an earlier one, which asks only what has changed."""

from stretto.rerun.beginning import (
    EVERYTHING,
    Rerun,
    basis_of,
    fresh_of,
    given_before,
    given_results,
    plans_within,
    rerun_of,
)

__all__ = ["EVERYTHING", "Rerun", "basis_of", "fresh_of", "given_before", "given_results", "plans_within", "rerun_of"]
