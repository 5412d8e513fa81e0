"""What plans of one run will take: its records, prices and definition go into the walk that foretells it."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from msgspec import Struct

from stretto.calls import fingerprint
from stretto.engine.requests import plan_request
from stretto.forecast.drawn import SCALE, Grounds
from stretto.forecast.gate import Work, forecast
from stretto.forecast.history import Batches, History, batches_of, history_of
from stretto.head import head_of
from stretto.policies.estimate import tokens_asked
from stretto.policies.prices import Prices
from stretto.proposal import Proposal
from stretto.runs import Run
from stretto.store.journal import Journal
from stretto.store.locations import Location
from stretto.store.patience import patiently
from stretto.store.schema import GLANCE, PATIENCE
from stretto.types import Definition, Plan, Price, Result


class Outlook(Struct):
    """What plans of one run will take.

    `store` tells what calls like its took, and `models` are all that it may ask, of which `batches` are those with a
    Batch API, and the part of their price that it costs. `given`: results of subtasks that are not computed.
    """

    definition: Definition
    journal: Journal
    store: Location | None
    models: Sequence[str]
    prices: Prices
    given: Mapping[str, Result]
    batches: Mapping[str, float]
    history: History | None = None

    async def ahead(self, plan: Plan) -> Callable[[], Proposal]:
        """What makes the forecast of what is left to do of a plan: for that, others would have to wait."""
        run, definition, store, batches = self.journal.run, self.definition, self.store, self.batches
        if self.history is None:
            known = Batches()
            if batches and store is not None:  # many logs: a moment for which no loop waits
                known = await asyncio.to_thread(batches_of, store, PATIENCE)
            self.history = await patiently(lambda: history_of(store, _simulated(run), GLANCE, known))
        prices: dict[str, Price | None] = {model: await self.prices.of(model) for model in self.models}
        work = Work(run.task, run.basis.inputs, run.results, self.given)
        assumed = self.prices.assumptions(self.models)
        grounds = Grounds(self.history, prices, _scale(definition, run), assumed, batches)
        return partial(forecast, definition, plan, work, grounds, run.id)


def _simulated(run: Run) -> set[str]:
    """The providers that are simulators, by their kind or by what they have said in this run."""
    kept = {name for name, provider in run.workflow["providers"].items() if provider["kind"] == "simulator"}
    return kept | {call.model.partition(":")[0] for call in run.calls if call.finished and call.finished.simulated}


def _scale(definition: Definition, run: Run) -> float:
    """Tokens of a prompt for each estimated one, as the plan's own call has shown."""
    if definition.orchestrator is None:
        return SCALE
    sample = run.basis.samples.get("orchestrator", 0)
    request = plan_request(definition, run.task, sample, head_of(run.basis.inputs))
    key = fingerprint(request)
    told = [call.finished.usage for call in run.calls if call.fingerprint == key and call.finished]
    counted = next((usage.input_tokens for usage in told if usage and usage.input_tokens), 0)
    return counted / tokens_asked(request) if counted else SCALE
