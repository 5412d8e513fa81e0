"""Python functions as workers and as checkers: a provider whose models are functions."""

import asyncio
import inspect
import os
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from stretto.calls import Call, Chunk, Done, Sent, Text
from stretto.errors import CallError, ConfigError
from stretto.ground.aside import in_thread
from stretto.ground.text import clean
from stretto.types import Result, Role, Subtask, Usage
from stretto.types.keywords import Keyworded

PROVIDER = "python"
THREADS = min(32, (os.cpu_count() or 1) + 4)
"""Calls of one function that is not `async`, at a time: as many as threads of asyncio's own."""


class Function(Struct, frozen=True, metaclass=Keyworded):
    """A Python function that does subtasks: `call(subtask)`, or `call(subtask, results)` with the texts it needs by id.

    - `call`: what gives the result as a text; if it is `async` it is awaited, else it runs in a thread.
    - `version`: a part of its identity beside its module and qualified name, `"1"`: raise it when the function does
      something else, or recorded results are reused.
    - `about`: what it is good for, in one line that the orchestrator reads; the first line of its docstring if empty.
    - `check`: who reads its results, as of a role; None: nobody does.

    As a checker (`Role(…, check=…)`) it is called `call(subtask, text)` and gives True if the text holds, False or what
    is wrong with it if not, None if it cannot tell; a pair of True, False or None and a remark says both.
    """

    call: Callable[..., Any]
    version: str = "1"
    about: str = ""
    check: "Role | str | Function | Callable[..., Any] | None" = None


class Functions(Struct, frozen=True):
    """The provider `python`: functions by `MODULE.QUALNAME@VERSION`."""

    known: Mapping[str, Callable[..., Any]]


class _Work(Struct, frozen=True, omit_defaults=True):
    """What a function is asked: its subtask and the results that needs, in the plan's order; or a text to be checked.

    Of what is checked, `needs` are ids alone.
    """

    type: str
    description: str
    needs: dict[str, str] | tuple[str, ...] = {}
    result: str | None = None


def function_role(worker: Function, place: str) -> tuple[str, Role]:
    """The name of a function among the provider's, and the role it plays; raises `ConfigError` if it has no name."""
    call = worker.call
    module, name = getattr(call, "__module__", None), getattr(call, "__qualname__", "<none>")
    if not module or name.endswith((">",)):
        raise ConfigError(
            f"{place}: {call!r} has no name of its own, by which its results could be found again; def one"
        )
    full = f"{module}.{name}@{worker.version}"
    about = worker.about or (inspect.getdoc(call) or "").partition("\n")[0]
    return full, Role(f"{PROVIDER}:{full}", about=about)


def speakers(role: Role) -> tuple[str, ...]:
    """The models of a role that can be told something in words: those it asks, or the first of an ensemble.

    None of a function, which is given data and says the same each time, nor of a workflow, whose roles have their own.
    """
    names = role.candidates if any(role.candidates) else role.models[:1]
    return () if not any(names) or names[0].startswith(f"{PROVIDER}:") else tuple(names)


def work(subtask: Subtask, needed: Sequence[tuple[Subtask, Result]]) -> str:
    """What a function is asked, as the text of a request: the same subtask is the same call."""
    texts = {need.id: result.text for need, result in needed}
    return msgspec.json.encode(_Work(subtask.type, subtask.description, texts)).decode()


def review(subtask: Subtask, text: str) -> str:
    """What a function that checks is asked, as the text of a request."""
    return msgspec.json.encode(_Work(subtask.type, subtask.description, subtask.needs or {}, clean(text))).decode()


class FunctionModel:
    """A `Model` that calls a function; `timeout`: seconds it may take. What the function raises is a `CallError`.

    What a checker finds is said as JSON: a `verdict` (`holds`, `fails`, `unsure`) and a `remark`.
    """

    def __init__(self, name: str, function: Callable[..., Any], timeout: float) -> None:
        self._name = f"{PROVIDER}:{name}"
        self._function = function
        self._timeout = timeout
        self._with_results = _takes_two(function)

    async def stream(self, call: Call) -> AsyncGenerator[Chunk, None]:
        """What the function returns, as one chunk."""
        yield Sent()
        yield Text(clean(await self._said(call)))
        yield Done("stop", Usage(), self._name)

    async def _said(self, call: Call) -> str:
        asked = msgspec.json.decode(call.request.messages[-1].content, type=_Work)
        subtask = Subtask(call.subtask or "", asked.type, asked.description, tuple(asked.needs), call.value)
        if asked.result is not None:
            return self._verdict(await self._returned(subtask, asked.result))
        text = await self._returned(*((subtask, asked.needs) if self._with_results else (subtask,)))
        if not isinstance(text, str):
            raise CallError(f"{self._name}: returned {type(text).__name__}; a result is a text")
        return text

    def _verdict(self, found: Any) -> str:
        """What a checker returned as a verdict; whatever is none is a `CallError`, so that nobody guesses."""
        holds, remark = found if isinstance(found, tuple) and len(found) == 2 else (found, "")
        if isinstance(holds, str) and holds.strip() and not remark:
            holds, remark = False, holds
        if not (holds is None or isinstance(holds, bool)) or not isinstance(remark, str):
            what = "an empty text" if isinstance(found, str) else type(found).__name__
            raise CallError(f"{self._name}: returned {what}; a checker returns True, False, None, or what is wrong")
        verdict = "unsure" if holds is None else "holds" if holds else "fails"
        return msgspec.json.encode({"remark": clean(remark), "verdict": verdict}).decode()

    async def _returned(self, *arguments: Any) -> Any:
        try:
            async with asyncio.timeout(self._timeout) as limit:
                return await self._called(*arguments)
        except TimeoutError as error:
            late = limit.expired()
            why = f"did not return within {self._timeout:g} s (timeout)" if late else f"raised TimeoutError: {error}"
            raise CallError(f"{self._name}: {why}") from error
        except (asyncio.CancelledError, SystemExit) as error:
            task = asyncio.current_task()
            if isinstance(error, asyncio.CancelledError) and task and task.cancelling():
                raise  # it is this call that was cancelled, not something the function waited for
            raise CallError(f"{self._name}: raised {type(error).__name__}: {error}") from error
        except Exception as error:
            raise CallError(f"{self._name}: raised {type(error).__name__}: {error}") from error

    async def _called(self, *arguments: Any) -> Any:
        if inspect.iscoroutinefunction(self._function):
            return await self._function(*arguments)
        returned = await in_thread(_outcome, self._function, *arguments)
        return await returned if inspect.isawaitable(returned) else returned


def _outcome(function: Callable[..., Any], *arguments: Any) -> Any:
    """What a function returns, or raises; a coroutine cannot raise `StopIteration`."""
    try:
        return function(*arguments)
    except StopIteration as error:
        raise RuntimeError(f"StopIteration: {error}" if error.args else "StopIteration") from error


def _takes_two(function: Callable[..., Any]) -> bool:
    """Whether a function wants the results, too."""
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    parameters = [each for each in inspect.signature(function).parameters.values() if each.kind in kinds]
    return sum(each.default is inspect.Parameter.empty for each in parameters) > 1
