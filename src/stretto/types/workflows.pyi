from collections.abc import Callable, Sequence
from typing import Any, Literal, Protocol, TypeAlias

from msgspec import Struct

from stretto.types.limits import Limits

RoleName: TypeAlias = Literal["orchestrator", "worker", "synthesizer"]
Merge: TypeAlias = Literal["synthesize", "vote", "best"]

class _Function(Protocol):  # `stretto.Function`, which lives above
    @property
    def call(self) -> Callable[..., Any]: ...
    @property
    def version(self) -> str: ...

class Role(Struct, frozen=True):
    model: str | Sequence[str]
    prompt: str | None
    system: str | None
    options: dict[str, Any]
    about: str
    stream: bool
    schema: dict[str, Any] | None
    models: tuple[str, ...]
    samples: int
    merge: Merge
    check: Role | str | None
    workflow: Definition | None
    context: int | None
    share: int | None
    needs: Literal["any", "all"]
    batch: bool
    expired: Literal["live", "fail"]

    def __init__(
        self,
        model: str | Sequence[str] = "",
        prompt: str | None = None,
        system: str | None = None,
        options: dict[str, Any] = {},
        about: str = "",
        stream: bool = False,
        schema: dict[str, Any] | type[Any] | None = None,
        models: Sequence[str] = (),
        samples: int = 1,
        merge: Merge = "synthesize",
        check: Role | _Function | Callable[..., Any] | str | None = None,
        workflow: Definition | None = None,
        context: int | None = None,
        share: int | None = None,
        needs: Literal["any", "all"] = "any",
        batch: bool = False,
        expired: Literal["live", "fail"] = "live",
    ) -> None: ...
    @property
    def candidates(self) -> tuple[str, ...]: ...
    @property
    def all_models(self) -> tuple[str, ...]: ...

class Memory(Struct, frozen=True):
    reuse: Literal["run", "store", "off"] = "run"
    reuse_sampled: bool = False
    record: Literal["all", "usage"] = "all"

class Known(Struct, frozen=True, omit_defaults=True):
    context: int | None = None
    bytes: float | None = None
    others: tuple[str, ...] = ()

class Definition(Struct, frozen=True):
    orchestrator: Role | None
    workers: dict[str, Role]
    synthesizer: Role | None = None
    limits: Limits = ...
    memory: Memory = ...
    known: dict[str, Known] = {}
