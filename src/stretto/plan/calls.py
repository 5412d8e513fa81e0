"""A plan as code that nobody runs: `Task(type="plan", description="…")`, or each worker called with what it is to do.

Source of the second form: LLMCompiler (https://arxiv.org/abs/2312.04511), and models that were trained to call tools.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from msgspec import Struct

from stretto.ground.regex import regex
from stretto.plan.fields import is_field, listed, plain, unquoted
from stretto.plan.fitting import called
from stretto.plan.item import Draft, Read, draft_of, reads_as_work, weight_of
from stretto.types import Role

# One that does not end goes to the end of its line: to try each quote in it anew would take the square of its length.
_STRING = r'"{3}(?s:.*?)"{3}|"(?>(?:[^"\\\n]|\\.)*)"?|' + r"(?<![A-Za-z]{2})'(?>(?:[^'\\\n]|\\.)*)'?"
_TOKEN = regex(
    _STRING + r"|(?P<call>[A-Za-z_][\w.]{0,60})\s{0,3}\(|[()\[\]{},]|(?P<name>[A-Za-z_]\w{0,30})\s{0,3}=(?!=)"
)
_TARGET = regex(r"(?:^|\n)[ \t]*(?:(\d{1,3})[.)][ \t]*|([A-Za-z_]\w{0,30})[ \t]*=[ \t]*)?(?:await[ \t]+)?\Z")
_REFERENCE = regex(r"\$\{?(\w{1,40})\}?|(?<![\w\"'])([A-Za-z_]\w{0,30})(?![\w\"'(])")


class _Call(Struct):
    """A call that is written down: its name, what it is assigned to, and its arguments as they stand.

    `own_line`: nothing stands before it.
    """

    name: str
    own_line: bool
    target: str
    places: list[str]
    names: dict[str, str]


def calls(text: str, workers: Mapping[str, Role]) -> list[Read]:
    """The calls that say what a subtask is, or call a worker."""
    reads, targets = [], set[str]()
    for call in _calls(text):
        fields = _fields(call, workers, targets)
        draft, weight = draft_of(fields), weight_of(fields)
        if isinstance(draft, Draft) and weight == 2 and reads_as_work(draft.description):
            reads.append(Read(draft, weight))
            targets.update(filter(None, (call.target, draft.id)))
    return reads


def _fields(call: _Call, workers: Mapping[str, Role], targets: set[str]) -> dict[str, Any]:
    worker = called(call.name, workers) if call.own_line and "." not in call.name else ""
    fields: dict[str, Any] = {plain(name): _value(raw) for name, raw in call.names.items() if is_field(name)}
    texts = [unquoted(raw) for raw in call.places if raw[:1] in {'"', "'"}]
    if worker:
        fields.setdefault("type", worker)
    elif not call.names and not any(called(each, workers) for each in texts):
        return {}
    for said in texts:
        if not worker and "type" not in fields and called(said, workers):
            fields["type"] = said
        elif not reads_as_work(said) and "id" not in fields:
            fields["id"] = said
        else:
            fields.setdefault("description", said)
    if call.target:
        fields.setdefault("id", call.target)
    used = [name for raw in call.places if raw[:1] not in {'"', "'"} for name in _references(raw) if name in targets]
    if used and worker:
        fields.setdefault("needs", used)
    return fields


def _value(raw: str) -> Any:
    if raw[:1] in {'"', "'"}:
        return unquoted(raw)
    if raw.startswith(("[", "(")):
        return listed(raw[1:].rstrip(")] \n,").replace("'", '"').replace("$", ""))
    return raw.strip().lstrip("$")


def _references(raw: str) -> Iterator[str]:
    for found in _REFERENCE.finditer(raw):
        yield found[1] or found[2]


def _calls(text: str) -> Iterator[_Call]:
    """The calls that have no other around them but one that gathers them, in the order of their ends."""
    opened: list[tuple[str, _Call | None]] = []
    name, at = "", 0
    for token in _TOKEN.finditer(text):
        innermost = opened[-1][1] if opened else None
        said = token[0]
        if token["call"]:
            before = _TARGET.search(text, max(0, token.start() - 60), token.start())
            call = _Call(token["call"], before is not None, (before[1] or before[2] or "") if before else "", [], {})
            opened.append(("(", call))
            name, at = "", token.end()
        elif said in "([{":
            opened.append((said, None))
        elif said in ")]}" and opened:
            _, closed = opened.pop()
            if closed:
                _argument(closed, name, text[at : token.start()])
                yield closed
                name, at = "", token.end()
        elif innermost and said == ",":
            _argument(innermost, name, text[at : token.start()])
            name, at = "", token.end()
        elif innermost and token["name"]:
            name, at = token["name"], token.end()


def _argument(call: _Call, name: str, raw: str) -> None:
    raw = raw.strip()
    if name:
        call.names.setdefault(name, raw)
    elif raw:
        call.places.append(raw)
