"""Rerunning: a new run over the records of an earlier one, which asks only what has changed."""

from stretto.rerun.beginning import Rerun, basis_of, given_before, given_results, plans_within, rerun_of
from stretto.rerun.explain import Forecast, explain

__all__ = ["Forecast", "Rerun", "basis_of", "explain", "given_before", "given_results", "plans_within", "rerun_of"]
