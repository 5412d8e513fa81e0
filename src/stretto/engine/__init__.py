"""The engine: what carries a run from its task to its answer."""

from stretto.engine.execution import Execution

__all__ = ["Execution"]
