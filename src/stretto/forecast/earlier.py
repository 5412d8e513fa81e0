"""What an earlier run tells of a call that its rerun would make: why it is asked again, and what it will take."""

from collections import defaultdict
from collections.abc import Collection, Mapping
from decimal import Decimal
from typing import Literal

from msgspec import Struct

from stretto.calls import Call
from stretto.engine.caller import ANSWER, PLAN
from stretto.head import head_of
from stretto.policies.prices import Prices
from stretto.rerun import EVERYTHING
from stretto.runs import CallRecord, Run
from stretto.store.sqlite import Record
from stretto.types import Basis, Definition, Input, Price, Request, Usage

_BYTES = 4  # of other inputs than before that make about a token
_OWN = {PLAN: "orchestrator", ANSWER: "synthesizer"}
"""What the parts of a workflow within a subtask are called where they are to be asked anew."""

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


class Earlier:
    """The run `origin`, of which a rerun with this `definition` begins with this `basis`; `records` are its own."""

    def __init__(
        self,
        definition: Definition,
        basis: Basis,
        origin: Run,
        records: Mapping[str, Record],
        prices: Prices,
    ) -> None:
        self._workers = definition.workers
        self._reuses = definition.memory.reuse != "off"
        self._fresh = basis.fresh
        self._prices = prices
        self._records = records
        self._longer = (_size(basis.inputs) - _size(origin.basis.inputs)) // _BYTES
        self._calls: defaultdict[tuple[str, str], list[CallRecord]] = defaultdict(list)
        for call in origin.calls:
            if call.finished:
                self._calls[call.subtask or call.role, call.part].append(call)
        # Of several calls for one part (asked again after a resume) the last one counts.
        self._last = {key: calls[-1].finished for key, calls in self._calls.items()}

    def why(self, call: Call) -> str:
        """Why a call is not answered by what was recorded."""
        name = call.subtask or call.role
        told = self._reason(call, self._calls.get((name, call.part), ()))
        return f"{call.part}: {told}" if call.part else told

    def new(self, name: str, type_: str, model: str, why: str, answered: Collection[str] = ()) -> Forecast:
        """The line of a call that is made; the parts that are `answered` take nothing."""
        usage, price = self.usual(name, answered), self._price(model, type_)
        if self._longer and usage.input_tokens:
            usage = Usage(max(0, usage.input_tokens + self._longer), usage.output_tokens)
        # What nobody can tell is not nothing, but for a model that costs nothing.
        untold = price is None or (usage == Usage() and (price.input or price.output))
        cost = None if untold or price is None else price.of(usage)
        return Forecast(name, type_, "new", why, usage, cost, "".join(self._prices.assumptions([model])))

    def _price(self, model: str, type_: str) -> Price | None:
        """The price of a model's calls for subtasks of a type, which may go out with a batch."""
        price, role = self._prices.known.get(model), self._workers.get(type_)
        part = self._prices.batches.get(model, 1.0) if role and role.batch else 1.0
        return price.times(part) if price and part != 1 else price

    def unknown(self, name: str, type_: str, why: str) -> Forecast:
        """The line of calls of which nobody can say whether they are made."""
        return Forecast(name, type_, "unknown", why, self.usual(name), None)

    def usual(self, name: str, answered: Collection[str] = ()) -> Usage:
        """What its calls took then, or what those of its kind took on average; nothing if none is known."""
        own = [
            call.usage for (whose, part), call in self._last.items() if call and whose == name and part not in answered
        ]
        if paid := [usage for usage in own if usage]:
            return sum(paid, Usage())
        kind = name if name in {"orchestrator", "synthesizer"} else "worker"
        told = [call.usage for call in self._last.values() if call and call.role == kind and call.usage]
        total = sum(told, Usage())
        return Usage(total.input_tokens // len(told), total.output_tokens // len(told)) if told else Usage()

    def _reason(self, call: Call, before: Collection[CallRecord]) -> str:
        if not self._reuses:
            return 'nothing is reused (reuse = "off")'
        if self._is_fresh(call):
            return "it is to be asked anew"
        *_, last = (each.finished for each in before) if before else (None,)
        if last is None:
            return "there was no such call"
        if last.error and all(each.started is None for each in before):
            return "it was not asked then"  # there was no money for it, say
        recorded = [self._records[each.fingerprint].request for each in before if each.fingerprint in self._records]
        changes = [difference(request, call.request) for request in recorded if request]
        if not changes:
            return "what was asked then is not recorded"
        if least := min(changes, key=len):  # in several rounds several things were asked
            return least
        if last.error:
            return "it failed then"
        return f"then {last.asked} answered in its place" if last.asked else f"its reply was not whole ({last.finish})"

    def _is_fresh(self, call: Call) -> bool:
        """Whether a call, or what it is a part of, is to be asked anew."""
        if EVERYTHING in self._fresh:
            return True
        parts = (call.subtask or call.role).split("/")
        names = {"/".join(parts[:end]) for end in range(1, len(parts) + 1)}
        return any(name in names or name == f"{call.subtask}/{_OWN.get(call.part)}" for name in self._fresh)


def _size(inputs: tuple[Input, ...]) -> int:
    head = head_of(inputs)
    return head.size if head else 0


def difference(before: Request, now: Request) -> str:
    """What distinguishes two requests, in words; nothing if they are the same."""
    changes = [f"model {before.model} -> {now.model}"] if before.model != now.model else []
    digests = [each.head.digest if each.head else "" for each in (before, now)]
    changes += ["inputs changed"] if digests[0] != digests[1] else []
    for key in sorted({*before.options, *now.options}):
        old, new = before.options.get(key, "unset"), now.options.get(key, "unset")
        changes += [f"{key} {old} -> {new}"] if old != new else []
    for role, what in (("system", "system prompt"), ("user", "prompt"), ("assistant", "prompt")):
        old_text, new_text = ([m.content for m in each.messages if m.role == role] for each in (before, now))
        changes += [f"{what} changed"] if old_text != new_text else []
    changes += ["schema changed"] if before.schema != now.schema else []
    changes += [f"sample {before.sample} -> {now.sample}"] if before.sample != now.sample else []
    return ", ".join(dict.fromkeys(changes))
