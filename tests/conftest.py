"""For all tests: which are slow (they start a process) and which drawn, found by what they use; how much is drawn."""

import gc
import multiprocessing
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Generator, Iterator
from inspect import isclass, unwrap
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

import pytest
from hypothesis import settings

import drawn
from in_memory import keep_in_memory

# Or this one and each of some thousand processes compiles anew what it imports.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
# As where a script starts this in the background, or `nohup`; children would ignore it, too, and no Ctrl-C or end of a
# terminal would end one.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
pytest.register_assert_rewrite("contract")
settings.load_profile(drawn.FEW)
keep_in_memory()
_OURS = (str(Path(__file__).parent), str(Path(__file__).parents[1] / "bench"))
_STARTERS: tuple[ModuleType, ...] = (subprocess, multiprocessing, pty)
_STARTING = {"create_subprocess_exec", "create_subprocess_shell", "ProcessPoolExecutor", "fork"}
_FIXTURES = {"pytester"}  # pytest's own
_SHARES = (drawn.share, drawn.some, drawn.whole)


def pytest_xdist_auto_num_workers() -> int:
    """Two processes for each processor (`-n auto`): about half of the time that tests take is waiting."""
    return 2 * (len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """What is imported and collected stays: nothing of it is worth looking for garbage in, neither now nor later."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    known: dict[Any, bool] = {}
    for item in items:
        if isinstance(item, pytest.Function):
            if _starts(item, known):
                item.add_marker("slow")
            if _is_drawn(item, known):
                item.add_marker("drawn")


def _is_drawn(test: pytest.Function, known: dict[Any, bool]) -> bool:
    """Whether it asks for more with the profile `ci`, or stands in a module that does."""
    if test.module not in known:
        known[test.module] = any(
            name in _SHARES for name in vars(test.module).values() if isinstance(name, FunctionType)
        )
    return known[test.module] or hasattr(test.function, "hypothesis")


def _starts(test: pytest.Function, known: dict[Any, bool]) -> bool:
    fixtures = test._fixtureinfo.name2fixturedefs
    used = [test.function, *(one.func for name in test.fixturenames for one in fixtures.get(name, ()))]
    return not _FIXTURES.isdisjoint(test.fixturenames) or any(_reaches(one, known) for one in used)


def _reaches(thing: Any, known: dict[Any, bool]) -> bool:
    """Whether a function or a class of ours starts a process, or uses another one that does."""
    if thing not in known:
        known[thing] = False  # for what comes back to it
        known[thing] = any(
            not _STARTING.isdisjoint(code.co_names) or any(_is_one(around.get(name), known) for name in code.co_names)
            for code, around in _codes(thing)
        )
    return known[thing]


def _is_one(used: Any, known: dict[Any, bool]) -> bool:
    if isinstance(used, FunctionType | type):
        return _reaches(used, known)
    return any(used is starter for starter in _STARTERS)


def _codes(thing: Any) -> Iterator[tuple[CodeType, dict[str, Any]]]:
    """The code of a function, or of a class's methods, with the names around it; only of what is ours."""
    for part in vars(thing).values() if isclass(thing) else (thing,):
        function = unwrap(getattr(part, "fget", None) or getattr(part, "__func__", part))
        function = getattr(getattr(function, "hypothesis", None), "inner_test", function)
        if isinstance(function, FunctionType) and function.__code__.co_filename.startswith(_OURS):
            codes = [function.__code__]
            for code in codes:  # it grows
                codes += (within for within in code.co_consts if isinstance(within, CodeType))
                yield code, function.__globals__
