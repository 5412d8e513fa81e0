"""Fallback: where one model fails, the next one is asked."""

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing

from msgspec.structs import replace

from stretto.calls import Call, Chunk, Done, Model, Notice
from stretto.errors import BudgetError, CallError, CircuitOpen
from stretto.events import RunDegraded
from stretto.policies.attempts import Again, Attempts, until_whole


def never(_first: str, _second: str) -> bool:
    """No model is known to be cheaper than another."""
    return False


class Fallback:
    """Asks the first of `choices` (models as written, each with its policies) and, where one fails, the next.

    Every `CallError` is a reason to go on. A `BudgetError` leads to the next choice that is cheaper, as
    `cheaper(this, that)` says; where there is none, the same model is asked once more for a shorter reply. What was
    passed on of a broken reply is taken back by `Restarted`; a plan is not, its error goes up to be repaired. The last
    error goes up, with the first as its cause. A duplicate goes on only from a model that is left alone: the call it
    races asks the others.

    One instance serves one run: it says each kind of failure once for each change of model.
    """

    def __init__(self, choices: Sequence[tuple[str, Model]], cheaper: Callable[[str, str], bool] = never) -> None:
        self._choices = choices
        self._cheaper = cheaper
        self._told: set[tuple[str, str | None, type[CallError]]] = set()

    def stream(self, call: Call) -> AsyncGenerator[Chunk, None]:
        """The reply of the first model that gives one."""
        return until_whole(call, _Choosing(self, call))

    def ask(self, index: int, call: Call) -> AsyncGenerator[Chunk, None]:
        """Ask one of the choices."""
        name, model = self._choices[index]
        if index == 0:
            return model.stream(call)
        # Its identity stays that of the first choice.
        return _from(name, model.stream(replace(call, request=replace(call.request, model=name))))

    def name(self, index: int) -> str:
        """One of the choices, as written."""
        return self._choices[index][0]

    def after(self, index: int, error: CallError, call: Call) -> int | None:
        """Which choice is asked after this one failed; the same one, for a shorter reply; or none."""
        if call.duplicate and not isinstance(error, CircuitOpen):
            return None
        later = range(index + 1, len(self._choices))
        if not isinstance(error, BudgetError):
            return next(iter(later), None)
        name = self._choices[index][0]
        cheaper = next((choice for choice in later if self._cheaper(name, self._choices[choice][0])), None)
        return index if cheaper is None and not call.shorten else cheaper

    def changes(self, name: str, error: CallError, instead: str | None) -> list[Notice]:
        """What the run gives up by asking another model, or (None) for less, unless it was said before."""
        change = (name, instead, type(error))
        if change in self._told:
            return []
        self._told.add(change)
        if instead is None:
            told = f"{_why(name, error)}; asked for a shorter reply"
            return [Notice(RunDegraded(policy="budget", code="shorter", reason=told))]
        told = f"{_why(name, error)}; asked {instead} instead"
        return [Notice(RunDegraded(policy="fallback", code="fallback", reason=told, instead=instead))]


class _Choosing(Attempts):
    """The attempts at one call: which of the choices is asked, and how those before it failed."""

    __slots__ = ("_call", "_failures", "_fallback", "_index")

    def __init__(self, fallback: Fallback, call: Call) -> None:
        self._fallback = fallback
        self._call = call
        self._index = 0
        self._failures: tuple[tuple[str, CallError], ...] = ()

    def ask(self) -> AsyncGenerator[Chunk, None]:
        return self._fallback.ask(self._index, self._call)

    def failed(self, error: CallError, *, planned: bool) -> Again:
        fallback, index = self._fallback, self._index
        name = fallback.name(index)
        self._failures += ((name, error),)
        further = None if planned else fallback.after(index, error, self._call)
        if further is None:
            raise _altogether(self._failures)
        told = fallback.changes(name, error, None if further == index else fallback.name(further))
        if further == index:
            self._call = replace(self._call, shorten=True)
        self._index = further
        return Again(told)


async def _from(name: str, reply: AsyncGenerator[Chunk, None]) -> AsyncGenerator[Chunk, None]:
    """The reply of another model than the first choice, which says so."""
    async with aclosing(reply) as chunks:
        async for chunk in chunks:
            yield replace(chunk, asked=name) if isinstance(chunk, Done) else chunk


def _why(name: str, error: CallError) -> str:
    said = str(error)
    return said if said.startswith(name) else f"{name}: {said}"


def _altogether(failures: Sequence[tuple[str, CallError]]) -> CallError:
    """The last error; if several models were asked, it says of each why it failed."""
    first, last = failures[0][1], failures[-1][1]
    if len({name for name, _ in failures}) == 1:
        return last
    error = type(last)(
        "; ".join(dict.fromkeys(_why(name, error) for name, error in failures)),
        status=last.status,
        request_id=last.request_id,
        retry_after=last.retry_after,
        allowance=last.allowance,
    )
    error.__cause__ = first
    return error
