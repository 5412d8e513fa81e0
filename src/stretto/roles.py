"""Who does what, as users write it: roles, models alone or functions become roles, and are checked at the door."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec
from msgspec.structs import replace

from stretto import prompts
from stretto.errors import ConfigError
from stretto.limits import check_numbers
from stretto.models.functions import Function, function_role, is_function
from stretto.models.providers import Provider, split_model
from stretto.pool import AnyProvider
from stretto.shapes import Shape, check_schema, shape_of
from stretto.types import Definition, Role, RoleName

Worker = Role | str | Function | Callable[..., Any]
"""Who does a type of subtasks: a role, its model alone, or a Python function."""


def as_role(role: Role | str) -> Role:
    """A role, or the one that a model alone has."""
    return Role(role) if isinstance(role, str) else role


def as_worker(name: str, worker: Worker, functions: dict[str, Callable[..., Any]]) -> Role:
    """The role of a worker; a function is put among the others."""
    if isinstance(worker, Role | str):
        return as_role(worker)
    place = f'workers."{name}"'
    if not isinstance(worker, Function) and not callable(worker):
        raise ConfigError(f"{place}: a worker is a Role, a model's name or a function, not {worker!r}")
    function = worker if isinstance(worker, Function) else Function(worker)
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


def roles(definition: Definition) -> Iterator[tuple[str, RoleName, Role]]:
    """Every role, with its place in the configuration."""
    if definition.orchestrator:
        yield "orchestrator", "orchestrator", definition.orchestrator
    for name, role in definition.workers.items():
        yield f'workers."{name}"', "worker", role
    if definition.synthesizer:
        yield "synthesizer", "synthesizer", definition.synthesizer


def check_definition(definition: Definition, providers: Mapping[str, AnyProvider]) -> None:
    """Raise `ConfigError` naming the place, for whatever cannot work."""
    if not definition.workers:
        raise ConfigError("workers: a workflow needs one worker at least")
    for place, kind, role in roles(definition):
        _check_models(role, f"{place}.model", providers)
        prompts.check(kind, role.prompt, f"{place}.prompt")
        _check_schema(kind, role, f"{place}.schema")
        _check_lengths(kind, role, place)
        for key in Role.__struct_fields__:
            try:
                msgspec.json.encode(getattr(role, key))
            except (TypeError, ValueError) as error:
                raise ConfigError(f"{place}.{key}: cannot be written as JSON: {error}") from error
    for name, known in providers.items():
        if isinstance(known, Provider):
            waits = ("connect", "first_byte", "silence")
            check_numbers(f"providers.{name}", known, ("parallel",), ("rpm", "tpm"), waits)


def _check_schema(kind: RoleName, role: Role, place: str) -> None:
    if role.schema is None:
        return
    if kind == "orchestrator":
        raise ConfigError(f"{place}: a plan has a form of its own; a schema belongs to a worker or the synthesizer")
    if is_function(role):
        raise ConfigError(f"{place}: a function gives what it gives; a schema belongs to a model")
    check_schema(role.schema, place)


def _check_lengths(kind: RoleName, role: Role, place: str) -> None:
    if kind != "worker" and role.share is not None:
        raise ConfigError(f"{place}.share: shares of the inputs are read by workers; set it on one of them")
    for key, least in (("context", 1000), ("share", 100)):
        tokens = getattr(role, key)
        if tokens is not None and (not isinstance(tokens, int) or isinstance(tokens, bool) or tokens < least):
            raise ConfigError(f"{place}.{key}: must be a whole number of tokens, {least:,} or more, not {tokens!r}")


def _check_models(role: Role, place: str, providers: Mapping[str, AnyProvider]) -> None:
    if not role.candidates:
        raise ConfigError(f"{place}: no model at all; name one as provider:model")
    for model in role.candidates:
        provider, _ = split_model(model, place)
        if provider not in providers:
            names = ", ".join(sorted(providers))
            raise ConfigError(
                f"{place}: unknown provider {provider!r}; known are {names}; [providers.{provider}] with a base_url "
                "adds one"
            )
