"""A run as one file: a header, then a line for each event with what its call asked and was answered.

A line is the event as `--json` shows it, with the `request` and the `reply` recorded with it as two further keys. What
is read may come from anywhere, so everything about it is checked here.
"""

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, BinaryIO

import msgspec
from msgspec import Raw, Struct
from msgspec.structs import replace

from stretto.calls import fingerprint
from stretto.errors import TaskError
from stretto.events import (
    AnyEvent,
    CallFinished,
    CallStarted,
    RunFailed,
    RunResumed,
    RunStarted,
    SubtaskPlanned,
    decode,
    encode,
)
from stretto.ground.ids import is_ulid, made_at
from stretto.ground.regex import regex
from stretto.store.migration import Coding
from stretto.types import Reply, Request, Usage
from stretto.types.definitions import definition_of

FORMAT, VERSION = "stretto-run", 3
LONGEST = 1 << 28
"""Bytes of a line at most."""

_TIME = regex(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)", re.ASCII)
_FIRST, _AHEAD = datetime(2020, 1, 1, tzinfo=UTC), timedelta(minutes=5)
"""Before any run, and how far another clock may be ahead of ours."""
_CALL = regex(r"c[0-9]{1,9}")
_SUBTASK = regex(r"[\w.-]{1,40}(?:/[\w.-]{1,40})*")
_AGAIN = "export the run again (stretto export RUN -o FILE)"
_fields = msgspec.json.Decoder(dict[str, Raw])
_request = msgspec.json.Decoder(Request)
_reply = msgspec.json.Decoder(Reply)


class _Header(Struct):
    format: str
    version: int
    run: str
    events: int


class _Beside(Struct):
    providers: dict[str, dict[str, Any]]
    prices: dict[str, dict[str, Any]] = {}


class Entry(Struct, frozen=True):
    """An event as it is recorded, and in the same row what its call asked and was answered, as JSON."""

    event: AnyEvent
    body: bytes
    asked: bytes | None = None
    answered: bytes | None = None

    @property
    def fingerprint(self) -> str | None:
        """That of the call, if anything is recorded of one here."""
        if isinstance(self.event, CallStarted | CallFinished) and (self.asked or self.answered):
            return self.event.fingerprint
        return None

    @property
    def request(self) -> Request | None:
        """What the call asked."""
        return _request.decode(self.asked) if self.asked else None

    @property
    def reply(self) -> Reply | None:
        """What it was answered."""
        return _reply.decode(self.answered) if self.answered else None

    @property
    def line(self) -> bytes:
        """The entry as a line of the file."""
        beside = b',"request":' + self.asked if self.asked else b""
        beside += b',"reply":' + self.answered if self.answered else b""
        return self.body[:-1] + beside + b"}\n"


class Parcel(Struct, frozen=True):
    """A whole run, as it travels."""

    run: str
    entries: list[Entry]


def header(run: str, events: int) -> bytes:
    """The first line of the file."""
    return msgspec.json.encode(_Header(FORMAT, VERSION, run, events)) + b"\n"


def read_parcel(file: BinaryIO, place: str) -> Parcel:
    """The run in a file; raises `TaskError` naming the file, the line and the remedy, for whatever is wrong with it."""
    lines = _lines(file, place)
    first = next(lines, b"")
    told = _header(first, place)
    entries: list[Entry] = []
    planned = set[str]()
    for number, line in enumerate(lines, 2):
        if number > told.events + 1:
            raise TaskError(f"{place}: line {number}: the header says that {told.events} events follow; {_AGAIN}")
        try:
            entries.append(_entry(line, told.run, number - 1))
            _check_needs(entries[-1].event, planned)
        except (msgspec.MsgspecError, RecursionError, ValueError) as error:
            raise TaskError(f"{place}: line {number}: {_reason(error)}; {_AGAIN}") from error
    if len(entries) < told.events:
        raise TaskError(
            f"{place}: line {len(entries) + 1} is the last, but the header says that {told.events} events follow: the "
            f"file is torn; {_AGAIN}"
        )
    return Parcel(told.run, entries if told.version == VERSION else _coded(entries, codes=told.version == 1))


def _coded(entries: Iterable[Entry], *, codes: bool) -> list[Entry]:
    """The entries of a file of an earlier version, as this one would have written them."""
    coding = Coding(codes=codes)
    coded = [(entry, coding.coded(entry.event)) for entry in entries]
    return [
        entry if event is entry.event else replace(entry, event=event, body=encode(event)) for entry, event in coded
    ]


def check(entry: Entry, run: str, seq: int) -> None:
    """Raise `ValueError` unless this is the event number `seq` of a run, with records that belong to it."""
    event = entry.event
    if event.run != run:
        raise ValueError(f"it belongs to another run, {event.run[:40]!r}")
    if event.seq != seq:
        raise ValueError(f"its seq is {event.seq} where {seq} was expected")
    if not event.stored or isinstance(event, RunStarted) != (seq == 1):
        raise ValueError(f"a log begins with one run_started, and this is a {event.kind}")
    if entry.asked and not isinstance(event, CallStarted | CallFinished):
        raise ValueError(f"a {event.kind} has no request")
    if entry.answered and not isinstance(event, CallFinished):
        raise ValueError(f"a {event.kind} has no reply")


def _lines(file: BinaryIO, place: str) -> Iterator[bytes]:
    number = 0
    while True:
        number += 1
        try:
            line = file.readline(LONGEST + 1)
        except OSError as error:
            raise TaskError(f"{place}: cannot be read: {error.strerror or error}") from error
        if not line:
            return
        if len(line) > LONGEST:
            raise TaskError(f"{place}: line {number}: longer than {LONGEST >> 20} MiB; this is no exported run")
        try:
            line.decode()
        except UnicodeDecodeError as error:
            raise TaskError(f"{place}: line {number}: not UTF-8 text (byte {error.start}); {_AGAIN}") from error
        yield line


def _header(line: bytes, place: str) -> _Header:
    if not line.strip():
        raise TaskError(f"{place}: empty; name a file that `stretto export` wrote")
    if line.startswith(b"\xef\xbb\xbf"):
        raise TaskError(f"{place}: line 1: begins with a byte order mark; save the file without one")
    try:
        told = msgspec.json.decode(line, type=_Header)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise TaskError(f"{place}: line 1: no exported run: {error}; name a file that `stretto export` wrote") from None
    if told.format != FORMAT:
        raise TaskError(f"{place}: line 1: its format is {told.format[:40]!r}, not {FORMAT!r}; this is no exported run")
    if not 1 <= told.version <= VERSION:
        raise TaskError(
            f"{place}: line 1: version {told.version} of this format, and this Stretto reads 1 to {VERSION}; "
            "use the Stretto that wrote it, or a newer one"
        )
    if not is_ulid(told.run):  # it becomes the name of a file
        raise TaskError(f"{place}: line 1: {told.run[:40]!r} is no id of a run (a ULID); {_AGAIN}")
    if made_at(told.run) > datetime.now(UTC) + _AHEAD:  # it would be the newest run for as long
        raise TaskError(f"{place}: line 1: run {told.run} is of the future; is the clock of this machine right?")
    if told.events < 1:
        raise TaskError(f"{place}: line 1: a run has one event at least, not {told.events}; {_AGAIN}")
    return told


def _entry(line: bytes, run: str, seq: int) -> Entry:
    """A line taken apart; what stays of it as the event is kept to the byte."""
    fields = _fields.decode(line)
    asked, answered = (bytes(raw) if (raw := fields.pop(key, None)) else None for key in ("request", "reply"))
    body = b"{" + b",".join(msgspec.json.encode(key) + b":" + bytes(raw) for key, raw in fields.items()) + b"}"
    entry = Entry(decode(body), body, asked, answered)
    check(entry, run, seq)
    if (request := entry.request) and fingerprint(request) != entry.fingerprint:
        raise ValueError("its request is not the one that was recorded: it has another fingerprint")
    if answered:
        _reply.decode(answered)
    _check_values(entry.event)
    return entry


def _check_values(event: AnyEvent) -> None:
    """Raise `ValueError` for what no run ever wrote and others rely on."""
    _check_time(event.at)
    if not _CALL.fullmatch(getattr(event, "call", "c0")) and not (isinstance(event, RunFailed) and not event.call):
        raise ValueError("`call` is no id of a call")
    named = [getattr(event, "subtask", None), *getattr(event, "needs", ())]
    if not all(_SUBTASK.fullmatch(each) for each in named if each is not None):
        raise ValueError("`subtask` or `needs` is no id of a subtask")
    if isinstance(event, RunStarted | RunResumed):
        definition_of(event.workflow)
        msgspec.convert(event.workflow, _Beside)
    for name in event.__struct_fields__:
        value = getattr(event, name)
        tokens = msgspec.structs.astuple(value) if isinstance(value, Usage) else ()
        money = isinstance(value, Decimal) and not (value.is_finite() and 0 <= value < 10**12)
        if money or not all(0 <= number < 2**53 for number in tokens):
            raise ValueError(f"`{name}` is no amount that a call can come to")


def _check_needs(event: AnyEvent, planned: set[str]) -> None:
    """Raise `ValueError` for a subtask that needs one which is not `planned` before it: it would wait for ever."""
    if isinstance(event, SubtaskPlanned):
        path = event.subtask[: event.subtask.rfind("/") + 1]
        if not planned.issuperset(path + need for need in event.needs):
            raise ValueError("`needs` names a subtask that is not planned before it")
        planned.add(event.subtask)


def _check_time(at: str) -> None:
    """Raise `ValueError` for a time that no run was carried at; it is reckoned with those of one's own runs."""
    if not _TIME.fullmatch(at):
        raise ValueError(f"`at` is {at[:40]!r}, which is no time as RFC 3339 has it, with its time zone")
    if not _FIRST <= datetime.fromisoformat(at) <= datetime.now(UTC) + _AHEAD:
        raise ValueError(f"`at` is {at!r}, when no run can have been carried")


def _reason(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "nested too deep"
    if isinstance(error, msgspec.ValidationError):
        return f"no event that this version knows: {error}"
    return f"not JSON: {error}" if isinstance(error, msgspec.DecodeError) else str(error)
