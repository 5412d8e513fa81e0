"""`stretto show --prompts`: the texts of the package, and what the calls of a run were asked."""

from collections.abc import Iterator, Mapping

import msgspec

from stretto import prompts
from stretto.head import head_of, messages_of
from stretto.runs import Run
from stretto.store.sqlite import Record


def default_prompts() -> Iterator[str]:
    """Every prompt of the package as it stands in its file, placeholders included; those of the roles first."""
    for name in dict.fromkeys((*prompts.ROLES, *prompts.names())):
        yield f"## {name}\n\n{prompts.text(name).strip()}\n"


def sent_prompts(run: Run, records: Mapping[str, Record]) -> Iterator[str]:
    """The messages and the schema of every call of a run, each request once; inputs in full the first time only."""
    if run.forgotten:
        yield 'its prompts were not kept (record = "usage")'
    head, shown = head_of(run.basis.inputs), set[str]()
    for call in run.calls:
        record = records.get(call.fingerprint)
        if record is None or record.request is None or call.fingerprint in shown:
            continue
        request = record.request
        if request.head and head and not shown:
            request = msgspec.structs.replace(request, head=head)
        elif request.head:
            again = msgspec.structs.replace(request.head, text="(the inputs, as above)")
            request = msgspec.structs.replace(request, head=again)
        shown.add(call.fingerprint)
        yield f"## Call {call.id}: {call.subtask or call.role}, {request.model}\n"
        for message in messages_of(request):
            yield f"### {message.role}\n\n{message.content.strip()}\n"
        if request.schema is not None:
            yield f"### schema\n\n{msgspec.json.format(msgspec.json.encode(request.schema)).decode()}\n"
