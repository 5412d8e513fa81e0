"""What a page draws, as data of JSON's types; `model.js` says the same to the browser's side."""

import math
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec
from msgspec import Struct

from stretto.ground.regex import regex
from stretto.ground.text import clean, seemly
from stretto.page.tree import Tree, tree_of
from stretto.references.footnotes import numbered
from stretto.runs import Run
from stretto.types import Citation, Reply, Request
from stretto.views.page import missing
from stretto.views.rows import bill, one_by_one, planned
from stretto.views.timeline.calls import Call
from stretto.views.timeline.rows import Row
from stretto.views.timeline.timeline import Timeline

Asked = tuple[Request | None, Reply | None]
"""What a call was asked and answered, as far as that is recorded."""


class PageCall(Struct, omit_defaults=True):
    """A call: its `spans` on the axis, and what was said, as places in `texts`. A span that has no end goes on."""

    id: str
    state: str
    model: str
    start: float | None
    end: float | None
    part: str = ""
    spans: list[tuple[str, float, float | None, str]] = []
    input: int = 0
    output: int = 0
    cost: str | None = "0"
    finish: str = ""
    attempts: int = 1
    error: str = ""
    answered_by: str = ""
    messages: list[tuple[str, int]] = []
    reasoning: int | None = None
    reply: int | None = None


class PageRow(Struct, omit_defaults=True):
    """A row; `key` is its id, or the role's with a slash in front, which no id has. `needs` are keys."""

    key: str
    id: str
    state: str
    type: str = ""
    about: str = ""
    needs: list[str] = []
    round: int = 1
    queued: float | None = None
    since: float | None = None
    until: float | None = None
    elapsed: float | None = None
    input: int = 0
    output: int = 0
    cost: str | None = "0"
    verdict: str = ""
    remark: str = ""
    error: str = ""
    twin: str = ""
    result: int | None = None
    calls: list[PageCall] = []


class Note(Struct, omit_defaults=True):
    """What a number in the answer means: a row, or an input."""

    number: str
    source: str
    key: str = ""
    name: str = ""
    lines: str = ""
    quote: str = ""
    verified: bool | None = None


class Source(Struct):
    """An input; `text` is a place in `texts`."""

    id: str
    name: str
    text: int | None


class Content(Struct, omit_defaults=True):
    """A run as a page draws it; moments are seconds since it began, and it reaches to `now`. Money is text, or null.

    `end`: how far the axis of time goes, if not to `now`.
    """

    id: str
    task: str
    status: str
    simulated: bool
    started: str
    now: float
    alone: float
    executions: int
    input: int
    output: int
    cost: str | None
    rows: list[PageRow]
    texts: list[str]
    end: float | None = None
    origin: str = ""
    approval: str = ""
    analysis: str = ""
    error: str = ""
    missing: list[str] = []
    degraded: list[str] = []
    remarks: list[str] = []
    answer: list[Tree] = []
    notes: list[Note] = []
    inputs: list[Source] = []


class Texts:
    """Long texts, each once."""

    def __init__(self) -> None:
        self._places: dict[str, int] = {}

    def place(self, text: str) -> int | None:
        """Where a text stands; None for none."""
        return self._places.setdefault(text, len(self._places)) if text else None

    def all(self) -> list[str]:
        """All of them, in their order."""
        return list(self._places)


class Elsewhere(Texts):
    """None of them is told with the rest: whoever looks at one asks for it."""

    def place(self, _: str) -> int | None:
        """Nowhere."""
        return None


def content_of(run: Run, timeline: Timeline, now: float, records: Mapping[str, Asked], *, status: str = "") -> Content:
    """A run with its timeline until a second of it; `records`: what its calls were asked and answered, by fingerprint.

    `status`: how it stands, if that is not what its log says: one that nobody carries was killed.
    Whatever somebody else wrote is in it without controls and turns of direction, which no reader sees.
    """
    texts = Texts()
    results = {id_: result.text for id_, _, result in planned(run) if result}
    rows = [row_of(row, now, results.get(row.id, ""), records, texts) for row in timeline.rows()]
    content = facts_of(run, timeline, now, texts, status=status)
    content.rows, content.texts = rows, texts.all()
    return content


def facts_of(run: Run, timeline: Timeline, now: float, texts: Texts, *, status: str = "") -> Content:
    """The same but for its rows and texts."""
    text, meant = numbered(run.answer, run.citations) if run.citations else (run.answer, {})
    return Content(
        id=run.id,
        task=run.task,
        status=status or run.status,
        simulated=run.simulated,
        started=run.started_at,
        now=_moment(now),
        alone=_moment(one_by_one(run.calls)),
        executions=run.executions,
        input=run.usage.input_tokens,
        output=run.usage.output_tokens,
        cost=money(run.cost),
        rows=[],
        texts=[],
        origin=run.basis.origin or "",
        approval=run.approval,
        analysis=run.plan.analysis,
        error=run.error or "",
        missing=list(missing(run)),
        degraded=list(run.coverage.degraded),
        remarks=list(run.remarks),
        answer=tree_of(text, meant),
        notes=[_note(number, one, timeline) for number, one in meant.items()],
        inputs=[
            Source(f"i{number}", one.name, texts.place(one.text)) for number, one in enumerate(run.basis.inputs, 1)
        ],
    )


def encoded(content: Content) -> str:
    """The content as JSON that may stand within a `script` of a page, whatever is in it."""
    text = msgspec.json.encode(plain(content)).decode()
    return text.translate(_ESCAPED)


_ESCAPED = {ord(letter): f"\\u{ord(letter):04x}" for letter in "<>&\u2028\u2029"}


# Of what `seemly` takes out, as it stands in JSON. Rarely there is any: one look at all texts spares one at each.
_ACTS = regex(rb"\\u00[01]|\\[bfr]|\x7f|\xc2[\x80-\x9f]|\xe2\x80[\xaa-\xae]|\xe2\x81[\xa6-\xa9]", re.DOTALL)


def plain(content: object) -> Any:
    """The content, or a part of it, as data of JSON's types that does nothing to who reads it."""
    try:
        text = msgspec.json.encode(content)
    except UnicodeEncodeError:  # half a letter
        return _seemly(msgspec.to_builtins(content))
    return _seemly(msgspec.to_builtins(content)) if _ACTS.search(text) else msgspec.json.decode(text)


def _seemly(value: Any) -> Any:
    """The same data, its texts without what acts somewhere else."""
    if isinstance(value, str):
        return seemly(clean(value))
    if isinstance(value, dict):
        return {key: _seemly(each) for key, each in value.items()}
    return [_seemly(each) for each in value] if isinstance(value, list | tuple) else value


def row_of(row: Row, now: float, result: str, records: Mapping[str, Asked], texts: Texts) -> PageRow:
    """A row; where `now` is infinite, what goes on has no end."""
    paid, path = bill(row.calls), f"{row.parent}/" if row.parent else ""
    return PageRow(
        key=row.key,
        id=row.id,
        state=row.state,
        type=row.type,
        about=row.description,
        needs=[path + need for need in row.needs],
        round=row.round,
        queued=_moment(row.queued),
        since=_moment(row.since),
        until=_moment(row.until),
        elapsed=_moment(row.elapsed(now)),
        input=paid.input_tokens,
        output=paid.output_tokens,
        cost=money(paid.cost),
        verdict=row.verdict or "",
        remark=row.remark,
        error=row.error,
        twin=row.twin,
        result=texts.place(result),
        calls=[_call(call, now, *records.get(call.fingerprint, (None, None)), texts) for call in row.calls],
    )


def _call(call: Call, now: float, request: Request | None, reply: Reply | None, texts: Texts) -> PageCall:
    paid, end = bill([call]), call.finished
    said = ((message.role, texts.place(message.content)) for message in (request.messages if request else ()))
    return PageCall(
        id=call.id,
        state=call.state,
        model=(end and end.asked) or call.model,
        start=_moment(call.begun),
        end=_moment(call.end),
        part=call.part,
        spans=[(each.kind, round(each.start, 3), _moment(each.end), each.reason) for each in call.spans(now)],
        input=paid.input_tokens,
        output=paid.output_tokens,
        cost=money(paid.cost),
        finish=(end and end.finish) or "",
        attempts=end.attempts if end else 1,
        error=(end and end.error) or "",
        answered_by=(end and end.answered_by) or "",
        messages=[(role, place) for role, place in said if place is not None],
        reasoning=texts.place(reply.reasoning) if reply else None,
        reply=texts.place(reply.text) if reply else None,
    )


def _note(number: int, one: Citation, timeline: Timeline) -> Note:
    return Note(
        str(number),
        one.source,
        key="" if one.name else one.source if one.source in timeline.subtasks else "",
        name=one.name,
        lines="-".join(str(line) for line in dict.fromkeys(one.lines or ())),
        quote=one.quote,
        verified=one.verified,
    )


def _moment(second: float | None) -> Any:
    return None if second is None or math.isinf(second) else round(second, 3)


def money(cost: Decimal | None) -> str | None:
    """An amount as text, exactly; nothing is `0`, and what nobody knows None."""
    return None if cost is None else format(cost, "f")
