"""What was said in a row of a run: its result, and what each of its calls was asked and answered."""

from collections.abc import Callable, Mapping

from msgspec import Struct

from stretto.page.content import Asked
from stretto.runs import CallRecord, Run
from stretto.views.rows import planned


class SaidCall(Struct, omit_defaults=True):
    """What a call was asked, by role, what its model thought, and what it answered, as far as that is recorded."""

    messages: list[tuple[str, str]] = []
    reasoning: str = ""
    reply: str = ""


class Said(Struct, omit_defaults=True):
    """What came of a row, and what was said in its calls, by their ids."""

    result: str = ""
    calls: dict[str, SaidCall] = {}


def calls_of(run: Run, key: str) -> list[CallRecord]:
    """The calls of the row with this key."""
    if key.startswith("/"):
        return [call for call in run.calls if call.role == key[1:] and not call.subtask]
    return [call for call in run.calls if call.subtask == key]


def said_of(run: Run, key: str, records: Mapping[str, Asked], saying: Callable[[str], str]) -> Said:
    """What was said in the row with this key; `saying` tells what a call under way was answered so far."""
    results = {id_: result.text for id_, _, result in planned(run) if result}
    return Said(results.get(key, ""), {call.id: _call(call, records, saying) for call in calls_of(run, key)})


def _call(call: CallRecord, records: Mapping[str, Asked], saying: Callable[[str], str]) -> SaidCall:
    request, reply = records.get(call.fingerprint, (None, None))
    return SaidCall(
        [(message.role, message.content) for message in (request.messages if request else ())],
        reply.reasoning if reply else "",
        reply.text if reply else saying(call.id),
    )
