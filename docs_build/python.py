"""The page of the Python API: what is public, with its signature and docstring."""

import inspect
import itertools
from typing import Any, Literal, get_args, get_origin

import stretto
from docs_build.page import filled
from docs_build.source import below, constructor, doc, methods, signature
from docs_build.table import table
from stretto import errors, logger, notebook, pool, proposal, testing, types
from stretto.cluster import Cluster
from stretto.inputs import lists
from stretto.plan import given
from stretto.proposal import Decision
from stretto.replay import ReplayStream
from stretto.run import roles
from stretto.runs import CallRecord, Part, Withdrawn

_SECTIONS: dict[str, tuple[Any, ...]] = {
    "Workflow": (stretto.Workflow, stretto.RunStream, stretto.RowStream, stretto.Forecast),
    "Who does what": (
        stretto.Role, stretto.Function, stretto.Limits, stretto.Memory, stretto.Provider, stretto.Local, stretto.Price,
        stretto.Definition,
    ),
    "Inputs and shapes": (
        stretto.read_inputs, stretto.Input,
        stretto.Message, stretto.read_list, stretto.Listing, stretto.schema_of,
    ),
    "What a run is": (stretto.Run, stretto.Plan, stretto.Subtask, stretto.Result, stretto.Row),
    "In a notebook": (notebook.show,),
    "Values": (
        stretto.Usage, stretto.Coverage, types.Missing, types.Doubtful, types.Citation, types.Basis, types.Each,
        CallRecord, Part, Withdrawn,
    ),
    "Approving a plan": (
        proposal.Proposal, proposal.Line, proposal.Range, proposal.Go, proposal.Edit, proposal.Drop, proposal.Again,
        proposal.Stop, proposal.Leave, proposal.Over, proposal.Answer, proposal.without, proposal.dependents,
    ),
    "The simulator": (stretto.Simulator, stretto.Profile, stretto.Fault),
    "Replaying": (ReplayStream,),
    "Many machines": (Cluster,),
}  # fmt: skip
_LINES = {
    "In a notebook": "In `stretto.notebook`. `Run` and `Workflow` show themselves as the value of a cell.",
    "Values": "The last three are in `stretto.runs`, and those from `Missing` to `Each` in `stretto.types`.",
    "Approving a plan": "In `stretto.proposal`. Who approves is a function of a `Proposal` that returns one of "
    f"{', '.join(f'`{each.__name__}`' for each in get_args(Decision))}, or an awaitable of one.",
    "Many machines": "In `stretto.cluster`: see [how it is used](../how-to/cluster.md).",
    "Replaying": "What `Workflow.replay` gives: a `RunStream` with",
}
ELSEWHERE = ("__version__", "errors", "events", "notebook", "proposal")
"""Public names that are told of on other pages, or are modules."""


def page() -> str:
    """`docs/reference/python.md`; raises `ValueError` if a public name is on no page."""
    told = {each.__name__ for each in itertools.chain(*_SECTIONS.values())}
    told |= {*_aliases(), *_words_of()}
    public = {name for name in stretto.__all__ if not hasattr(errors, name)}
    if missing := sorted(public - told - {*ELSEWHERE}):
        raise ValueError(f"docs_build/python.py: no section has {', '.join(missing)}")
    parts = list[str]()
    for section, things in _SECTIONS.items():
        parts += [f"## {section}\n", *([f"{_LINES[section]}\n"] if section in _LINES else [])]
        parts += [part for thing in things for part in _thing(thing)]
    return filled(
        "python.md",
        sections="\n".join(parts),
        aliases=table(("name", "what it stands for"), [(f"`{name}`", said) for name, said in _aliases().items()]),
        words=_words(),
        testing=doc(testing),
        logging=doc(logger),
    )


def _aliases() -> dict[str, str]:
    """The public names of types that are no classes, and what is said below each."""
    modules = (given, pool, proposal, lists, roles)
    said = {name: text for module in modules for name, text in below(module).items()}
    return {name: said[name] for name in stretto.__all__ if name in said and name not in _words_of()}


def _words_of() -> dict[str, tuple[str, ...]]:
    """The few words that a field or an argument may hold, by the name of its type."""
    named = {**vars(types), **{name: getattr(stretto, name) for name in stretto.__all__}}
    return {name: get_args(each) for name, each in named.items() if get_origin(each) is Literal}


def _words() -> str:
    rows = [(f"`{name}`", ", ".join(f"`{each}`" for each in of)) for name, of in _words_of().items()]
    return table(("type", "one of"), rows)


def _thing(thing: Any) -> list[str]:
    if not inspect.isclass(thing):
        return [_entry("###", thing.__name__, signature(thing), doc(thing))]
    made = "" if thing in {stretto.RunStream, stretto.RowStream, ReplayStream} else constructor(thing)
    entries = [_entry("####", f"{thing.__name__}.{each.name}", each.call, each.doc) for each in methods(thing)]
    return [_entry("###", thing.__name__, made, doc(thing)), *entries]


def _entry(level: str, name: str, call: str, text: str) -> str:
    block = f"```py\n{call}\n```\n\n" if call else ""
    return f"{level} `{name}`\n\n{block}{text}\n"
