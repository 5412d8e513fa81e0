"""What a TAB offers for the arguments of commands: run ids, presets, providers, models; nobody is asked for it."""

import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import click
from click.shell_completion import BashComplete, CompletionItem, add_completion_class, split_arg_string

from stretto.cli.help import Option
from stretto.errors import StrettoError
from stretto.ground.regex import regex
from stretto.ground.text import one_line

Offer = Callable[[click.Context, str], Iterable[CompletionItem]]

_RUNS = 200  # the newest ones
_BREAKS = frozenset(":=")
_NEVER = frozenset("'\\*?[")
"""What no offer has in it: it would end a quotation, or mean the names of files, in scripts of older versions too."""
_PLAIN = regex(r"[\w@%+=:,./-]*")  # a shell takes it as it is
_BASH = """\
%(complete_func)s() {
    local type value
    COMPREPLY=()
    while IFS=, read -r type value; do
        case $type in
            dir) COMPREPLY=(); compopt -o dirnames ;;
            file) COMPREPLY=(); compopt -o default ;;
            plain) COMPREPLY+=("$value") ;;
        esac
    done < <(IFS=$'\\n'; env COMP_WORDS="${COMP_WORDS[*]}" COMP_CWORD="$COMP_CWORD" \\
        %(complete_var)s=bash_complete "$1")
}

complete -o nosort -F %(complete_func)s %(prog_name)s 2>/dev/null || complete -F %(complete_func)s %(prog_name)s
"""
"""As click has it, but that nothing which is offered is expanded on its way."""


def attach(command: click.Command) -> click.Command:
    """The command, whose arguments offer what they can be, by their names: they mean the same in every command."""
    for parameter in command.params:
        if parameter.name in _OFFERS:
            parameter.type = _Offered(_OFFERS[parameter.name])
        if isinstance(parameter, Option) and parameter.alone:
            parameter.is_flag = True  # so that click offers what may stand behind it, and not its values
    return command


class _Offered(click.types.StringParamType):
    def __init__(self, offer: Offer) -> None:
        self._offer = offer

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:  # noqa: ARG002
        try:
            found = [item for item in self._offer(ctx, incomplete) if _is_a_word(item)]
            return [CompletionItem(item.value, item.type, item.help and one_line(item.help)) for item in found]
        except StrettoError:  # no store yet, a broken file: the command itself will say so
            return []


def _is_a_word(item: CompletionItem) -> bool:
    """Whether a shell can be trusted to put it on the command line as one word; a file's author may have named it."""
    return item.type != "plain" or (item.value.isprintable() and not any(sign in item.value for sign in _NEVER))


def _runs(ctx: click.Context, incomplete: str) -> Iterable[CompletionItem]:
    from stretto.cli.stored import store_path
    from stretto.store.listing import LOOKED_INTO, Wanted
    from stretto.store.locations import location_of
    from stretto.store.sqlite import Store

    store = ctx.params.get("store") or os.environ.get("STRETTO_STORE") or None
    wanted = Wanted(limit=max(_RUNS, LOOKED_INTO + 1))  # in a list of so many no log is read
    for run in Store(store_path(store and location_of(store)), patience=0.2).listing(wanted):
        if run.run.startswith(incomplete.upper()):
            yield CompletionItem(run.run, help=" ".join(run.task.split())[:60] or run.status)


def _workflows(_: click.Context, incomplete: str) -> Iterable[CompletionItem]:
    from stretto.config import presets
    from stretto.config.preset import preset

    if "/" in incomplete:
        yield CompletionItem(incomplete, type="file")
        return
    yield from (CompletionItem(name, help=preset(name).about) for name in presets() if name.startswith(incomplete))
    files = (path.name for path in sorted(Path().glob("*.toml")))
    yield from (CompletionItem(name) for name in files if name.startswith(incomplete))


def _presets(_: click.Context, incomplete: str) -> Iterable[CompletionItem]:
    from stretto.config import presets

    return [CompletionItem(name) for name in presets() if name.startswith(incomplete)]


def _providers(_: click.Context, incomplete: str) -> Iterable[CompletionItem]:
    from stretto.cli.meaning import configured

    names = [*configured(None, "skip").endpoints(), "local", "sim"]
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]


def _models(ctx: click.Context, incomplete: str) -> Iterable[CompletionItem]:
    """The models that files name, and those that are taken where none is named; behind `ROLE=` too."""
    from stretto.cli.endpoints import usable
    from stretto.cli.meaning import configured

    role, equals, begun = incomplete.partition("=")
    role, begun = (f"{role}=", begun) if equals and ":" not in role else ("", incomplete)
    configuration = configured(ctx.params.get("named"), "skip")
    named = [model for layer in configuration.layers for model in _named(layer.table)]
    named += [f"{name}:{p.model}" for name, p in usable(configuration.endpoints()).items() if p.model]
    named += [f"local:{path}" for path in sorted(Path().glob("*.gguf"))]
    named += ["sim:default", "sim:fast", "sim:instant"]
    return [CompletionItem(role + model) for model in dict.fromkeys(named) if model.startswith(begun)]


def _named(table: Any) -> Iterable[str]:
    """Every model that a file names, in whatever role."""
    if not isinstance(table, dict):
        return
    for key, value in table.items():
        if key in {"model", "models"}:
            models = value if isinstance(value, list) else [value]
            yield from (model for model in models if isinstance(model, str) and ":" in model)
        elif key not in {"providers", "prices"}:
            yield from _named(value)


_OFFERS: dict[str | None, Offer] = {
    "run": _runs,
    "run1": _runs,
    "run2": _runs,
    "named": _workflows,
    "name": _presets,
    "models": _models,
    "provider": _providers,
}


class _Bash(BashComplete):
    """bash takes a word apart at : and =, and puts what is offered behind the last of them."""

    source_template = _BASH
    _word = ""
    _open = False

    def source(self) -> str:
        """The script; click would look for a bash to see how old that is."""
        return self.source_template % self.source_vars()

    def get_completion_args(self) -> tuple[list[str], str]:
        at = int(os.environ["COMP_CWORD"])
        *before, self._word = joined(split_arg_string(os.environ["COMP_WORDS"]), at)
        return before[1:], self._word

    def format_completion(self, item: CompletionItem) -> str:
        last = max(self._word.rfind(sign) for sign in _BREAKS)
        whole = self._word[: last + 1]
        for start in (whole, whole.rpartition("=")[2]):  # of --model=a:b only a:b is offered
            if start and item.value.startswith(start):
                return f"{item.type},{self._quoted(item.value.removeprefix(start))}"
        return f"{item.type},{self._quoted(item.value)}"

    def complete(self) -> str:
        """What is offered; where a quotation is open, nothing that would need one of its own."""
        words = os.environ["COMP_WORDS"]
        self._open = "'" in words or '"' in words
        return "\n".join(line for line in super().complete().split("\n") if line)

    def get_completions(self, args: list[str], incomplete: str) -> list[CompletionItem]:
        """The offers, as click finds them."""
        found = super().get_completions(args, incomplete)
        return [each for each in found if not self._open or _PLAIN.fullmatch(each.value)]

    def _quoted(self, value: str) -> str:
        """The value as one word, whatever a shell would make of it."""
        return value if _PLAIN.fullmatch(value) else f"'{value}'"


def joined(words: Sequence[str], at: int) -> list[str]:
    """The words up to the one that is being written, as they stood before bash took them apart."""
    whole, glued = list[str](), False
    for word in [*words, ""][: at + 1]:
        broken = bool(word) and _BREAKS.issuperset(word)
        if whole and (broken or glued):
            whole[-1] += word
        else:
            whole.append(word)
        glued = broken
    return whole


def prepare() -> None:
    """Make click complete for bash as above; only a process that answers a TAB does this."""
    add_completion_class(_Bash, "bash")
