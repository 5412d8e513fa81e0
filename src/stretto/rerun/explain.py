"""Which calls a rerun would take from the records, which it would make and why: known before anything is sent."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Literal, TypeVar

from msgspec import Struct

from stretto.calls import tokens_of
from stretto.engine.asking import Asking, Said
from stretto.engine.condensing import condensed, condensed_for
from stretto.engine.requests import (
    answer_request,
    direct_request,
    plan_request,
    repetition_of,
    role_of,
    round_request,
    sample_of,
    writer_of,
)
from stretto.engine.results import lacking
from stretto.engine.shaping import counting
from stretto.engine.work import work
from stretto.head import Heads, head_of
from stretto.plan.book import PlanBook
from stretto.plan.given import fixed_plan
from stretto.policies.prices import Prices
from stretto.rerun.beginning import given_results
from stretto.rerun.differences import difference
from stretto.runs import Run
from stretto.store.sqlite import Record
from stretto.types import Basis, Definition, Head, Reply, Request, Result, Subtask, Usage

Known = Callable[[Request], Reply | None]
"""The recorded reply that answers a request, if there is one."""

Fate = Literal["reused", "kept", "new", "fails", "unknown"]
"""Of a call: answered from the records; not made, because its result is taken over or its plan is given; made; not
made, because it cannot be; or nobody can say before there is a plan."""


class Forecast(Struct, frozen=True):
    """What a rerun would do about one call, and what that would take: `usage` estimated from the earlier run's calls.

    `cost` is in US dollars; None where a price is unknown, or no call of its kind was ever made. `assumed`: its
    model, and whose price that has, if it was found by the model's name alone.
    """

    name: str
    type: str
    fate: Fate
    why: str = ""
    usage: Usage = Usage()
    cost: Decimal | None = Decimal(0)
    assumed: str = ""


def explain(
    definition: Definition,
    basis: Basis,
    origin: Run,
    records: Mapping[str, Record],
    known: Known,
    prices: Prices,
) -> list[Forecast]:
    """A line for each call of a rerun of `origin`, in the order of its plan; `records` are those of `origin`."""
    return list(_Explaining(definition, basis, origin, records, known, prices).lines())


T = TypeVar("T")

_BYTES = 4  # of other inputs than before that make about a token

_Foreseen = tuple[Forecast, Result | None]


class _Explaining:
    def __init__(
        self,
        definition: Definition,
        basis: Basis,
        origin: Run,
        records: Mapping[str, Record],
        known: Known,
        prices: Prices,
    ) -> None:
        self._definition = definition
        self._basis = basis
        self._origin = origin
        self._heads = Heads(basis.inputs)
        self._head = self._heads.of()
        self._longer = (_size(self._head) - _size(head_of(origin.basis.inputs))) // _BYTES
        self._known = known
        self._prices = prices
        self._given = given_results(basis, origin)
        self._open = set[str]()  # subtasks of which nobody can say whether they are asked
        # Of several calls for one subtask (asked again after a resume) the last one counts.
        self._calls = {(c.subtask or c.role, c.part): c for c in origin.calls if c.finished}
        self._requests = {
            name: records[c.fingerprint].request for name, c in self._calls.items() if c.fingerprint in records
        }

    def lines(self) -> Iterator[Forecast]:
        plan = self._basis.plan or fixed_plan(self._definition, self._basis.inputs)
        certain: dict[str, Result] = {}
        if plan is not None:
            if self._definition.orchestrator:
                yield Forecast("orchestrator", "", "kept", "the plan is given")
            yield from self._workers(plan.subtasks, plan.subtasks, certain)
        else:
            plan = self._origin.plan
            for number in range(1, max(1, plan.rounds, *(s.round for s in plan.subtasks)) + 1):
                line = self._round(number, certain)
                yield line
                if line.fate != "reused":
                    yield from self._unknown(number)
                    return
                subtasks = tuple(subtask for subtask in plan.subtasks if subtask.round == number)
                yield from self._workers(subtasks, plan.subtasks, certain)
        yield self._answer(plan.subtasks, certain)

    def _round(self, number: int, certain: Mapping[str, Result]) -> Forecast:
        """What the orchestrator's call for a round comes to."""
        definition, origin = self._definition, self._origin
        request = plan_request(definition, origin.task, self._sample("orchestrator"), self._head)
        if number > 1:
            earlier = [subtask for subtask in origin.plan.subtasks if subtask.round < number]
            if changed := [subtask.id for subtask in earlier if subtask.id not in certain]:
                return self._after(changed, "orchestrator", f"round {number}", request.model)
            first, rounds = request, definition.limits.rounds

            def reading(found: Mapping[str, Result], changed: Collection[str] = ()) -> Request:
                return round_request(first, [s for s in earlier if s.id in found], found, number, rounds, changed)

            assert definition.orchestrator is not None  # noqa: S101 - there are rounds
            line, short = self._foreseen(
                "orchestrator",
                f"round {number}",
                condensed_for(definition, definition.orchestrator, reading, origin.task, earlier, certain),
            )
            if short is None:
                return line
            request = reading(short.shown, short.changed)
        line = self._line("orchestrator", f"round {number}" if number > 1 else "", request)
        if line.fate == "reused" and origin.plan.state is None:
            why = "its plan was not taken in whole, so the rest of it may be asked for"
            return Forecast("orchestrator", line.type, "unknown", why, self._usual("orchestrator"), None)
        return line

    def _workers(
        self, subtasks: Sequence[Subtask], plan: Sequence[Subtask], certain: dict[str, Result]
    ) -> Iterator[Forecast]:
        """A line for each of these subtasks of a plan; results that are known are put among the `certain` ones."""
        book = PlanBook(self._definition.workers, len(plan), plan)
        for subtask in subtasks:
            line, result = self._worker(subtask, book, certain)
            if result:
                certain[subtask.id] = result
            if line.fate == "unknown":
                self._open.add(subtask.id)
            yield line

    def _worker(self, subtask: Subtask, book: PlanBook, certain: Mapping[str, Result]) -> _Foreseen:
        """What a subtask's calls come to, and its result if that is known."""
        name = subtask.id
        if given := self._given.get(name):
            return Forecast(name, subtask.type, "kept", "" if given.outcome == "done" else given.outcome), given
        if refusal := book.refusal(subtask):
            return self._without_call(subtask, Result(name, "failed", error=refusal))
        role = role_of(self._definition, subtask)
        model = role.candidates[0]
        needs = [need for need in subtask.needs if need in book]
        if changed := [need for need in needs if need not in certain]:
            return self._after(changed, name, subtask.type, model), None
        needed = [(book[need], certain[need]) for need in needs]
        if (lacks := lacking(role, subtask, needed)) is not None:
            return self._without_call(subtask, lacks)
        if role.workflow is not None:
            if any(each == name or each.startswith(f"{name}/") for each in self._basis.fresh):
                return self._new(name, subtask.type, model, "it is to be asked anew"), None
            why = "a workflow does it, whose own calls are reused as far as nothing about them has changed"
            return Forecast(name, subtask.type, "unknown", why, self._usual(name), None), None
        sample, head = self._sample(name) + repetition_of(subtask, book.subtasks), self._heads.of(subtask.reads)
        asking = work(self._definition, self._origin.task, subtask, needed, sample, head)
        return self._foreseen(name, subtask.type, asking)

    def _foreseen(self, name: str, type_: str, asking: Asking[T]) -> tuple[Forecast, T | None]:
        """What an asking finds as far as the records answer; the line is that of the first call they do not."""
        line = Forecast(name, type_, "reused")
        try:
            asks = next(asking)
            while True:
                said = []
                for ask in asks:
                    line = self._line(ask.subtask or name, type_, ask.request, ask.part)
                    reply = counting(ask.request, self._known)
                    if reply is None:
                        return line, None
                    tokens = tokens_of(reply.usage, thought=bool(reply.reasoning))
                    said.append(Said(reply.finish, reply.text, tokens=tokens))
                asks = asking.send(said)
        except StopIteration as end:
            return line, end.value

    def _answer(self, subtasks: tuple[Subtask, ...], certain: Mapping[str, Result]) -> Forecast:
        role, task, sample = self._definition.synthesizer, self._origin.task, self._sample("synthesizer")
        results = [certain.get(subtask.id) for subtask in subtasks]
        if not any(result is None or result.outcome == "done" or result.text for result in results):
            if all(subtask.alone for subtask in subtasks):
                return Forecast("synthesizer", "", "fails", "no item of the list has a result")
            writer = writer_of(self._definition)
            assert writer is not None  # noqa: S101 - without an orchestrator there are subtasks
            asked = direct_request(self._definition, writer, task, sample, self._head)
            return self._line("synthesizer", "", asked)
        if role is None:
            return Forecast("synthesizer", "", "kept", "there is none: the results are the answer")
        if changed := [subtask.id for subtask in subtasks if subtask.id not in certain]:
            return self._after(changed, "synthesizer", "", role.candidates[0])
        state = (self._basis.plan or self._origin.plan).state or "complete"
        head = None if any(subtask.reads for subtask in subtasks) else self._head
        condensing = condensed(self._definition, task, subtasks, certain, head, state)
        line, short = self._foreseen("synthesizer", "", condensing)
        if short is None:
            return line
        read = [subtask for subtask in subtasks if subtask.id not in short.left_out]
        request = answer_request(
            self._definition, task, read, short.results, state, sample, head, (*short.condensed, *short.cut)
        )
        assert request is not None  # noqa: S101 - there is a synthesizer
        return self._line("synthesizer", "", request)

    def _line(self, name: str, type_: str, request: Request, part: str = "") -> Forecast:
        if self._known(request):
            return Forecast(name, type_, "reused")
        why = self._why(name, request, part)
        return self._new(name, type_, request.model, f"{part}: {why}" if part else why)

    def _why(self, name: str, request: Request, part: str) -> str:
        """Why a request is not answered by what the earlier run recorded."""
        if self._definition.memory.reuse == "off":
            return 'nothing is reused (reuse = "off")'
        if name in self._basis.fresh:
            return "it is to be asked anew"
        call, before = self._calls.get((name, part)), self._requests.get((name, part))
        if call is None or call.finished is None:
            return "there was no such call"
        if call.started is None and call.finished.error:
            return "it was not asked then"  # there was no money for it, say
        if before is None:
            return "what was asked then is not recorded"
        if changes := difference(before, request):
            return changes
        if call.finished.error:
            return "it failed then"
        if call.finished.asked:
            return f"then {call.finished.asked} answered in its place"
        return f"its reply was not whole ({call.finished.finish})"

    def _after(self, changed: list[str], name: str, type_: str, model: str) -> Forecast:
        """A call that builds on results which are not certain."""
        if self._open.issuperset(changed):
            why = f"{_listed(changed)} may be asked again"
            return Forecast(name, type_, "unknown", why, self._usual(name), None)
        changed = [each for each in changed if each not in self._open]
        return self._new(name, type_, model, f"{_listed(changed)} {'is' if len(changed) == 1 else 'are'} asked again")

    def _new(self, name: str, type_: str, model: str, why: str) -> Forecast:
        usage, price = self._usual(name), self._prices.known.get(model)
        if self._longer and usage.input_tokens:
            usage = Usage(max(0, usage.input_tokens + self._longer), usage.output_tokens)
        # What nobody can tell is not nothing, but for a model that costs nothing.
        untold = price is None or (usage == Usage() and (price.input or price.output))
        cost = None if untold or price is None else price.of(usage)
        return Forecast(name, type_, "new", why, usage, cost, "".join(self._prices.assumptions([model])))

    def _usual(self, name: str) -> Usage:
        """What a call took in the earlier run, or what its kind took on average; nothing if none is known."""
        own = [c.finished.usage for (whose, _), c in self._calls.items() if whose == name and c.finished]
        if paid := [usage for usage in own if usage]:
            return sum(paid, Usage())
        kind = name if name in {"orchestrator", "synthesizer"} else "worker"
        told = [c.finished.usage for c in self._calls.values() if c.role == kind and c.finished and c.finished.usage]
        if not told:
            return Usage()
        total = sum(told, Usage())
        return Usage(total.input_tokens // len(told), total.output_tokens // len(told))

    def _unknown(self, number: int) -> Iterator[Forecast]:
        """A new plan, or round of it, may have the same subtasks, or quite others."""
        why = "it depends on the new plan"
        later = [subtask for subtask in self._origin.plan.subtasks if subtask.round >= number]
        if not self._origin.plan.subtasks:
            yield Forecast("subtasks", "", "unknown", "there is no plan yet", Usage(), None)
        for subtask in later:
            yield Forecast(subtask.id, subtask.type, "unknown", why, self._usual(subtask.id), None)
        if self._definition.synthesizer:
            yield Forecast("synthesizer", "", "unknown", why, self._usual("synthesizer"), None)

    def _without_call(self, subtask: Subtask, result: Result) -> _Foreseen:
        return Forecast(subtask.id, subtask.type, "fails", result.error or ""), result

    def _sample(self, name: str) -> int:
        return sample_of(self._basis, name)


def _size(head: Head | None) -> int:
    return head.size if head else 0


def _listed(names: list[str]) -> str:
    return f"{', '.join(names[:3])}{f' and {len(names) - 3} more' if len(names) > 3 else ''}"
