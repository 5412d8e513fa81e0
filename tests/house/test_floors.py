"""The house: imports go down, nobody imports in a circle, and nothing happens at import."""

import ast
import importlib
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import stretto
from stretto.ground.regex import regex

HOUSE = Path(stretto.__file__).parent
FLOORS: dict[str, int] = {
    **dict.fromkeys(("types", "errors", "ground", "virtual"), 0),
    **dict.fromkeys(("events", "calls", "records", "runs", "fold", "head", "plan", "prompts", "shapes"), 1),
    **dict.fromkeys(("references", "logger", "views", "maps", "page", "proposal"), 1),
    **dict.fromkeys(("models", "policies", "store", "inputs"), 2),
    **dict.fromkeys(("engine", "pool", "forecast", "rerun", "run", "replay", "config"), 3),
    "workflow": 4,
    **dict.fromkeys(("rehearsal", "cluster"), 5),
    **dict.fromkeys(("batch", "cli", "server", "testing", "notebook", "__main__"), 6),
}
OWED: list[tuple[str, str]] = []  # pairs of rooms that still import each other, each with its reason
"""Imports from a room that comes back to the importing one, which are to go."""
FILES = {
    ".".join(("stretto", *path.relative_to(HOUSE).with_suffix("").parts)).removesuffix(".__init__"): path
    for path in sorted(HOUSE.rglob("*.py"))
}
MODULES = FILES.keys() - {"stretto"}


def room(module: str) -> str:
    return module.split(".")[1]


@cache
def imported(module: str) -> frozenset[str]:
    """The modules of the house that a module imports, anywhere in it."""
    return frozenset(_imported(module))


def statements(node: ast.AST) -> Iterator[ast.AST]:
    """Every statement within, at any depth; no expression has one in it."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.stmt | ast.excepthandler | ast.match_case):
            yield child
            yield from statements(child)


def _imported(module: str) -> Iterator[str]:
    for node in statements(ast.parse(FILES[module].read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{module}: a relative import hides where it goes"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            found = name if name in MODULES else name.rpartition(".")[0]
            if found in MODULES:
                yield found


def test_every_room_has_its_floor() -> None:
    assert {room(module) for module in MODULES} == set(FLOORS)


def test_imports_go_to_the_same_floor_or_down() -> None:
    upwards = [
        f"{module} -> {other}"
        for module in MODULES
        for other in imported(module)
        if FLOORS[room(other)] > FLOORS[room(module)]
    ]
    assert not upwards


def test_no_modules_import_each_other_in_a_circle() -> None:
    graph = {module: imported(module) - {module} for module in MODULES}
    tuple(TopologicalSorter(graph).static_order())  # raises CycleError with the circle


def rooms() -> dict[str, set[str]]:
    """The rooms that each room imports from."""
    found: dict[str, set[str]] = {name: set() for name in FLOORS}
    for module in MODULES:
        found[room(module)] |= {room(other) for other in imported(module)} - {room(module)}
    return found


def test_no_rooms_import_each_other_in_a_circle() -> None:
    graph = rooms()
    for above, below in OWED:
        graph[above] -= {below}
    tuple(TopologicalSorter(graph).static_order())  # raises CycleError with the circle


def test_what_is_owed_is_still_there() -> None:
    graph = rooms()
    assert [each for each in OWED if each[1] not in graph[each[0]]] == [], "strike it from OWED"


def test_there_are_no_type_checking_escapes() -> None:
    """But in the public face, whose signatures name what not every run needs; what it imports there counts as well."""
    assert [name for name, path in FILES.items() if "TYPE_CHECKING" in path.read_text()] == ["stretto.workflow"]


def test_no_expression_is_compiled_when_it_is_imported() -> None:
    def compiled(node: ast.AST) -> Iterator[int]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
                continue
            if isinstance(child, ast.Call) and ast.unparse(child.func) == "re.compile":
                yield child.lineno
            yield from compiled(child)

    texts = {name: path.read_text() for name, path in FILES.items()}
    found = {name: [*compiled(ast.parse(text))] for name, text in texts.items() if "re.compile" in text}
    assert {name: lines for name, lines in found.items() if lines} == {}, "say it with stretto.ground.regex"


def test_every_expression_can_be_compiled() -> None:
    def late(values: Iterable[object]) -> Iterator[re.Pattern[str]]:
        for each in values:
            if type(each) is type(regex("x")):
                yield each
            elif isinstance(each, tuple | list):
                yield from late(each)
            elif isinstance(each, dict):
                yield from late(each.values())

    found = list(late(value for module in MODULES for value in vars(importlib.import_module(module)).values()))
    assert len(found) > 200
    assert all(each.groups >= 0 for each in found)


def run(code: str, *arguments: str) -> str:
    return subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True).stdout


def test_import_stretto_loads_neither_aiohttp_nor_sqlite3_nor_asyncio() -> None:
    code = "import sys, stretto; print(*({'aiohttp', 'sqlite3', 'asyncio', 'msgspec'} & sys.modules.keys()))"
    assert run(code).split() == []


def test_commands_that_only_show_what_is_kept_load_nothing_that_carries_a_run() -> None:
    commands = ", ".join(f"stretto.cli.{name}" for name in ("runs", "log", "diff", "prune", "travel"))
    carrying = ("stretto.workflow", "stretto.engine", "stretto.config", "asyncio")
    assert run(f"import sys, {commands}; print(*(sys.modules.keys() & {carrying!r}))").split() == []


WATCH = """
import aiohttp.web, asyncio, click, filelock, importlib, msgspec, os, platformdirs, pytest, sqlite3, sys, threading
import truststore
deeds = {"socket.connect", "socket.bind", "subprocess.Popen", "os.mkdir", "os.remove", "os.rename", "sqlite3.connect"}
installed = tuple(os.path.realpath(path) for path in (*sys.path, sys.base_prefix) if path)
sys.dont_write_bytecode = True

def watch(event, args):
    if event == "open" and not os.path.realpath(str(args[0])).startswith(installed) or event in deeds:
        print(event, args)

class Watched(dict):
    def __getitem__(self, name):
        self.asked(name)
        return super().__getitem__(name)

    def get(self, name, default=None):
        self.asked(name)
        return super().get(name, default)

    def asked(self, name):
        if not name.startswith(("LANG", "LC_")):  # gettext's, for whoever derives from click
            print("environment", name)

os.environ = Watched(os.environ)
sys.addaudithook(watch)
for name in sys.argv[1:]:
    importlib.import_module(name)
print(*(thread for thread in threading.enumerate() if thread is not threading.main_thread()), end="")
"""


def test_importing_any_module_does_no_io_starts_no_thread_and_reads_no_environment() -> None:
    assert run(WATCH, *sorted(MODULES - {"stretto.__main__"})) == ""
