"""What a reply says it took: no lie gets past the door, and a ceiling holds whatever is told."""

import asyncio
import json
from collections.abc import AsyncGenerator
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from drawn import examples
from endpoint import reply
from models import Scripted, call, listen, outcome
from stretto import Input, Limits, Price, Provider, Role, Usage, Workflow
from stretto.calls import SHORTENED, Call, Chunk, Done, Sent, Text
from stretto.errors import (
    AuthError,
    BudgetError,
    ConfigError,
    CutError,
    QuotaError,
    RateLimited,
    RequestError,
    ServerError,
)
from stretto.models.reply import Reply
from stretto.models.usage import DOUBTFUL, Doubtful, usage_of
from stretto.models.wire import read
from stretto.policies.account import Account
from stretto.policies.budget import Budget
from stretto.policies.estimate import most_in, tokens_in
from stretto.policies.governor.gate import Gate
from stretto.policies.governor.lane import Lane
from stretto.policies.governor.queue import Governor, Queue
from stretto.policies.limit import Limit
from stretto.policies.prices import Prices
from stretto.policies.spending import Wish
from virtual import virtually

PRICE = Price(Decimal(1), Decimal(10))
MOST = 2**24
NOTHING: list[Any] = [None, [], {}, "", 0, {"prompt_tokens": 0, "completion_tokens": 0}, {"prompt_tokens": None}]


def told(asked: Any, said: Any, **more: Any) -> dict[str, Any]:
    return {"prompt_tokens": asked, "completion_tokens": said, **more}


@pytest.mark.parametrize(
    ("said", "usage"),
    [
        (told(9, 4), Usage(9, 4)),
        (told("9", "4"), Usage(9, 4)),
        (told(8.5, 4.0), Usage(9, 4)),
        ({"input_tokens": 9, "output_tokens": 4}, Usage(9, 4)),
        (told(9, 4, total_tokens=20), Usage(9, 11)),  # thoughts that are in the total only
        (told(9, None, total_tokens=20), Usage(9, 11)),
        (told(9, 4, total_tokens=-5), Usage(9, 4)),
        (told(9, 4, prompt_tokens_details={"cached_tokens": 20}), Usage(29, 4, 20)),  # counted beside it
        ({"input_tokens": 9, "output_tokens": 4, "input_tokens_details": {"cached_tokens": 5}}, Usage(9, 4, 5)),
        (
            {"input_tokens": 9, "output_tokens": 4, "cache_read_input_tokens": 5, "cache_creation_input_tokens": 6},
            Usage(20, 4, 5),
        ),
        (told(9, 4, cache_read_input_tokens=5, cache_creation_input_tokens=2), Usage(9, 4, 5)),
        ({"promptTokens": 9, "completionTokens": 4, "totalTokens": 13}, Usage(9, 4)),
        ({"prompt_eval_count": 9, "eval_count": 4}, Usage(9, 4)),
        ({"input_token_count": 9, "generated_token_count": 4}, Usage(9, 4)),
        ({"prompt_token_count": 9, "candidates_token_count": 4, "total_token_count": 20}, Usage(9, 11)),
        ({"billed_units": {"input_tokens": 1}, "tokens": {"input_tokens": 9, "output_tokens": 4}}, Usage(9, 4)),
        ({"promptTokenCount": 9, "candidatesTokenCount": 4, "totalTokenCount": 20}, Usage(9, 11)),
        (told(9, 4, prompt_tokens_details={"cached_tokens": 10**9}), Usage(9, 4)),
        (told(9, 4, prompt_tokens_details={"cached_tokens": -3}), Usage(9, 4)),
        (told(9, 4, prompt_tokens_details=[]), Usage(9, 4)),
        (told(9, 4, completion_tokens_details={"reasoning_tokens": 99}), Usage(9, 103, 0, 99)),  # likewise
        (told(9, 4, total_tokens=112, completion_tokens_details={"reasoning_tokens": 99}), Usage(9, 103, 0, 99)),
        (told(9, 4, reasoning_tokens=99), Usage(9, 103, 0, 99)),
        (told(9, 4, reasoning_tokens=3), Usage(9, 4, 0, 3)),
        (told(9, 4, prompt_cache_hit_tokens="2"), Usage(9, 4, 2)),
        *[(nothing, None) for nothing in NOTHING],
        *[(told(9, lie), DOUBTFUL) for lie in (-35, 2**64 - 1, 1e308, 10**400, True, "many", [4], float("nan"), "nan")],
        *[(lie, DOUBTFUL) for lie in ([1], "x", 7, told(-1, 4), {"prompt_tokens": 9}, {"total_tokens": 5000})],
    ],
)
def test_usage_is_taken_in_as_far_as_it_can_be(said: Any, usage: Usage | Doubtful | None) -> None:
    assert usage_of(said) == usage


def test_a_reply_is_at_least_as_many_tokens_as_its_text() -> None:
    assert usage_of(told(9, 1), 8000) == Usage(9, 1000)


@pytest.mark.parametrize(
    ("events", "usage"),
    [
        ([told(9, 1), told(0, 40)], Usage(9, 40)),  # the request at the beginning, the reply at the end
        ([told(9, 1), {"completion_tokens": 40}], Usage(9, 40)),
        ([told(9, 1), told(9, 20), told(9, 40)], Usage(9, 40)),
        ([told(9, 40), told(9, 1)], Usage(9, 40)),
        ([told(9, 40), told(0, 0), {}], Usage(9, 40)),
        ([told(9, 2**64 - 1), told(9, 40)], Usage(9, 40)),
        ([told(9, 40, completion_tokens_details={"reasoning_tokens": 3}), told(9, 41)], Usage(9, 41, 0, 3)),
        ([7, told(9, 40)], Usage(9, 40)),
    ],
)
def test_usage_that_is_told_in_parts_is_put_together(events: list[Any], usage: Usage) -> None:
    found = Reply("x:tea")
    bodies = [
        {"choices": [{"delta": {"content": "Assam"}, "finish_reason": "stop"}], "usage": events[0]},
        *({"choices": [], "usage": each} for each in events[1:]),
    ]
    chunks = [chunk for body in bodies for chunk in found.take(read(msgspec.json.encode(body)))] + found.end()
    assert isinstance(done := chunks[-1], Done)
    assert done.usage == usage


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.integers(0, 5000),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
NAMES = (
    "prompt_tokens", "completion_tokens", "total_tokens", "prompt_tokens_details", "prompt_cache_hit_tokens",
    "input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens", "reasoning_tokens",
)  # fmt: skip
LIES = JSON | st.fixed_dictionaries({}, optional=dict.fromkeys(NAMES, JSON))


@pytest.mark.slow
@examples(1000)
@given(LIES, st.integers(0, 100_000))
def test_whatever_is_told_no_part_of_a_usage_is_impossible(said: Any, characters: int) -> None:
    usage = usage_of(said, characters)
    if isinstance(usage, Usage):
        assert 0 <= usage.cached_tokens <= usage.input_tokens <= MOST
        assert 0 <= usage.reasoning_tokens <= usage.output_tokens
        assert characters // 8 <= usage.output_tokens <= max(MOST, characters)


@pytest.mark.parametrize("lie", [b"NaN", b"1e999", b'"x"', b"[1]", b"-35", b"1" + b"0" * 400])
def test_a_reply_is_read_whatever_its_usage_is(lie: bytes) -> None:
    body = msgspec.json.encode(reply("Assam", usage="@")).replace(b'"@"', b'{"completion_tokens":%b}' % lie)
    found = Reply("x:tea")
    chunks = found.take(read(body)) + found.end()
    assert [chunk.text for chunk in chunks if isinstance(chunk, Text)] == ["Assam"]
    assert isinstance(done := chunks[-1], Done)
    assert done.usage is None


class Liar:
    """A model that does not keep to its limit, and says what it likes of what it took."""

    def __init__(self, replies: list[tuple[int, Any]]) -> None:
        self._replies = replies
        self.written = 0

    async def stream(self, _call: Call) -> AsyncGenerator[Chunk, None]:
        words, said = self._replies.pop()
        yield Sent()
        for _ in range(words):
            self.written += 1
            yield Text("word ")
        usage = usage_of(said, 5 * words)
        yield Done("stop", usage if isinstance(usage, Usage) else None, doubtful=usage is DOUBTFUL)


def limited_to(tokens: int) -> Call:
    asked = call()
    return replace(asked, request=replace(asked.request, options={"max_tokens": tokens}))


def paid(model: Any, account: Account, price: Price = PRICE) -> Budget:
    prices = Prices()
    prices.known["sim:x"] = price
    return Budget(model, "sim:x", account, prices, 8)


@pytest.mark.slow
@examples(400)
@given(st.lists(st.tuples(st.integers(0, 300), LIES), min_size=1, max_size=12), st.integers(50, 1500), st.data())
def test_no_liar_gets_past_a_ceiling_with_what_it_writes(
    replies: list[tuple[int, Any]], most: int, data: st.DataObject
) -> None:
    """The true count is not known to us where less is told; of what was heard, an eighth is the least it can be."""

    async def main() -> None:
        account, model = Account(Limits(tokens=most)), Liar(list(replies))
        budget = paid(model, account)
        limit = data.draw(st.integers(1, 200))
        asked = msgspec.structs.replace(
            call(), request=msgspec.structs.replace(call().request, options={"max_tokens": limit})
        )
        heard = 0
        for _ in replies:
            before = account.spent.tokens
            if isinstance(await outcome(budget, asked), list):
                assert account.spent.tokens > before  # no reply is free, and none gives anything back
                assert model.written - heard <= limit
                heard = model.written
        assert model.written * 5 // 8 <= most

    virtually(main())


# -- what was heard is paid


@pytest.mark.parametrize(
    "error", [AuthError("401"), QuotaError("402"), RequestError("400"), ServerError("500"), CutError("cut")]
)
def test_an_error_after_a_part_of_a_reply_is_paid_as_far_as_it_was_heard(error: Exception) -> None:
    account = Account(Limits(tokens=100_000))
    virtually(outcome(paid(Scripted(lambda *_: ["a" * 30, error]), account), call("x" * 300)))
    assert account.spent.tokens == 128
    assert account.bill("c1").lost == Usage(108, 20)  # what was heard, and a piece as long behind it


@pytest.mark.parametrize(("most", "spent"), [(100_000, 130), (4300, 128)])
def test_what_was_heard_before_a_rate_limit_in_the_midst_of_a_reply_is_paid(most: int, spent: int) -> None:
    """It is asked again if that still fits: what is set aside for it is needed once more."""
    script = Scripted(lambda _, nth: ["a" * 30, RateLimited("429")] if not nth else ["Hello"])
    account = Account(Limits(tokens=most))
    model = Limit(script, Queue(Governor(), Gate(), Lane(Gate())), 900)
    found = virtually(outcome(paid(model, account), call("x" * 300)))
    assert isinstance(found, BudgetError) == (spent == 128)
    assert account.spent.tokens == spent
    assert account.bill("c1").lost == Usage(108, 20)


# -- what went past its limit is not reckoned above the ceiling, unless it surely is


@pytest.mark.parametrize(("letters", "spent"), [(450, 111), (4500, 911)])
def test_a_reply_without_its_usage_is_believed_to_have_kept_its_limit_where_no_more_is_left(
    letters: int, spent: int
) -> None:
    """450 letters may be 150 tokens, and surely are 90: of a limit of 100 no more than that is reckoned."""
    script = Scripted(lambda *_: ["a" * letters, Done("stop")])
    account, asked = Account(Limits(tokens=120)), limited_to(100)
    virtually(outcome(paid(script, account), replace(asked, stream=False)))
    assert account.spent.tokens == spent


# -- what goes past its limit is cut


def test_a_reply_that_does_not_keep_to_its_limit_is_cut_there_and_kept() -> None:
    async def main() -> None:
        model, account = Scripted(lambda *_: ["word " * 10] * 1000), Account(Limits(tokens=100_000))
        asked = msgspec.structs.replace(
            call(), request=msgspec.structs.replace(call().request, options={"max_tokens": 100})
        )
        chunks = await listen(paid(model, account), asked)
        assert sum(len(chunk.text) for chunk in chunks if isinstance(chunk, Text)) == 500
        assert chunks[-1] == Done("length")
        assert model.cancelled == 1
        assert account.spent.tokens >= 100

    virtually(main())


def test_one_whose_limit_only_the_budget_set_is_shortened() -> None:
    async def main() -> None:
        model, account = Scripted(lambda *_: ["word " * 10] * 1000), Account(Limits(tokens=1000))
        chunks = await listen(paid(model, account), replace(call(), shorten=True))
        assert isinstance(done := chunks[-1], Done)
        assert done.finish == SHORTENED

    virtually(main())


def test_more_is_set_aside_for_a_reply_that_may_be_past_its_limit() -> None:
    account = Account(Limits(tokens=1000))
    wish = Wish("worker", 0, 100, PRICE)
    assert account.grant(wish)
    assert account.stretch(wish, 900)
    assert not account.stretch(wish, 1100)
    assert not account.grant(Wish("worker", 0, 200, PRICE))
    account.release(wish)
    assert account.grant(Wish("worker", 0, 200, PRICE))


# -- what a request may be at most


@pytest.mark.parametrize(
    ("text", "least"),
    [
        ("7 3 9 1 4 8 2\n" * 100, 1400),  # a token for each digit, and for the blank before it
        ("ሰላም ለዓለም " * 100, 2100),  # Amharic, by the byte
        ("☕🍵🧋" * 100, 1000),
        ("茶の歴史" * 100, 400),
        ("QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVo=" * 100, 2400),
        ("deadbeef0123" * 100, 800),
    ],
)
def test_dense_text_is_reckoned_as_dense(text: str, least: int) -> None:
    assert most_in(text) >= least


def test_prose_is_reckoned_as_before() -> None:
    text = "A prompt of the usual length, of which the budget must know how long it is. " * 20
    assert most_in(text) <= 1.1 * tokens_in(text)


def test_who_counts_more_than_was_reckoned_is_reckoned_so_from_then_on() -> None:
    async def main() -> None:
        account = Account(Limits(tokens=100_000))
        budget = paid(Scripted(lambda *_: ["Hello", Done("stop", Usage(324, 5))]), account)
        first = await listen(budget, call("x" * 300))
        second = await listen(budget, call("y" * 300))
        assert [chunks[0].reserved.input_tokens for chunks in (first, second)] == [108, 324]  # type: ignore[union-attr]

    virtually(main())


def test_cached_tokens_may_be_dearer_than_others() -> None:
    price = Price(Decimal(1), Decimal(10), Decimal(3), ((1000, Price(Decimal(2), Decimal(5))),))
    assert price.most(Usage(100, 10)) == Decimal("0.0004")
    assert price.most(Usage(1000, 10)) == Decimal("0.0031")
    assert price.of(Usage(100, 10, 100)) == Decimal("0.0004")
    assert Wish("worker", 100, 10, price).at(10).money == Decimal("0.0004")


# -- options of which more would come than is reckoned


@pytest.mark.parametrize("name", ["n", "best_of", "max_output_tokens", "tools", "functions"])
def test_an_option_that_would_break_the_reckoning_is_refused(name: str) -> None:
    value = [{"type": "function"}] if name in {"tools", "functions"} else 2
    with pytest.raises(ConfigError, match=rf'workers\."part"\.options\.{name}: '):
        Workflow("sim:x", {"part": Role("sim:x", options={name: value})})
    Workflow("sim:x", {"part": Role("sim:x", options={"n": 1, "max_tokens": 5})})


# -- a whole run


@pytest.mark.parametrize(
    "lie",
    [told(-(10**6), -(10**6)), told(10**15, 10**15), told(100, -35), {"prompt_tokens": 100}, told(100, True), [1], "x"],
)
def test_the_budget_of_a_run_holds_at_a_server_that_lies(lie: Any) -> None:
    """Every worker writes all it may, and says something else."""
    written = Decimal(0)
    plan = json.dumps({"analysis": "", "tasks": [{"type": "part", "description": f"Part {n}."} for n in range(20)]})

    async def answer(request: web.Request) -> web.Response:
        nonlocal written
        asked = await request.json()
        worker = "WORK" in asked["messages"][-1]["content"]
        written += Decimal(100 + 10 * (min(1000, asked["max_tokens"]) if worker else 200)) / 10**6
        said = plan if "PLAN" in asked["messages"][-1]["content"] else "Fine."
        usage = lie if worker else told(100, 200)
        return web.json_response(reply(said, usage=usage))

    async def main() -> Any:
        app = web.Application()
        app.router.add_post("/v1/chat/completions", answer)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = site._server.sockets[0].getsockname()[1]  # type: ignore[union-attr]
        options = {"max_tokens": 1000}
        flow = Workflow(
            Role("lie:m", prompt='PLAN {task} "tasks" "description"', options=options),
            {"part": Role("lie:m", prompt="WORK {task_description}", options=options)},
            Role("lie:m", prompt="SYNTH {worker_responses}", options=options),
            limits=Limits(budget=Decimal("0.10"), parallel=4),
            providers={"lie": Provider(f"http://127.0.0.1:{port}/v1", key_env=None)},
            prices={"lie:m": PRICE},
        )
        try:
            return await flow.run("Explain tides.", inputs=[Input("tea.txt", "Tea.")])
        finally:
            await runner.cleanup()

    run = asyncio.run(main())
    assert run.coverage.counts["done"] >= 4
    assert written <= Decimal("0.10")
    assert 0 <= run.cost <= Decimal("0.10")
