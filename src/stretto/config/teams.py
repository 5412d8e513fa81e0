"""Who does what in a file, and in the workflows that do subtasks of it: tables become roles."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from stretto.config.reading import Source, names_a_file, read_workflow
from stretto.config.values import convert, file_beside, limits_of, role_of
from stretto.errors import ConfigError
from stretto.run.roles import DEEPEST
from stretto.types import Definition, Limits, Role

_OWN_LIMITS = ("max_subtasks", "rounds")
"""What a workflow within another has limits of its own of; all others are the run's."""


class Choice(Struct, frozen=True):
    """A model that was chosen outside of the files, and by what: `-m`, a variable, a key that is there.

    `fallbacks` are the models to ask when that one fails.
    """

    model: str
    by: str
    fallbacks: tuple[str, ...] = ()


class Part(Struct, frozen=True):
    """A role in a file: its place, what `-m` may call it, and its table; one that `inherits` needs no model."""

    place: str
    names: tuple[str, ...]
    table: dict[str, Any]
    source: Source
    inherits: bool = False

    @property
    def named(self) -> bool:
        """Whether the file says which model it is, or that it is another role's."""
        return bool(self.inherits or self.table.get("model") or self.table.get("models"))

    @property
    def bounded(self) -> bool:
        """Whether `--max-tokens` is for it: workers and the synthesizer may be cut short, plans and checks may not."""
        return not self.place.endswith(("orchestrator", ".check"))

    @property
    def works(self) -> bool:
        """Whether it is a worker, whose calls may go out with a batch."""
        return self.place.rpartition(".workflow.")[2].startswith("workers.") and not self.place.endswith(".check")

    def within(self, max_tokens: int) -> "Part":
        """The part with this bound of a reply, whatever its table says of one."""
        if not isinstance(options := self.table.get("options", {}), dict):
            return self  # what is wrong about it is told where it is read
        others = {name: value for name, value in options.items() if name != "max_completion_tokens"}
        return replace(self, table={**self.table, "options": {**others, "max_tokens": max_tokens}})

    def chosen(self, models: Mapping[str | None, Choice]) -> Choice | None:
        """The model that a flag or the environment says for it; who names the role goes before who means all.

        Who means all means no role that has another's model anyway: that may have a name of its own in a flag.
        """
        names = self.names if self.inherits else (*self.names, None)
        return next((models[name] for name in names if name in models), None)

    def role(self, choice: Choice | None) -> Role:
        """The role, with the model that was chosen for it; of an ensemble that gives every reply."""
        table = self.table
        if choice is not None:
            table = {**table, "model": [choice.model, *choice.fallbacks] if choice.fallbacks else choice.model}
            if models := self.table.get("models"):
                table |= {"models": [], "samples": len(models) * table.get("samples", 1)}
        return role_of(table, f"{self.source.name}: {self.place}", self.source.folder)

    @property
    def prompt_file(self) -> Path | None:
        """The file that holds its prompt, if it is one."""
        file = self.table.get("prompt_file")
        return file_beside(file, f"{self.place}.prompt_file", self.source.folder) if file else None


class Team:
    """Who does what: in a file, or (with a `path`) in one that does the subtasks of a worker of another."""

    def __init__(self, source: Source, path: str = "", owner: str = "", depth: int = 1) -> None:
        for section, remedy in (
            ("orchestrator", "add [orchestrator], or orchestrator = false if every worker is to do the whole task"),
            ("workers", "add [workers.general]"),
        ):
            if section not in source.table:
                raise ConfigError(f"{source.name}: {section} is missing beside the other roles; {remedy}")
        self.source = source
        self._path = path
        self._owner = owner
        self._workers: dict[str, dict[str, Any]] = source.table["workers"]
        self._within: dict[str, Team] = {}
        for name, table in self._workers.items():
            if (workflow := table.get("workflow")) is not None:
                place = f"{path}{_worker(name)}.workflow"
                if depth >= DEEPEST:
                    raise ConfigError(f"{source.name}: {place}: workflows do subtasks {DEEPEST} deep at the most")
                own = f"{owner}.{name}" if owner else name
                self._within[name] = Team(_source(workflow, source, place), f"{place}.", own, depth + 1)

    def parts(self) -> Iterator[Part]:
        """Every role that has a model, or is to have one."""
        table = self.source.table
        if table["orchestrator"] is not False:
            yield self._part("orchestrator", ("orchestrator",), table["orchestrator"])
        for name, worker in self._workers.items():
            if name in self._within:
                yield from self._within[name].parts()
            else:
                apart = {key: worker[key] for key in worker if key != "check"}
                yield self._part(_worker(name), (name, "workers"), apart)
            if check := worker.get("check"):
                facts = {"about": check} if isinstance(check, str) else check
                inherits = not facts.get("model")
                yield self._part(_check(name), (f"{name}.check", "checks"), facts, inherits=inherits)
        if "synthesizer" in table:
            yield self._part("synthesizer", ("synthesizer",), table["synthesizer"])

    def definition(self, roles: Mapping[str, Role], limits: Limits | None = None) -> Definition:
        """The workflow of these roles, by their places."""
        workers = {name: self._role(name, roles) for name in self._workers}
        own = {key: value for key, value in self.source.table.get("limits", {}).items() if key in _OWN_LIMITS}
        return Definition(
            roles.get(f"{self._path}orchestrator"),
            workers,
            roles.get(f"{self._path}synthesizer"),
            limits or limits_of(own, f"{self.source.name}: limits"),
        )

    def _role(self, name: str, roles: Mapping[str, Role]) -> Role:
        place, check = f"{self._path}{_worker(name)}", roles.get(f"{self._path}{_check(name)}")
        if name not in self._within:
            return replace(roles[place], check=check)
        table = {key: value for key, value in self._workers[name].items() if key not in {"workflow", "check"}}
        role = role_of(table, f"{self.source.name}: {place}", self.source.folder)
        return replace(role, workflow=self._within[name].definition(roles), check=check)

    def _part(self, place: str, names: tuple[str, ...], table: dict[str, Any], *, inherits: bool = False) -> Part:
        """A role here; within a worker of another file it is that worker's name that `-m` may say, or both."""
        called = (*(f"{self._owner}.{name}" for name in names), self._owner) if self._owner else names
        return Part(self._path + place, called, table, self.source, inherits)


def _worker(name: str) -> str:
    return f'workers."{name}"'


def _check(name: str) -> str:
    return f"{_worker(name)}.check"


def _source(workflow: Any, source: Source, place: str) -> Source:
    """The file or preset that does subtasks of this one; a run's record has it as a table."""
    if isinstance(workflow, dict):
        table = {name: value for name, value in workflow.items() if value is not None}
        return Source(f"{source.name}: {place}", None, {"orchestrator": False, **table})
    named = convert(workflow, str, f"{source.name}: {place}")
    try:
        if names_a_file(named):
            named = str(file_beside(named, "file", source.folder))
        return read_workflow(named if "/" in named or not named.endswith(".toml") else f"./{named}")
    except ConfigError as error:
        raise ConfigError(f"{source.name}: {place}: {error}") from error
