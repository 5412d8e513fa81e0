"""What a run was started with, as layers of configuration: so that it goes on as it began."""

from collections.abc import Container, Mapping
from typing import Any

from stretto.config.reading import Source
from stretto.definitions import endless
from stretto.errors import ConfigError
from stretto.models.providers import KNOWN, UNTOLD


def recorded_roles(run: str, record: Mapping[str, Any]) -> Source:
    """Roles and limits of a run, from its log."""
    definition = record["definition"]
    table = {name: value for name, value in definition.items() if value is not None}
    return Source(f"run {run}", None, {"orchestrator": False, **table, "limits": endless(table.get("limits", {}))})


def recorded_providers(
    run: str, record: Mapping[str, Any], configured: Container[str], *, imported: bool = False
) -> Source:
    """The providers of a run that no file configures now, and its prices.

    Of one that was `imported` no address is taken: whoever made the file might have a key sent there.
    """
    if any(table.get("kind") == "functions" for table in record["providers"].values()):
        raise ConfigError(
            f"a worker of run {run} is a Python function, which this command cannot call; go on with it from Python "
            "(Workflow.resume, Workflow.rerun), or name another workflow with -w"
        )
    missing = {name: table for name, table in record["providers"].items() if name not in configured}
    for name, table in missing.items():
        if imported and table.get("kind") == "endpoint" and not _is_known(name, table):
            raise ConfigError(
                f"run {run} was imported, and asks provider {name!r} at {str(table.get('base_url'))[:200]!r}, which is "
                f"configured nowhere here; if you trust that, say it under [providers.{name}] in a stretto.toml, or "
                "name another workflow with -w"
            )
        untold = [f"header {header}" for header in table.get("headers", ())]
        untold += ["a query in its base URL"] if str(table.get("base_url")).endswith(UNTOLD) else []
        if untold:
            raise ConfigError(
                f"provider {name!r} of this run has {', '.join(untold)}, which may be secret and is not kept with a "
                "run; resume where its stretto.toml is, or name that with -w"
            )
    return Source(f"run {run}", None, {"providers": missing, "prices": record.get("prices", {})})


def _is_known(name: str, table: Mapping[str, Any]) -> bool:
    """Whether a recorded provider is the one everybody knows by its name, with its own key."""
    known = KNOWN.get(name)
    return known is not None and (table.get("base_url"), table.get("key_env")) == (known.base_url, known.key_env)
