"""What a run was started with, as layers of configuration: so that it goes on as it began."""

from collections.abc import Container, Mapping
from typing import Any

from stretto.config.reading import Source
from stretto.errors import ConfigError
from stretto.models.providers import UNTOLD


def recorded_roles(run: str, record: Mapping[str, Any]) -> Source:
    """Roles and limits of a run, from its log."""
    definition = record["definition"]
    return Source(f"run {run}", None, {name: value for name, value in definition.items() if value is not None})


def recorded_providers(run: str, record: Mapping[str, Any], configured: Container[str]) -> Source:
    """The providers of a run that no file configures now, and its prices."""
    if any(table.get("kind") == "functions" for table in record["providers"].values()):
        raise ConfigError(
            f"a worker of run {run} is a Python function, which this command cannot call; go on with it from Python "
            "(Workflow.resume, Workflow.rerun), or name another workflow with -w"
        )
    missing = {name: table for name, table in record["providers"].items() if name not in configured}
    for name, table in missing.items():
        untold = [f"header {header}" for header in table.get("headers", ())]
        untold += ["a query in its base URL"] if str(table.get("base_url")).endswith(UNTOLD) else []
        if untold:
            raise ConfigError(
                f"provider {name!r} of this run has {', '.join(untold)}, which may be secret and is not kept with a "
                "run; resume where its stretto.toml is, or name that with -w"
            )
    return Source(f"run {run}", None, {"providers": missing, "prices": record.get("prices", {})})
