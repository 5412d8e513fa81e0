"""Who does what, as users write it: roles, models alone or functions become roles, and are checked at the door."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal, TypeVar

import msgspec
from msgspec.structs import replace

from stretto import prompts
from stretto.engine.checking import checker_of
from stretto.errors import ConfigError
from stretto.ground.text import nearest
from stretto.models.functions import Function, function_role, speakers
from stretto.models.providers import FORMS, Local, Provider, split_model
from stretto.pool import AnyProvider
from stretto.shapes import Shape, check_schema, shape_of
from stretto.types import Definition, Input, Role, RoleName
from stretto.types.checks import check_numbers, check_options, checked_limits

Worker = Role | str | Function | Callable[..., Any]
"""Who does a type of subtasks: a role, its model alone, or a Python function."""

AnyModel = str | Sequence[str] | Mapping[str, str | Sequence[str]]
"""A model for all roles, with its fallbacks behind it if it is a list; or such by role, as `-m ROLE=MODEL` has them."""

MOST_REPLIES = 64
"""Of an ensemble: what is more than that is a mistake, or a bill nobody wants."""
_NEEDS = ("any", "all")
_EXPIRED = ("live", "fail")
_MERGES = ("synthesize", "vote", "best")
WORKERS_OWN = ("models", "samples", "merge", "check", "workflow", "share", "needs", "batch", "expired")
"""What only a worker has."""
_USUAL = Role()
_NO_MODEL = ("workflow", "prompt", "about", "check", "needs")
"""What a worker may say that is a workflow; all else its own roles say."""
DEEPEST = 3
"""How deep workflows do the subtasks of others: the run's is the first."""

Kind = RoleName | Literal["checker"]
_W = TypeVar("_W")


def as_role(role: Role | str, place: str) -> Role:
    """A role, or the one that a model alone has; raises `ConfigError` if it is neither."""
    if not isinstance(role, Role | str):
        raise ConfigError(f"{place}: must be a Role or the name of a model (openai:gpt-4o), not {role!r}")
    made = Role(role) if isinstance(role, str) else role
    if made.schema is None or isinstance(made.schema, dict):
        return made
    return replace(made, schema=shape_of(made.schema, f"{place}.schema").schema)


def as_mapping(workers: Mapping[str, _W]) -> Mapping[str, _W]:
    """The workers; raises `ConfigError` if they have no types."""
    if not isinstance(workers, Mapping):
        raise ConfigError(
            f"workers: must map types of subtasks to who does them, as {{'general': 'openai:gpt-4o'}}, not {workers!r}"
        )
    return workers


def as_worker(name: str, worker: Worker, functions: dict[str, Callable[..., Any]]) -> Role:
    """The role of a worker, its checker a role as well; functions are put among the others.

    A role with `models` and no `model` has the first of them.
    """
    place = f'workers."{name}"'
    if not isinstance(worker, Role | str):
        function = _function(worker, place, "a worker is a Role, a model's name or a function")
        role = _function_role(function, place, functions)
        return replace(role, check=_as_checker(function.check, f"{place}.check", functions))
    role = as_role(worker, place)
    if role.workflow is not None:
        check = _as_checker(role.check, f"{place}.check", functions)
        return replace(role, workflow=_within(role.workflow, functions), check=check)
    if not isinstance(role.models, tuple):
        if not isinstance(role.models, list):
            raise ConfigError(f"{place}.models: must be a list of models, not {role.models!r}")
        role = replace(role, models=tuple(role.models))
    if role.models and not any(role.candidates):
        role = replace(role, model=role.models[0])
    return replace(role, check=_as_checker(role.check, f"{place}.check", functions))


def _within(definition: Definition, functions: dict[str, Callable[..., Any]]) -> Definition:
    """A workflow that does subtasks of another, with its own workers as they are to be."""
    workers = {name: as_worker(name, worker, functions) for name, worker in definition.workers.items()}
    return replace(definition, workers=workers, limits=checked_limits(definition.limits))


def _as_checker(check: Any, place: str, functions: dict[str, Callable[..., Any]]) -> Role | None:
    """The role of a checker, however it is given."""
    if check is None or isinstance(check, Role):
        return check
    if isinstance(check, str):
        if not check.strip():
            raise ConfigError(f"{place}: it is empty; say what to look at, or leave it out")
        return Role(about=check)
    function = _function(check, place, "a check is a text (what to look at), a Role or a function")
    if function.check is not None:
        raise ConfigError(f"{place}.check: a checker is not checked itself")
    return _function_role(function, place, functions)


def _function(given: Any, place: str, may_be: str) -> Function:
    if not isinstance(given, Function) and not callable(given):
        raise ConfigError(f"{place}: {may_be}, not {given!r}")
    return given if isinstance(given, Function) else Function(given)


def _function_role(function: Function, place: str, functions: dict[str, Callable[..., Any]]) -> Role:
    full, role = function_role(function, place)
    if functions.setdefault(full, function.call) != function.call:  # a method is another object each time
        raise ConfigError(f"{place}: another worker's function is called {full}, too; give them different names")
    return role


def shaped(definition: Definition, answer: Any) -> tuple[Definition, Shape | None]:
    """The definition with the schema of its answer, and the shape of that; `answer` is how a user gives it, if any."""
    synthesizer = definition.synthesizer
    if answer is None:
        given = synthesizer.schema if synthesizer else None
        return definition, None if given is None else Shape(given)
    if synthesizer is None:
        raise ConfigError("answer: it is the synthesizer that writes one; give the workflow a synthesizer")
    if synthesizer.schema is not None:
        raise ConfigError("answer: synthesizer.schema says it already; keep one of the two")
    shape = shape_of(answer, "answer")
    return replace(definition, synthesizer=replace(synthesizer, schema=shape.schema)), shape


def roles(definition: Definition, path: str = "") -> Iterator[tuple[str, Kind, Role]]:
    """Every role that asks a model, with its place in the configuration; a checker has the model it will be asked with.

    Those of workflows that do subtasks are among them.
    """
    if definition.orchestrator:
        yield f"{path}orchestrator", "orchestrator", definition.orchestrator
    for name, role in definition.workers.items():
        place = f'{path}workers."{name}"'
        if role.workflow is not None:
            yield from roles(role.workflow, f"{place}.workflow.")
        else:
            yield place, "worker", role
        if checker := checker_of(definition, role):
            yield f"{place}.check", "checker", checker
    if definition.synthesizer:
        yield f"{path}synthesizer", "synthesizer", definition.synthesizer


def check_definition(definition: Definition, providers: Mapping[str, AnyProvider]) -> None:
    """Raise `ConfigError` naming the place, for whatever cannot work."""
    _check_team(definition)
    for place, kind, role in roles(definition):
        if kind != "worker" and (own := next((key for key in WORKERS_OWN if _says(role, key)), None)):
            raise ConfigError(f"{place}.{own}: {workers_only(own)}")
        if role.models:
            _check_models(role.models, f"{place}.models", providers)
        _check_models(role.candidates, f"{place}.model", providers)
        _check_ensemble(role, place)
        prompts.check(kind, role.prompt, f"{place}.prompt")
        _check_schema(kind, role, f"{place}.schema")
        _check_lengths(role, place)
        _check_batch(role, place, providers)
        check_options(f"{place}.options", role.options)
        for key in Role.__struct_fields__:
            try:
                msgspec.json.encode(getattr(role, key))
            except (TypeError, ValueError) as error:
                raise ConfigError(f"{place}.{key}: cannot be written as JSON: {error}") from error
    for name, known in providers.items():
        if isinstance(known, Local):
            check_numbers(f"providers.{name}", known, ("parallel", "context", "threads", "memory"), (), ())
        if isinstance(known, Provider):
            waits = ("connect", "first_byte", "silence")
            check_numbers(f"providers.{name}", known, ("parallel",), ("rpm", "tpm"), waits)
            _check_batches(name, known)


def _check_team(definition: Definition, path: str = "", depth: int = 1) -> None:
    """Raise `ConfigError` if workers are missing, or workflows do each other's subtasks in a way that cannot work."""
    if not definition.workers:
        raise ConfigError(f"{path}workers: a workflow needs one worker at least")
    for name, role in definition.workers.items():
        place = f'{path}workers."{name}"'
        if role.share and definition.orchestrator is not None:
            raise ConfigError(
                f"{place}.share: who reads the inputs by shares is planned for by none; leave the orchestrator out "
                "(orchestrator = false), or share"
            )
        if role.workflow is None:
            continue
        if depth >= DEEPEST:
            raise ConfigError(f"{place}.workflow: workflows do subtasks {DEEPEST} deep at the most")
        for key in Role.__struct_fields__:
            if key not in _NO_MODEL and _says(role, key):
                raise ConfigError(f"{place}.{key}: a workflow does this work; say {key} of its own roles")
        prompts.check("worker", role.prompt, f"{place}.prompt")
        _check_team(role.workflow, f"{place}.workflow.", depth + 1)


def workers_only(key: str) -> str:
    """What is wrong about a key of workers in another role."""
    remedy = "its fallbacks are a list in model" if key == "models" else "leave it out here"
    return f"only a worker has {key}; {remedy}"


def _says(role: Role, key: str) -> bool:
    """Whether a role says anything under a key."""
    return bool(getattr(role, key) != getattr(_USUAL, key))


def check_images(inputs: Sequence[Input], definition: Definition, providers: Mapping[str, Mapping[str, Any]]) -> None:
    """Raise `ConfigError` if there are images and a role that can be sent none; `providers` as a run records them."""
    if not any(each.data for each in inputs):
        return
    for place, _, role in roles(definition):
        for models in (role.candidates, *((model,) for model in role.models)):
            names = [model.partition(":")[0] for model in models]
            if not any(providers.get(name, {}).get("images", True) for name in names):
                raise ConfigError(
                    f"{place}.model: the task comes with images, and provider {names[0]!r} takes none (images = "
                    "false); name a model that takes them, or leave them out"
                )


def _check_ensemble(role: Role, place: str) -> None:
    check_numbers(place, role, ("samples",), ())
    if role.merge not in _MERGES:
        raise ConfigError(f"{place}.merge: must be {', '.join(_MERGES[:-1])} or {_MERGES[-1]}, not {role.merge!r}")
    if role.needs not in _NEEDS:
        raise ConfigError(f"{place}.needs: must be {' or '.join(_NEEDS)}, not {role.needs!r}")
    asked = max(1, len(role.models)) * role.samples
    if asked > MOST_REPLIES:
        key = "samples" if role.samples > 1 else "models"
        raise ConfigError(f"{place}.{key}: {asked} replies for each subtask; {MOST_REPLIES} at the most")
    key = "models" if role.models else "samples"
    if (role.models or asked > 1) and not all(speakers(Role(model)) for model in role.models or role.candidates[:1]):
        raise ConfigError(f"{place}.{key}: a function gives the same each time; ensembles are of models")


def _check_schema(kind: Kind, role: Role, place: str) -> None:
    if role.schema is None:
        return
    if kind == "orchestrator":
        raise ConfigError(f"{place}: a plan has a form of its own; a schema belongs to a worker or the synthesizer")
    if kind == "checker":
        raise ConfigError(f"{place}: a verdict has a form of its own; a schema belongs to a worker or the synthesizer")
    if not speakers(role):
        raise ConfigError(f"{place}: a function gives what it gives; a schema belongs to a model")
    check_schema(role.schema, place)


def _check_batch(role: Role, place: str, providers: Mapping[str, AnyProvider]) -> None:
    if role.expired not in _EXPIRED:
        raise ConfigError(f"{place}.expired: must be {' or '.join(_EXPIRED)}, not {role.expired!r}")
    for model in role.all_models if role.batch else ():
        name = model.partition(":")[0]
        provider = providers[name]
        if isinstance(provider, Local) or (isinstance(provider, Provider) and provider.batches == "none"):
            others = sorted(name for name, each in providers.items() if has_batches(each))
            told = f' (or {name!r}, if it has OpenAI\'s: [providers.{name}] batches = "openai")'
            raise ConfigError(
                f"{place}.batch: no Batch API is known of provider {name!r}; name a model of one that has it: "
                f"{', '.join(others)}{told if isinstance(provider, Provider) else ''}, or leave batch out"
            )


def has_batches(provider: AnyProvider) -> bool:
    """Whether a provider is known to have a Batch API."""
    return isinstance(provider, Provider) and provider.batches != "none"


def _check_batches(name: str, provider: Provider) -> None:
    if provider.batches not in FORMS:
        raise ConfigError(f"providers.{name}.batches: must be {' or '.join(FORMS)}, not {provider.batches!r}")
    if not isinstance(provider.batch_price, int | float) or not 0 < provider.batch_price <= 1:
        raise ConfigError(f"providers.{name}.batch_price: must be above 0, and 1 at the most")


def _check_lengths(role: Role, place: str) -> None:
    for key, least in (("context", 256), ("share", 100)):
        tokens = getattr(role, key)
        if tokens is not None and (not isinstance(tokens, int) or isinstance(tokens, bool) or tokens < least):
            raise ConfigError(f"{place}.{key}: must be a whole number of tokens, {least:,} or more, not {tokens!r}")


def _check_models(models: Sequence[str], place: str, providers: Mapping[str, AnyProvider]) -> None:
    if not models:
        raise ConfigError(f"{place}: no model at all; name one as provider:model")
    for model in models:
        if not isinstance(model, str):
            raise ConfigError(f"{place}: a model is written provider:model, not {model!r}")
        provider, _ = split_model(model, place)
        if provider not in providers:
            raise ConfigError(
                f"{place}: unknown provider {provider!r}{_meant(provider, providers)} {', '.join(sorted(providers))}; "
                f"[providers.{provider}] with a base_url adds one"
            )


def _meant(word: str, known: Iterable[str]) -> str:
    near = nearest(word, known, 0.6)
    return f"; did you mean {near!r}? Known are" if near else "; known are"
