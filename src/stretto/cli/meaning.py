"""What a command's arguments mean: the workflow that files, environment and flags add up to."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from platformdirs import user_config_path

from stretto.cli.stored import find_run, store_path
from stretto.cli.trusting import Untrusted, trusted
from stretto.config import Choice, Configuration, Source, default_model, read_file, read_preset, read_workflow
from stretto.config.reading import names_a_file
from stretto.config.record import recorded_providers, recorded_roles
from stretto.errors import TaskError
from stretto.ground.files import is_a_file
from stretto.run.mapping import mapped
from stretto.run.roles import roles
from stretto.store.locations import Location
from stretto.store.sqlite import Store
from stretto.types import Definition
from stretto.workflow import Workflow

HERE = Path("stretto.toml")
"""The file that is read wherever one happens to be."""


def name_of(named: str | None) -> str:
    """The name that a workflow has as a model: that of its file, or preset."""
    if named is None:
        return HERE.stem if is_a_file(HERE) else "general"
    return Path(named).stem if names_a_file(named) else named


def usual_files() -> list[Path]:
    """The configuration files that are read if they are there, the most specific first."""
    return [HERE, user_config_path("stretto") / "stretto.toml"]


Layers = tuple[list[Source], list[Source]]
"""Configuration files, the most specific first: what -w names, and the usual ones."""


def layers(named: str | None, but: Path | None = None, untrusted: Untrusted = "ask") -> Layers:
    """The configuration files there are, the most specific first: what -w names, and the usual ones `but` for one.

    What lies in the current folder counts as far as its user trusts it; else `untrusted` says what becomes of it.
    """
    explicit = [read_workflow(named)] if named else []
    usual = [path for path in usual_files() if path != but and is_a_file(path)]
    if named and usual and Path(named).is_file() and usual[0].samefile(named):
        del usual[0]  # -w names it: that is its user's word
    files = [read_file(path) for path in usual]
    if files and usual[0] == HERE:
        files = [*trusted(HERE, files[0], [*explicit, *files[1:]], untrusted), *files[1:]]
    return explicit, files


def chosen_models(models: Sequence[str], *, environment: bool = True) -> dict[str | None, Choice]:
    """`-m MODEL` under None, `-m ROLE=MODEL` under the role, said again a fallback; STRETTO_MODEL is the least."""
    chosen: dict[str | None, Choice] = {}
    if environment and (default := os.environ.get("STRETTO_MODEL")):
        chosen[None] = Choice(default, "STRETTO_MODEL")
    for model in models:
        role, equals, name = model.partition("=")
        # A model's name may contain = as well, but then a colon comes first.
        named = role if equals and ":" not in role else None
        name = model if named is None else name
        first = chosen.get(named)
        again = first is not None and first.by != "STRETTO_MODEL"
        chosen[named] = (
            Choice(first.model, f"{first.by} -m {model}", (*first.fallbacks, name))
            if first is not None and again
            else Choice(name, f"-m {model}")
        )
    return chosen


def build(
    configuration: Configuration,
    models: dict[str | None, Choice],
    flags: dict[str, Any],
    store: Location,
    say: Callable[[str], None],
) -> Workflow:
    """The workflow that files, environment and flags describe; `say` is told which model if nobody named it."""
    default = None
    if configuration.models_missing(models):
        default = default_model(configuration)
        say(f"{default.model}, because {default.by}; -m names another")
    return configuration.workflow(Workflow, models=models, default=default, flags=flags, store=store)


def wanted(flags: dict[str, Any], say: Callable[[str], None]) -> Workflow:
    """The workflow of a new run, as all flags of a command describe it beside files and environment."""
    return build(configured(flags["named"]), chosen_models(flags["models"]), flags, store_path(flags["store"]), say)


def going_on(run: str | None, *, last: bool, flags: dict[str, Any], say: Callable[[str], None]) -> tuple[str, Workflow]:
    """The id of the run that is meant, and the workflow it goes on with: that of then, but for what flags say."""
    store, named = Store(store_path(flags["store"])), flags["named"]
    run_id = find_run(store, run, last=last)
    # STRETTO_MODEL is for new work; a run keeps its models unless a flag says otherwise.
    chosen = chosen_models(flags["models"], environment=bool(named))
    workflow = build(recorded(store, run_id, named), chosen, flags, store.location, say)
    if named is None:
        tell_drift(store, run_id, workflow.definition, say)
    return run_id, workflow


def configured(named: str | None, untrusted: Untrusted = "ask") -> Configuration:
    """The configuration for a new run."""
    explicit, usual = layers(named, untrusted=untrusted)
    return Configuration([*explicit, *usual, read_preset("general")])


def recorded(store: Store, run: str, named: str | None, files: Layers | None = None) -> Configuration:
    """The configuration for a run that goes on or is run again: what -w names, else as it was started.

    `files`: what `layers` has read, if that was done before.
    """
    kept, imported = store.run(run), store.is_imported(run)
    if kept.basis.client:
        raise TaskError(f"run {run} is no task but single calls that came through an endpoint; only `show` tells of it")
    before = kept.workflow
    explicit, usual = files or layers(named)
    known = [*explicit, recorded_roles(run, before, imported=imported), *usual]
    return Configuration([*known, recorded_providers(run, before, Configuration(known).providers(), imported=imported)])


def tell_drift(store: Store, run: str, kept: Definition, say: Callable[[str], None]) -> None:
    """Say it if the file of the current folder has roles that differ from those a run keeps, as it is not read then."""
    if not is_a_file(HERE):
        return
    # Where the file names no model the run's own counts here: which one would be taken is no matter of the file.
    default = Choice(next(model for _, _, role in roles(kept) for model in role.all_models), "the run")
    edited = (
        recorded(store, run, str(HERE)).workflow(Workflow, models={}, default=default, store=store.location).definition
    )
    basis = store.run(run).basis
    old, new = ({place: role for place, _, role in roles(mapped(each, basis))} for each in (kept, edited))
    if differ := [place for place in dict.fromkeys([*old, *new]) if old.get(place) != new.get(place)]:
        say(
            f"the workflow of this run; in ./{HERE} {', '.join(differ)} differ{'s' if len(differ) == 1 else ''}, and "
            f"counts with -w ./{HERE}"
        )
