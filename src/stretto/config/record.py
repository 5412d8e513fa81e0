"""What a run was started with, as layers of configuration: so that it goes on as it began."""

from collections.abc import Container, Mapping
from typing import Any

from stretto.config.reading import Source
from stretto.errors import ConfigError
from stretto.models.providers import KNOWN, UNTOLD
from stretto.types import Role
from stretto.types.definitions import endless


def recorded_roles(run: str, record: Mapping[str, Any], *, imported: bool = False) -> Source:
    """Roles and limits of a run, from its log; one that was `imported` lets no budget pass over what is unpriced."""
    definition = record["definition"]
    table = {name: value for name, value in definition.items() if value is not None}
    for name in ("orchestrator", "synthesizer"):
        if name in table:
            table[name] = _role(table[name])
    table["workers"] = {name: _role(worker) for name, worker in table["workers"].items()}
    limits = endless(table.get("limits", {}))
    if imported:
        limits.pop("unpriced", None)
    return Source(f"run {run}", None, {"orchestrator": False, **table, "limits": limits})


def _role(table: Mapping[str, Any]) -> dict[str, Any]:
    """What a record says of a role, as `Role` has it: what a file could say beside that, it cannot (`prompt_file`)."""
    role = {key: value for key, value in table.items() if key in Role.__struct_fields__}
    if isinstance(check := role.get("check"), Mapping):
        role["check"] = _role(check)
    if isinstance(within := role.get("workflow"), Mapping):
        role["workflow"] = {
            name: {each: _role(worker) for each, worker in value.items()}
            if name == "workers"
            else _role(value)
            if name in {"orchestrator", "synthesizer"} and value is not None
            else value
            for name, value in within.items()
        }
    return role


def recorded_providers(
    run: str, record: Mapping[str, Any], configured: Container[str], *, imported: bool = False
) -> Source:
    """The providers of a run that no file configures now, and its prices.

    Of one that was `imported` neither addresses nor prices are taken: whoever made the file might have a key sent
    there, or a budget that is not kept.
    """
    if any(table.get("kind") == "functions" for table in record["providers"].values()):
        raise ConfigError(
            f"a worker of run {run} is a Python function, which this command cannot call; go on with it from Python "
            "(Workflow.resume, Workflow.rerun), or name another workflow with -w"
        )
    missing = {name: table for name, table in record["providers"].items() if name not in configured}
    if imported:
        return Source(f"run {run}", None, {"providers": _harmless(run, missing)})
    for name, table in missing.items():
        untold = [f"header {header}" for header in table.get("headers", ())]
        untold += ["a query in its base URL"] if str(table.get("base_url")).endswith(UNTOLD) else []
        if untold:
            raise ConfigError(
                f"provider {name!r} of this run has {', '.join(untold)}, which may be secret and is not kept with a "
                "run; resume where its stretto.toml is, or name that with -w"
            )
    return Source(f"run {run}", None, {"providers": missing, "prices": record.get("prices", {})})


def _harmless(run: str, providers: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Of the providers of an imported run its simulators; those that everybody knows are known here too."""
    found = dict[str, Any]()
    for name, table in providers.items():
        if table.get("kind") == "simulator":
            found[name] = table
        elif table.get("kind") != "endpoint" or not _is_known(name, table):
            raise ConfigError(
                f"run {run} was imported, and asks provider {name!r} at {str(table.get('base_url'))[:200]!r}, which is "
                f"configured nowhere here; if you trust that, say it under [providers.{name}] in your own file, or "
                "name another workflow with -w"
            )
    return found


def _is_known(name: str, table: Mapping[str, Any]) -> bool:
    """Whether a recorded provider is the one everybody knows by its name, with its own key."""
    known = KNOWN.get(name)
    return known is not None and (table.get("base_url"), table.get("key_env")) == (known.base_url, known.key_env)
