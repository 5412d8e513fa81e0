"""What a rerun would do, told without doing it."""

from stretto.forecast import Forecast, explain
from stretto.policies.memo import Replies
from stretto.policies.prices import Prices
from stretto.rerun import Rerun, basis_of
from stretto.run.mapping import mapped
from stretto.run.opening import earlier_of, known_to, resumable
from stretto.store.locations import Location
from stretto.store.recall import Recall
from stretto.store.sqlite import Store
from stretto.types import Definition
from stretto.types.definitions import knowing


async def explained(rerun: Rerun, definition: Definition, path: Location, prices: Prices) -> list[Forecast]:
    """What a rerun would do about each call, in virtual time; nothing is asked and nothing is written."""
    store = Store(path)
    origin, recorded = resumable(store.run(rerun.origin)), store.replies(rerun.origin)
    basis = basis_of(rerun, origin, recorded, definition)
    memory, informed = definition.memory, knowing(mapped(definition, basis), known_to(origin))
    with Recall(path) as recall:
        earlier = earlier_of(memory, basis, recorded, recall if memory.reuse == "store" else None)
        replies = Replies(earlier=earlier, shared=memory.reuse != "off")
        return await explain(informed, basis, origin, store.records(rerun.origin), replies, prices)
