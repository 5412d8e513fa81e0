"""What comes out for a line: a line of ours, or one as OpenAI's Batch API writes it; each begins with its id."""

from collections.abc import Mapping
from typing import Any

import msgspec

from stretto.batch.counts import State
from stretto.batch.jobs import Job
from stretto.batch.lines import Line
from stretto.errors import StrettoError
from stretto.runs import Run
from stretto.server.endpoint.carrying import ending
from stretto.server.endpoint.completions import Completion, Ending
from stretto.server.endpoint.responses import Response, Voice
from stretto.server.refused import error_facts, refusal_of
from stretto.views.rows import moment
from stretto.views.timeline.past import clock

BEGINNING = b'{"id":'
"""With what every line begins, so that one that was cut can be told from what is none of ours."""
_FINISHES = frozenset({"stop", "length", "content_filter"})


def state_of(run: Run[Any]) -> State:
    """What a finished run makes of its line."""
    return "done" if run.coverage.complete else "partial"


def answered(job: Job, run: Run[Any]) -> bytes:
    """The line of a finished run."""
    line, state = job.line, state_of(run)
    if line.form == "task":  # an answer that had to be an object is one
        answer = run.answer if run.parsed is None else msgspec.json.decode(run.answer)
        return _encoded({"id": line.id, "answer": answer, "state": state, "error": None, **_took(run)})
    voice: Voice = (
        Completion(run.id, line.body["model"], usage_wanted=False, function=job.function)
        if line.form == "chat"
        else Response(run.id, line.body["model"], line.body, function=job.function)
    )
    end = ending(run)
    if job.messages:  # what ended is that call, and not our reading of it
        finish = next((each.finished.finish for each in reversed(run.calls) if each.finished), None) or end.finish
        end = Ending(finish if finish in _FINISHES else "length", end.usage, end.told)
    body = msgspec.json.decode(voice.whole(run.answer, "", end))
    return _request(line, run.id, 200, {**body, "stretto": {**end.told, "state": state}})


def failed(job: Job, error: StrettoError, run: Run[Any] | None, run_id: str) -> bytes:
    """The line of a run that has no answer."""
    line = job.line
    if line.form == "task":
        took = _took(run) if run else {"run": run_id}
        return _encoded({"id": line.id, "answer": None, "state": "failed", "error": str(error), **took})
    refusal = refusal_of(error)
    return _request(line, run_id, refusal.status, {"error": {**error_facts(refusal), "message": str(error)}})


def read_result(data: bytes) -> tuple[str, State] | None:
    """The id and the state in a line that was written before; None if it is none."""
    try:
        facts = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if not isinstance(facts, dict) or not isinstance(id_ := facts.get("custom_id", facts.get("id")), str | int):
        return None
    if "response" in facts:
        return str(id_), _told(facts["response"])
    return (str(id_), facts["state"]) if facts.get("state") in {"done", "partial", "failed"} else None


def _told(response: Any) -> State:
    if not isinstance(response, Mapping) or response.get("status_code") != 200:
        return "failed"
    body = response.get("body")
    ours = body.get("stretto") if isinstance(body, Mapping) else None
    return "partial" if isinstance(ours, Mapping) and ours.get("state") == "partial" else "done"


def _took(run: Run[Any]) -> dict[str, Any]:
    missing = [{"subtask": each.subtask, "why": each.reason} for each in run.coverage.missing]
    last = moment(run.last_at) if run.started_at else None
    return {
        **({"missing": missing} if missing else {}),
        "run": run.id,
        "input_tokens": run.usage.input_tokens,
        "output_tokens": run.usage.output_tokens,
        "cost": None if run.cost is None else float(run.cost),
        "seconds": last and round(clock(run)(last), 3),
    }


def _request(line: Line, run: str, status: int, body: Mapping[str, Any]) -> bytes:
    response = {"status_code": status, "request_id": run, "body": body}
    return _encoded({"id": f"batch_req_{run}", "custom_id": line.id, "response": response, "error": None})


def _encoded(facts: Mapping[str, Any]) -> bytes:
    return msgspec.json.encode(facts) + b"\n"
