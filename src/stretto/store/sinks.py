"""What a writer's thread writes into: a store file, or a server."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from stretto.errors import StoreError
from stretto.store.rows import Entry


class Source(Protocol):
    """A run whose rows are written; `error` is what keeps any more of it from being so."""

    run: str
    error: StoreError | None

    def __hash__(self) -> int: ...


class Sink(Protocol):
    """Where rows go. Made in the event loop, used in the writer's thread."""

    @property
    def pause(self) -> float | None:
        """Seconds after which it is to be asked to keep nothing, if nothing comes; None: it need not be."""
        ...

    @property
    def strict(self) -> bool:
        """Whether a request may only leave once it is recorded: somebody on another machine may take its run over."""
        ...

    def keep(self, entries: Mapping[Any, Sequence[Entry]], *, last: bool) -> None:
        """Have entries of runs (`Source`) on the disk when this returns, or the `error` of their run set.

        `last`: nothing comes after.
        """
        ...

    def told(self, error: Exception, source: Source) -> StoreError:
        """What went wrong in writing a run, in words."""
        ...

    def displaced(self) -> StoreError | None:
        """The error to raise if what is written is not where it should be."""
        ...

    def leave(self, source: Source) -> None:
        """Nothing more comes of a run."""
        ...

    def close(self) -> None:
        """Nothing more comes at all."""
        ...
