"""Budget: every attempt reserves what it may take before it goes out, and settles what it took."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from decimal import Decimal

from msgspec.structs import replace

from stretto.calls import SHORTENED, SPOKEN, Call, Chunk, Done, Model, Notice, Sent
from stretto.errors import AuthError, CallTimeout, ConnectError, QuotaError, RateLimited, RequestError, ServerError
from stretto.events import CallRetried
from stretto.policies.account import Account, rank_of
from stretto.policies.amounts import NOTHING, Amount, Wish, amount
from stretto.policies.estimate import least_output, most_output, tokens_asked, tokens_in, usual_output
from stretto.policies.prices import Prices
from stretto.types import Price, Usage

_UNBILLED = (RequestError, AuthError, QuotaError, RateLimited, ServerError)
"""A request that was answered with an error status cost nothing."""


class Budget:
    """Asks `model`, which is written `name`, on the account of a run.

    Under a limit a request that sets none gets a limit for its reply. An attempt that ends without its usage being
    told settles at its estimate: the request, and what was heard of the reply or, if more may have been written than
    was heard (not streamed, or streamed and then silent), all it may have.
    """

    def __init__(self, model: Model, name: str, account: Account, prices: Prices, max_subtasks: int) -> None:
        self._model = model
        self._name = name
        self._account = account
        self._prices = prices
        self._max_subtasks = max_subtasks

    async def stream(self, call: Call) -> AsyncGenerator[Chunk, None]:
        """The reply, once there is enough for it."""
        account, attempt = self._account, _Attempt(call, self._account)
        wish = None
        if account.limited:
            wish = self._wish(call, await self._prices.of(self._name))
            granted = wish.output
            if not account.grant(wish):
                wish.rank = rank_of(call)
                granted = await account.reserve(wish)
            attempt.reserve(Usage(wish.input, granted), wish.cost, shortened=granted < wish.output)
            call = replace(within(call, granted), most=None)  # this limit must hold
        try:
            async with aclosing(self._model.stream(call)) as chunks:
                async for chunk in chunks:
                    if isinstance(chunk, Done):  # settled before anybody hears that the call is over
                        attempt.settle(await self._prices.of(self._name), chunk)
                        yield attempt.finished(chunk)
                    else:
                        yield attempt.noted(chunk)
        except _UNBILLED:
            attempt.sent = False
            raise
        except ConnectError:  # no reply began, but nobody knows how far the request came
            attempt.answered = False
            raise
        except CallTimeout:  # nobody knows how much was written behind the silence
            attempt.silent = True
            raise
        finally:
            try:
                if not attempt.settled:
                    await self._close(attempt)
            finally:
                if wish is not None:
                    account.release(wish)

    def _wish(self, call: Call, price: Price | None) -> Wish:
        """What a call wants to set aside; its rank comes later, if it has to wait."""
        told = None if call.most else most_output(call.request.options)
        wanted = told or call.most or usual_output(call.role, self._max_subtasks)
        least = least_output(wanted, told=told is not None)
        return Wish(call.role, tokens_asked(call.request), wanted, price, least, shorten=call.shorten)

    async def _close(self, attempt: "_Attempt") -> None:
        """Settle an attempt that ended without a reply."""
        if attempt.sent:
            attempt.settle(await self._prices.of(self._name))
        else:
            attempt.drop()


class _Attempt:
    """One request of a call: what was set aside for it, what was heard of its reply, and settling it once."""

    __slots__ = (
        "_account", "_call", "_cost", "_heard", "_racing", "_reserved", "_shortened",
        "answered", "sent", "settled", "silent",
    )  # fmt: skip

    def __init__(self, call: Call, account: Account) -> None:
        self.sent = self.settled = False
        self.answered = True
        self.silent = False
        self._call = call
        self._account = account
        self._reserved: Usage | None = None
        self._cost: Decimal | None = None
        self._heard = 0  # tokens of the reply so far, estimated
        self._shortened = False
        self._racing: Amount = NOTHING

    def reserve(self, most: Usage, cost: Decimal | None, *, shortened: bool) -> None:
        """So much was set aside; `shortened` if that is less than was wanted."""
        self._reserved, self._cost, self._shortened = most, cost, shortened

    def noted(self, chunk: Chunk) -> Chunk:
        """The chunk, which was heard."""
        if isinstance(chunk, SPOKEN):
            self._heard += tokens_in(chunk.text)
        elif isinstance(chunk, Sent):
            self.sent = True
            if self._call.duplicate:
                self._race()
            if self._reserved:
                return Sent(*self._account.send(self._call.id, self, self._reserved, self._cost))
        elif isinstance(chunk, Notice) and isinstance(chunk.event, CallRetried) and chunk.event.rate_limited:
            self.sent = False  # it was refused and waits to be sent again
        return chunk

    def finished(self, done: Done) -> Done:
        """The end of a reply; one that met a limit only the budget set is not what was asked for."""
        return replace(done, finish=SHORTENED) if self._shortened and done.finish == "length" else done

    def settle(self, price: Price | None, done: Done | None = None) -> None:
        """The attempt is over: with a reply, or without one."""
        self.sent, self.settled = False, True
        call = self._call
        told = done.usage if done else None
        usage = told or self._estimate(whole=done is not None)
        self._account.settle(call.id, self, usage, price, lost=told is None)
        if call.duplicate:
            self._account.race(amount(usage, price) - self._racing)
            self._racing = NOTHING
        if done:
            self._account.note(call.role, usage, price)

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

    def _estimate(self, *, whole: bool) -> Usage:
        """What an attempt used that did not say it: of a reply that may be longer than was heard, all it may have."""
        call = self._call
        asked = self._reserved.input_tokens if self._reserved else tokens_asked(call.request)
        if whole or not self.answered or (call.stream and not self.silent):
            return Usage(asked, self._heard)
        usual = self._account.usual(call.role)
        output = most_output(call.request.options) or (usual[0].output_tokens if usual else 0)
        return Usage(asked, self._reserved.output_tokens if self._reserved else max(output, self._heard))


def within(call: Call, output: int) -> Call:
    """The call with a limit for its reply, under the name the request has for it."""
    options = call.request.options
    key = "max_completion_tokens" if "max_completion_tokens" in options else "max_tokens"
    if options.get(key) == output:
        return call
    return replace(call, request=replace(call.request, options={**options, key: output}))
