"""Budget: every attempt reserves what it may take before it goes out, and settles what it took."""

import math
from collections.abc import AsyncGenerator

from msgspec.structs import replace

from stretto.calls import SHORTENED, SPOKEN, Call, Chunk, Done, Model, Notice, Restarted, Sent
from stretto.errors import (
    AuthError,
    BatchError,
    BudgetError,
    CallError,
    CallTimeout,
    ConnectError,
    QuotaError,
    RateLimited,
    RequestError,
    ServerError,
    Unreachable,
)
from stretto.events import CallRetried
from stretto.policies.account import Account, rank_of
from stretto.policies.estimate import breadth, least_output, most_output, thirds_in, usual_output
from stretto.policies.prices import Prices
from stretto.policies.spending import NOTHING, Amount, Wish, amount
from stretto.types import Price, Usage

_UNBILLED = (RequestError, AuthError, QuotaError, RateLimited, ServerError, Unreachable, BatchError)
"""A request that was answered with an error status or not at all by its batch, or never left, cost nothing."""
_TURNS = (Done, Restarted)
"""Chunks with which an attempt is over, or begins anew."""
_STEPS = 4  # in which more is set aside for a reply that may have passed its limit
_UNHEARD = 96  # thirds of tokens that were written behind the last piece, at most, when a reply broke off
_LONGEST = 5  # characters of a token, over a whole reply


class Budget:
    """Asks `model`, which is written `name`, on the account of a run.

    Under a limit a request that sets none gets a limit for its reply. A reply that has surely passed its limit is cut;
    where more may have been heard than was set aside, more is. An attempt that ends without its usage being told
    settles at its estimate: the request, and what was heard of the reply or, if more may have been written than was
    heard (not streamed, or streamed and then silent, or told in numbers that cannot be), all it may have. `part`: which
    part of the model's price an attempt costs, as in a batch.
    """

    def __init__(
        self, model: Model, name: str, account: Account, prices: Prices, max_subtasks: int, part: float = 1.0
    ) -> None:
        self._model = model
        self._name = name
        self._account = account
        self._prices = prices
        self._max_subtasks = max_subtasks
        self._part = part

    async def stream(self, call: Call) -> AsyncGenerator[Chunk, None]:
        """The reply, once there is enough for it."""
        attempt = _Attempt(call, self._name, self._account)
        wish = await self._reserve(call, attempt) if self._account.limited else None
        if attempt.reserved:
            call = within(call, attempt.reserved.output_tokens)  # this limit must hold
        try:
            chunks = self._model.stream(call)
            try:
                async for chunk in chunks:
                    if isinstance(chunk, _TURNS):
                        yield await self._turned(attempt, chunk)
                    else:
                        yield attempt.noted(chunk)
                        if attempt.past:
                            break
            finally:
                await chunks.aclose()
            if attempt.past:
                yield await self._settled(attempt, Done("length"))
        except CallError as error:
            attempt.fail(error)
            raise
        finally:
            try:
                if not attempt.settled:
                    await self._close(attempt)
            finally:
                if wish is not None:
                    self._account.release(wish)

    def _wish(self, call: Call, price: Price | None) -> Wish:
        """What a call wants to set aside; its rank comes later, if it has to wait."""
        told = None if call.most else most_output(call.request.options)
        wanted = told or call.most or usual_output(call.role, self._max_subtasks)
        least = min(wanted, least_output(wanted, told=told is not None) + self._account.unheard(self._name))
        asked = self._account.asked(self._name, call.request)
        return Wish(call.role, asked, wanted, price, least, shorten=call.shorten)

    async def _reserve(self, call: Call, attempt: "_Attempt") -> Wish:
        """Wait until there is enough for a call."""
        wish = self._wish(call, await self._price())
        granted = wish.output
        if not self._account.grant(wish):
            wish.rank = rank_of(call)
            granted = await self._account.reserve(wish)
        attempt.reserve(wish, granted)
        return wish

    async def _turned(self, attempt: "_Attempt", chunk: Done | Restarted) -> Chunk:
        """The chunk, once it is reckoned up: an end is settled before anybody hears that the call is over."""
        if isinstance(chunk, Done):
            return await self._settled(attempt, chunk)
        await self._again(attempt)
        return chunk

    async def _settled(self, attempt: "_Attempt", done: Done) -> Done:
        """Settle a reply; its end."""
        attempt.settle(await self._price(), done)
        return attempt.finished(done)

    async def _again(self, attempt: "_Attempt") -> None:
        """A reply begins anew; if it broke off for its rate, and is asked for again, what was heard of it is paid."""
        if attempt.sent or not attempt.heard:
            return
        attempt.pay(await self._price())
        if not attempt.kept():
            raise BudgetError(f"{self._name}: the budget does not allow to ask for a reply again that broke off")

    async def _close(self, attempt: "_Attempt") -> None:
        """Settle an attempt that ended without a reply."""
        if attempt.sent:
            attempt.settle(await self._price())
        else:
            attempt.drop()

    async def _price(self) -> Price | None:
        price = await self._prices.of(self._name)
        return price.times(self._part) if price and self._part != 1 else price


class _Attempt:
    """One request of a call: what was set aside for it, what was heard of its reply, and settling it once."""

    __slots__ = (
        "_account", "_aside", "_call", "_enough", "_heard", "_length", "_longest", "_name", "_piece", "_racing",
        "_shortened", "_wish", "answered", "reserved", "sent", "settled", "silent",
    )  # fmt: skip

    def __init__(self, call: Call, name: str, account: Account) -> None:
        self.sent = self.settled = False
        self.answered = True
        self.silent = False
        self._call = call
        self._name = name
        self._account = account
        self._wish: Wish | None = None
        self.reserved: Usage | None = None
        self._heard = 0  # thirds of tokens of the reply so far, at most
        self._piece = 0  # thirds of tokens of its longest piece
        self._enough = math.inf  # so many may be heard before more is set aside
        self._aside: int | None = None  # tokens of the reply that are set aside
        self._length = 0  # characters
        self._longest = math.inf  # so many are surely more than the reply may have
        self._shortened = False
        self._racing: Amount = NOTHING

    @property
    def heard(self) -> bool:
        """Whether the model has said anything."""
        return self._length > 0

    @property
    def past(self) -> bool:
        """Whether the reply has surely passed the limit that was set aside for it."""
        return self._length >= self._longest

    def _stretch(self, wish: Wish, most: int) -> None:
        """More may have been heard than was set aside: set aside more, if there is more."""
        more = -(-self._heard // 3) + most // _STEPS
        if self._account.stretch(wish, more):
            self._aside = more
        self._enough = 3 * more

    def reserve(self, wish: Wish, granted: int) -> None:
        """The wish was granted, with so many tokens for the reply."""
        self._wish, self.reserved = wish, Usage(wish.input, granted)
        self._enough, self._aside = 3 * granted, granted
        if self._call.stream:  # else it is here, and paid, as a whole
            self._longest = _LONGEST * granted
        self._shortened = granted < wish.output

    def noted(self, chunk: Chunk) -> Chunk:
        """The chunk, which was heard."""
        if isinstance(chunk, SPOKEN):
            thirds = thirds_in(chunk.text)
            self._heard += thirds
            self._piece = max(self._piece, min(thirds, _UNHEARD))
            self._length += breadth(chunk.text)
            if self._heard > self._enough and self._wish and self.reserved:
                self._stretch(self._wish, self.reserved.output_tokens)
        elif isinstance(chunk, Sent):
            self.sent = True
            if self._call.duplicate:
                self._race()
            if self._wish and self.reserved:
                return Sent(*self._account.send(self._call.id, self, self.reserved, self._wish.cost), chunk.batch)
        elif isinstance(chunk, Notice) and isinstance(chunk.event, CallRetried) and chunk.event.rate_limited:
            self.sent = False  # it was refused and waits to be sent again
        return chunk

    def fail(self, error: CallError) -> None:
        """Settle what a failed attempt is charged, by how it failed."""
        if isinstance(error, _UNBILLED):
            self.sent = self.heard  # what was said before it is paid
        elif isinstance(error, ConnectError):  # no reply began, but nobody knows how far the request came
            self.answered = False
        elif isinstance(error, CallTimeout):  # nobody knows how much was written behind the silence
            self.silent = True

    def finished(self, done: Done) -> Done:
        """The end of a reply; one that met a limit only the budget set is not what was asked for."""
        return replace(done, finish=SHORTENED) if self._shortened and done.finish == "length" else done

    def settle(self, price: Price | None, done: Done | None = None) -> None:
        """The attempt is over: with a reply, or without one."""
        self.sent, self.settled = False, True
        call = self._call
        told = done.usage if done else None
        usage = told or self._estimate(done)
        if told and (unheard := told.output_tokens + self._heard // -3) > 0:
            self._account.wrote_unheard(self._name, unheard)
        if told and self.reserved and told.input_tokens > self.reserved.input_tokens:
            self._account.counted(self._name, call.request, told.input_tokens)
        self._account.settle(call.id, self, usage, price, lost=told is None)
        if call.duplicate:
            self._account.race(amount(usage, price) - self._racing)
            self._racing = NOTHING
        if done:
            self._account.note(call.role, usage, price)

    def pay(self, price: Price | None) -> None:
        """What was heard so far is paid and forgotten."""
        usage = self._estimate(None)
        self._account.settle(self._call.id, self, usage, price, lost=True)
        self._heard = self._length = 0

    def kept(self) -> bool:
        """Set aside once more what was set aside at first; whether there is enough."""
        if self._wish is None or self.reserved is None:
            return True
        self._enough, self._aside = 3 * self.reserved.output_tokens, self.reserved.output_tokens
        return self._account.stretch(self._wish, self.reserved.output_tokens)

    def drop(self) -> None:
        """The attempt is over, and cost nothing."""
        self._account.drop(self._call.id, self)
        self._account.race(NOTHING - self._racing)
        self._racing = NOTHING

    def _race(self) -> None:
        """Count a duplicate as long as it runs at what such calls usually take."""
        usual = self._account.usual(self._call.role)
        if usual and not self._racing.tokens:  # else it was sent before, and refused
            self._racing = amount(*usual)
            self._account.race(self._racing)

    def _estimate(self, done: Done | None) -> Usage:
        """What an attempt used that did not say it: of a reply that may be longer than was heard, all it may have.

        What was heard may be so many tokens at most, and behind what was heard of a reply that broke off a further
        piece was being written, as long as its longest, at most; if that is more than was set aside, the reply is
        believed to have kept its limit, unless it surely has not.
        """
        call, heard = self._call, -(-(self._heard + (0 if done else self._piece)) // 3)
        if self._aside is not None:
            heard = min(heard, max(self._aside, self._length // _LONGEST))
        asked = self.reserved.input_tokens if self.reserved else self._account.asked(self._name, call.request)
        whole = not done.doubtful if done else call.stream and not self.silent
        if whole or not self.answered:
            return Usage(asked, heard)
        usual = self._account.usual(call.role)
        output = most_output(call.request.options) or (usual[0].output_tokens if usual else 0)
        return Usage(asked, max(self.reserved.output_tokens if self.reserved else output, heard))


def within(call: Call, output: int, most: int | None = None) -> Call:
    """The call with a limit for its reply, under the name the request has for it; `most`: that it is not the user's."""
    options, request = call.request.options, call.request
    key = "max_completion_tokens" if "max_completion_tokens" in options else "max_tokens"
    if options.get(key) != output:
        request = replace(request, options={**options, key: output})
    return replace(call, request=request, most=most)
