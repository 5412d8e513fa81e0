"""What the source says of a class or function: its docstring, its fields, its signature, as they are written."""

import ast
import inspect
import itertools
import textwrap
from collections.abc import Iterator
from types import ModuleType
from typing import Any

from msgspec import Struct

from stretto.run.opening import Wishes
from stretto.run.team import Settings

AnyFunction = ast.FunctionDef | ast.AsyncFunctionDef
_KEYWORDS: dict[str, type] = {"Wishes": Wishes, "Settings": Settings}
"""Keywords that several functions take, or one in several forms."""


class Field(Struct, frozen=True):
    """One field of a struct; an empty `default` is none at all."""

    name: str
    type: str
    default: str


class Method(Struct, frozen=True):
    """A public method or property: how it is called, and what its docstring says."""

    name: str
    call: str
    doc: str


def doc(thing: Any) -> str:
    """The docstring, without its indentation."""
    return inspect.cleandoc(thing.__doc__ or "")


def below(module: ModuleType) -> dict[str, str]:
    """What stands in a text below each name that a module sets."""
    body = ast.parse(inspect.getsource(module)).body
    return {
        name.id: text
        for named, each in itertools.pairwise(body)
        if isinstance(named, ast.Assign) and isinstance(each, ast.Expr) and isinstance(each.value, ast.Constant)
        for name in named.targets
        if isinstance(name, ast.Name) and isinstance(text := each.value.value, str)
    }


def fields(kind: type) -> list[Field]:
    """The fields that a struct declares itself, in their order."""
    return [
        Field(each.target.id, _plain(each.annotation), ast.unparse(each.value) if each.value else "")
        for each in _class(kind).body
        if isinstance(each, ast.AnnAssign) and isinstance(each.target, ast.Name) and "ClassVar" not in _plain(each)
    ]


def constructor(kind: type) -> str:
    """How a class is made."""
    name = kind.__name__
    for each in _functions(kind):
        if each.name == "__init__":
            return f"{name}{_arguments(each)}"
    own = [each for each in reversed(kind.__mro__) if each.__module__.startswith("stretto.")]
    declared = [field for each in own for field in fields(each)]
    return _call(
        name, [f"{each.name}: {each.type}" + (f" = {each.default}" if each.default else "") for each in declared]
    )


def methods(kind: type) -> list[Method]:
    """The public methods and properties of a class, in their order."""
    return [
        Method(each.name, _called(each), inspect.cleandoc(ast.get_docstring(each) or ""))
        for each in _functions(kind)
        if not each.name.startswith("_") and not _decorated(each, "overload")
    ]


def signature(function: Any) -> str:
    """How a function is called."""
    parsed = ast.parse(textwrap.dedent(inspect.getsource(function))).body[0]
    assert isinstance(parsed, AnyFunction)  # noqa: S101 - it is a function
    return _called(parsed)


def _called(function: AnyFunction) -> str:
    if _decorated(function, "property"):
        return f"{function.name}: {_plain(function.returns)}"
    before = "await " if isinstance(function, ast.AsyncFunctionDef) else ""
    returns = f" -> {_plain(function.returns)}" if function.returns else ""
    return f"{before}{function.name}{_arguments(function)}{returns}"


def _decorated(function: AnyFunction, name: str) -> bool:
    return any(ast.unparse(decorator) == name for decorator in function.decorator_list)


def _arguments(function: AnyFunction) -> str:
    """The arguments without `self` and `cls`; what stands after `*` by name only."""
    arguments = function.args
    positional = [*arguments.posonlyargs, *arguments.args]
    none: list[ast.expr | None] = [None] * (len(positional) - len(arguments.defaults))
    given = [
        _argument(each, default)
        for each, default in zip(positional, [*none, *arguments.defaults], strict=True)
        if each.arg not in {"self", "cls"}
    ]
    if arguments.vararg:
        given.append("*" + _argument(arguments.vararg, None))
    elif arguments.kwonlyargs or _unpacked(arguments.kwarg):
        given.append("*")
    given += [_argument(*pair) for pair in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)]
    if arguments.kwarg:
        given += _unpacked(arguments.kwarg) or ["**" + _argument(arguments.kwarg, None)]
    return _call("", given)


def _unpacked(argument: ast.arg | None) -> list[str]:
    """The keywords that stand in one name, `**wishes: Unpack[Wishes]`; none if there is no such."""
    named = _plain(argument.annotation).removeprefix("Unpack[").removesuffix("]") if argument else ""
    return [f"{field.name}: {field.type} = ..." for field in fields(_KEYWORDS[named])] if named in _KEYWORDS else []


def _argument(argument: ast.arg, default: ast.expr | None) -> str:
    written = f"{argument.arg}: {_plain(argument.annotation)}"
    return f"{written} = {ast.unparse(default)}" if default else written


def _call(name: str, given: list[str]) -> str:
    """On one line if that is short."""
    line = f"{name}({', '.join(given)})"
    return line if len(line) <= 88 else f"{name}(\n" + "".join(f"    {each},\n" for each in given) + ")"


def _plain(node: ast.AST | None) -> str:
    """An annotation as it is meant: without the quotation marks of what is defined further down."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    return ast.unparse(node) if node else ""


def _functions(kind: type) -> Iterator[AnyFunction]:
    return (each for each in _class(kind).body if isinstance(each, AnyFunction))


def _class(kind: type) -> ast.ClassDef:
    parsed = ast.parse(textwrap.dedent(inspect.getsource(kind))).body[0]
    assert isinstance(parsed, ast.ClassDef)  # noqa: S101 - it is a class
    return parsed
