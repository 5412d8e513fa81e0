"""Answer one task with many language-model calls that overlap.

An orchestrator splits the task into subtasks, workers do them in parallel from the moment each one is planned, and a
synthesizer writes one answer. `Workflow` is where to start.
"""

import importlib

__version__ = "0.1.0"

_ERRORS = (
    "AuthError",
    "BatchError",
    "BudgetError",
    "DayBudgetError",
    "CallError",
    "CallTimeout",
    "CircuitOpen",
    "ConfigError",
    "ConnectError",
    "ContextError",
    "CutError",
    "DeadlineError",
    "EmptyReply",
    "Loading",
    "MissingKey",
    "MissingRecord",
    "NoStore",
    "PlanError",
    "QuotaError",
    "RateLimited",
    "ReplyError",
    "RequestError",
    "RunBusy",
    "RunNotFound",
    "ServerError",
    "ShapeError",
    "StoreError",
    "StoreLocked",
    "StrettoError",
    "TaskError",
    "TransientError",
    "UnfitReply",
    "Unreachable",
    "WorkError",
)
"""The tree in `stretto.errors`, whole."""

# Loaded when first used, so that `import stretto` and `stretto --help` cost next to nothing.
_HOMES = {
    "Coverage": "types",
    "Input": "types",
    "Limits": "types",
    "Memory": "types",
    "Plan": "types",
    "Price": "types",
    "Result": "types",
    "Role": "types",
    "Subtask": "types",
    "Usage": "types",
    "Local": "models.providers",
    "Provider": "models.providers",
    "Fault": "models.simulator",
    "Function": "models.functions",
    "Simulator": "models.simulator",
    "Row": "types",
    "RowStream": "run.rows",
    "Run": "runs",
    "RunStream": "run.stream",
    "Workflow": "workflow",
    "schema_of": "shapes",
    "read_inputs": "inputs",
    "read_list": "inputs.lists",
    "errors": "errors",
    "events": "events",
    "notebook": "notebook",
    "proposal": "proposal",
    # What stands in the signatures of these:
    **dict.fromkeys(("Definition", "Merge", "Message", "RoleName"), "types"),
    **dict.fromkeys(("AnyModel", "Worker"), "run.roles"),
    **dict.fromkeys(("Grain", "Profile", "Tells"), "models.simulator.settings"),
    "AnyPlan": "plan.given",
    "AnyProvider": "pool",
    "Approve": "proposal",
    "Forecast": "forecast",
    "ListForm": "inputs.lists",
    "Listing": "maps.items",
    "ReplayStream": "replay",
    "SchemaMode": "models.providers",
    **dict.fromkeys(_ERRORS, "errors"),
}

__all__ = ["__version__", *sorted(_HOMES)]


def __getattr__(name):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202 - `typing` takes longer than all the rest
    if name not in _HOMES:
        raise AttributeError(f"module 'stretto' has no attribute {name!r}")
    module = importlib.import_module(f"stretto.{_HOMES[name]}")
    return module if _HOMES[name] == name else getattr(module, name)
