"""What holds for every log: read in parts, cut anywhere, written by another version."""

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drawn import examples, some
from logs import KINDS, TEXT, an_event, cut_after, logs
from stretto import Message, Run, Usage, Workflow
from stretto import events as e
from stretto.calls import KEPT
from stretto.fold import Fold, fold
from stretto.store.sqlite import Store
from stretto.types import Reply, Request

SOME = examples(60)
LATER = st.dictionaries(
    TEXT.map(lambda text: f"later {text}"), st.none() | st.integers() | TEXT, min_size=1, max_size=2
)
REPLIES = st.builds(
    Reply, TEXT, TEXT, st.none() | st.builds(Usage, st.integers(0, 2**53)), st.none() | TEXT, TEXT, st.booleans()
)
REQUESTS = st.builds(
    Request,
    TEXT,
    st.lists(st.builds(Message, st.just("user"), TEXT), max_size=3).map(tuple),
    st.dictionaries(TEXT, TEXT),
)


def with_more(form: Any, more: dict[str, Any]) -> Any:
    """The same data with unknown keys in every object that has a form of its own."""
    if not isinstance(form, dict):
        return [with_more(one, more) for one in form] if isinstance(form, list) else form
    free = ("workflow", "counts")  # any key of these means something
    return {**{key: one if key in free else with_more(one, more) for key, one in form.items()}, **more}


@SOME
@given(logs(), st.data())
def test_a_log_folds_to_the_same_in_two_parts_the_first_one_read_back_from_json(
    log: list[e.AnyEvent], data: st.DataObject
) -> None:
    cut = data.draw(st.integers(0, len(log)))
    reader = Fold()
    for event in log[:cut]:
        reader.take(e.decode(e.encode(event)))
    if cut:
        assert reader.run == fold(log[:cut])
    for event in log[cut:]:
        reader.take(event)

    assert reader.run == fold(log)


@SOME
@given(logs(), st.data())
def test_a_log_that_ends_anywhere_and_goes_on_keeps_what_it_had(log: list[e.AnyEvent], data: st.DataObject) -> None:
    cut = data.draw(st.integers(1, len(log)))
    before, after = fold(log[:cut]), fold([*log[:cut], e.RunResumed(workflow={"again": True})])

    assert (after.status, after.executions) == ("running", before.executions + 1)
    assert (after.plan, after.results) == (before.plan, before.results)
    assert (after.answer, after.error, after.error_type) == ("", None, None)
    assert [call.id for call in after.calls] == [call.id for call in before.calls]
    assert after.usage.input_tokens >= before.usage.input_tokens
    assert after.saved == before.saved


@SOME
@given(logs(), st.data())
def test_what_was_set_aside_for_a_call_under_way_is_paid_once_however_often_its_run_is_killed(
    log: list[e.AnyEvent], data: st.DataObject
) -> None:
    reserved = Usage(data.draw(st.integers(0, 99)), data.draw(st.integers(0, 99)))
    under_way = e.CallStarted(call="c999", role="worker", subtask=None, fingerprint="f", model="x:y", reserved=reserved)
    again = e.RunResumed(workflow={})
    kills = data.draw(st.integers(1, 4))
    plain, killed = fold([*log, again]), fold([*log, under_way, *[again] * kills])

    assert killed.usage == plain.usage + reserved


@SOME
@given(an_event(TEXT), LATER)
def test_what_a_later_version_says_beside_is_not_read(event: e.AnyEvent, more: dict[str, Any]) -> None:
    assert e.decode(msgspec.json.encode(with_more(msgspec.json.decode(e.encode(event)), more))) == event


@SOME
@given(an_event(TEXT))
def test_what_an_earlier_version_did_not_say_is_its_default(event: e.AnyEvent) -> None:
    needed = {field.encode_name for field in msgspec.structs.fields(event) if field.required}
    form = msgspec.json.decode(e.encode(event))
    read = e.decode(msgspec.json.encode({key: form[key] for key in form if key in needed or key == "kind"}))

    assert read == type(event)(**{name: getattr(event, name) for name in needed})


@SOME
@given(an_event(TEXT), st.data())
def test_a_line_that_was_cut_anywhere_is_an_error_and_never_another_event(
    event: e.AnyEvent, data: st.DataObject
) -> None:
    line = e.encode(event)

    with pytest.raises(msgspec.MsgspecError):
        e.decode(line[: data.draw(st.integers(0, len(line) - 1))])


@SOME
@given(
    TEXT.filter(lambda kind: kind not in {str(one.__struct_config__.tag) for one in KINDS}), st.dictionaries(TEXT, TEXT)
)
def test_an_unknown_kind_of_event_is_an_error_that_says_so(kind: str, facts: dict[str, str]) -> None:
    with pytest.raises(msgspec.ValidationError, match=r"\$\.kind"):
        e.decode(msgspec.json.encode({"kind": kind, **{key: facts[key] for key in facts if key != "kind"}}))


@SOME
@given(REQUESTS, REPLIES)
def test_requests_and_replies_are_the_same_after_their_record(request: Request, reply: Reply) -> None:
    assert msgspec.json.decode(msgspec.json.encode(request), type=Request) == request
    assert msgspec.json.decode(msgspec.json.encode(reply), type=Reply) == reply


@pytest.mark.slow
@pytest.mark.parametrize("synthesizer", ["sim:instant", None])
def test_a_run_that_ended_after_any_of_its_events_is_resumed_to_the_same_end(
    tmp_path: Path, synthesizer: str | None
) -> None:
    def flow(store: Path) -> Workflow:
        return Workflow("sim:instant", {"a": "sim:instant", "b": "sim:instant"}, synthesizer, store=store)

    async def resumed(store: Path, run: str) -> Run:
        async with flow(store).resume(run) as events:
            return await events.finished()

    async def every() -> None:
        whole = await flow(tmp_path / "s.db").run("Compare teas in exactly 5 subtasks with needs")
        for seq in some(range(1, len(Store(tmp_path / "s.db").events(whole.id)) + 1)):
            part = tmp_path / f"{seq}.db"
            cut_after(tmp_path / "s.db", part, seq)
            before = Store(part).events(whole.id)
            run = await resumed(part, whole.id)
            log = Store(part).events(whole.id)

            assert (run.plan.subtasks, run.results) == (whole.plan.subtasks, whole.results), seq
            assert (run.coverage, run.answer, run.executions) == (whole.coverage, whole.answer, 1 if seq == 1 else 2), (
                seq
            )
            paid = Counter(ev.fingerprint for ev in log if isinstance(ev, e.CallFinished) and not ev.reused)
            assert set(paid.values()) == {1}, seq
            kept = {ev.fingerprint for ev in before if isinstance(ev, e.CallFinished) and ev.finish in KEPT}
            late = {ev.fingerprint for ev in log[seq:] if isinstance(ev, e.CallStarted)}
            assert not kept & late, seq

    asyncio.run(every())
