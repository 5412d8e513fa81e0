"""Answer one task with many language-model calls that overlap.

An orchestrator splits the task into subtasks, workers do them in parallel from the moment each one is planned, and a
synthesizer writes one answer. `Workflow` is where to start.
"""

import importlib
from typing import Any

__version__ = "0.1.0"

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
    "Provider": "models.providers",
    "Fault": "models.simulator",
    "Function": "models.functions",
    "Simulator": "models.simulator",
    "Run": "runs",
    "RunStream": "run_stream",
    "Workflow": "workflow",
    "schema_of": "shapes",
    "StrettoError": "errors",
    "read_inputs": "inputs",
    "errors": "errors",
    "events": "events",
    "notebook": "notebook",
    "proposal": "proposal",
}

__all__ = ["__version__", *sorted(_HOMES)]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'stretto' has no attribute {name!r}")
    module = importlib.import_module(f"stretto.{_HOMES[name]}")
    return module if _HOMES[name] == name else getattr(module, name)
