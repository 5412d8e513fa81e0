"""How the calls of a run ended, found again by what is asked."""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec
from msgspec import Struct

from stretto.calls import Call, Done
from stretto.errors import MissingRecord, StrettoError
from stretto.types import Request, RoleName
from stretto.types.facts import Facts

ANY = ""
"""The fingerprint of a call that was never sent: whatever its request is, it ends like this."""

_SHOWN = 40  # characters around the place where two prompts part

Slot = tuple[RoleName, str | None]
"""Whose call it is: a role, and the subtask of a worker."""


class RecordedCall(Struct, frozen=True, kw_only=True):
    """How one call ended: `done`, or with an `error` that says `why`, and `facts`; what it said until then is `text`.

    `place`: where in the order of endings; None if that does not matter. `sent`, `ended`: seconds from the start of the
    execution, as far as they are known. `left`: a request left for it. `plans`: the subtask whose plan it is a part of
    ("": that of the run; None: it is no plan), in which `round`. `part`: of a call that was never sent, and of which it
    does not matter whose it is.
    """

    role: RoleName
    subtask: str | None
    fingerprint: str
    place: int | None = None
    text: str = ""
    reasoning: str = ""
    done: Done | None = None
    error: type[StrettoError] = StrettoError
    why: str = ""
    facts: Facts | None = None
    left: bool = True
    sent: float | None = None
    ended: float | None = None
    part: str = ""
    plans: str | None = None
    round: int = 1


class Records:
    """The recorded calls of one run; `others` are replies that serve any call with their request.

    `requests` are those that were recorded, by role and subtask: to say what is different about one that was not.
    """

    def __init__(
        self,
        run: str,
        calls: Iterable[RecordedCall],
        others: Mapping[str, Sequence[RecordedCall]],
        requests: Mapping[Slot, Sequence[Request]],
    ) -> None:
        self._run = run
        self._calls: dict[tuple[Slot, str], deque[RecordedCall]] = {}
        self._unsent: dict[str, deque[RecordedCall]] = {}
        for call in calls:
            if call.part:
                self._unsent[call.part] = deque([call])
                continue
            self._calls.setdefault(((call.role, call.subtask), call.fingerprint), deque()).append(call)
        self._others = {key: deque(replies) for key, replies in others.items()}
        self._requests = requests

    def of(self, call: Call) -> RecordedCall:
        """How this call ended; identical ones in the order in which they were recorded. Raises `MissingRecord`."""
        slot = call.role, call.subtask
        known = self._calls.get((slot, call.fingerprint)) or self._calls.get((slot, ANY))
        known = known or self._others.get(call.fingerprint) or self._unsent.get(call.part)
        if not known:
            raise MissingRecord(self._missing(call))
        return known.popleft() if len(known) > 1 else known[0]

    def _missing(self, call: Call) -> str:
        whose = f"subtask {call.subtask}" if call.subtask else f"the {call.role}"
        told = f"run {self._run}: the call of {whose} ({call.request.model}) is not recorded"
        recorded = self._requests.get((call.role, call.subtask), ())
        if not recorded:
            return (
                f"{told}, and no other of it: the run ended before it was asked (`stretto resume` goes on with it), or "
                'kept no requests (record = "usage")'
            )
        changes = min((list(_changes(request, call.request)) for request in recorded), key=len)
        if not changes:
            return (
                f"{told} as far as its reply: that broke off, or the run ended before it was whole (`stretto resume` "
                "goes on with it)"
            )
        return f"{told} as it is asked now: {'; '.join(changes)}"


def _changes(recorded: Request, asked: Request) -> Iterator[str]:
    """What is different about a request."""
    if recorded.model != asked.model:
        yield f"its model is {asked.model}, recorded is {recorded.model}"
    if (recorded.head and recorded.head.digest) != (asked.head and asked.head.digest):
        yield "its inputs are other ones"
    before, now = ({m.role: m.content for m in each.messages} for each in (recorded, asked))
    for role in dict.fromkeys([*before, *now]):
        if before.get(role) != now.get(role):
            name = "prompt" if role == "user" else f"{role} prompt"
            yield f"its {name} {_parting(before.get(role), now.get(role))}"
    if len(recorded.messages) != len(asked.messages):
        yield f"it has {len(asked.messages)} messages, recorded are {len(recorded.messages)}"
    for option in sorted({*recorded.options, *asked.options}):
        old, new = (_shown(each.options, option) for each in (recorded, asked))
        if old != new:
            yield f"its option {option} is {new}, recorded is {old}"
    if recorded.schema != asked.schema:
        yield "its schema is another one"
    if recorded.sample != asked.sample:
        yield f"its sample number is {asked.sample}, recorded is {recorded.sample}"


def _parting(before: str | None, now: str | None) -> str:
    """Where two prompts part, and how they go on there."""
    if before is None or now is None:
        return "is new" if before is None else "is gone"
    pairs = enumerate(zip(before, now, strict=False))
    place = next((place for place, (old, new) in pairs if old != new), min(len(before), len(now)))
    start = max(0, place - _SHOWN // 2)
    then, here = (text[start : start + _SHOWN] for text in (before, now))
    return f"differs from character {place + 1} on: {here!r}, recorded is {then!r}"


def _shown(options: Mapping[str, object], name: str) -> str:
    return msgspec.json.encode(options[name]).decode()[:80] if name in options else "not set"
