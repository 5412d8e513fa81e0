"""What is known of a workflow's models before they are asked, and what a run has found out about them."""

import asyncio
import contextlib
import logging
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

from msgspec.structs import replace

from stretto import errors
from stretto.errors import ContextError, StoreError
from stretto.events import CallFinished
from stretto.models.providers import KNOWN, Provider, is_here, split_model
from stretto.pool import Heard, Pool, is_the_known_one
from stretto.runs import Run
from stretto.store.known import Place, Remembered, remember, remembered
from stretto.store.locations import Location
from stretto.store.schema import GLANCE
from stretto.types import Known

_TELLING = frozenset({"openrouter", "together", "groq", "mistral"})
"""Providers whose lists of models say how much each takes."""
_PORTS = {name: urlsplit(each.base_url).port for name, each in KNOWN.items() if each.local}
"""The servers for this machine that say how much their models take, and where they are to be found."""
_HERE, _THERE = 1.0, 2.0  # seconds that a server on this machine, and a provider, have to answer
_FRESH = timedelta(days=30)  # for so long what a provider said is not asked again
_LATELY = 5.0  # the same, in seconds, of a server on this machine: nobody has started it anew meanwhile
_NEWS = 0.03  # by which part fewer bytes must make a token before that is written down
_log = logging.getLogger("stretto")


async def knowledge(pool: Pool, models: Sequence[str], store: Location | None) -> dict[str, Known]:
    """What is known of these models, as written: remembered in the store, or asked of those who tell.

    A server on this machine is asked every few seconds, for it may have been started anew with another size, if it has
    told before or is of a kind that does (by its name or its port; others show it in their first reply, see
    `find_out`); a provider, once a month. Who does not answer in time is no hindrance. A model in a file has what its
    server will be started with.
    """
    places, ours = _places(pool, models), _in_files(pool, models)
    if not places:
        return ours
    kept = _remembered(pool, store)
    asked: dict[str, list[str]] = {}
    for written, place in places.items():
        if _is_asked(pool, written, kept.get(place)):
            asked.setdefault(split_model(written, "model")[0], []).append(written)
    told = await _told(pool, asked) if asked else {}
    known = {written: kept[place].known if place in kept else Known() for written, place in places.items()}
    news: dict[Place, Known] = {}
    for written, said in told.items():
        if said.context and (known[written].context != said.context or not is_here(_endpoint(pool, written))):
            news[places[written]] = replace(known[written], context=said.context)
        context = said.context or known[written].context
        known[written] = replace(known[written], context=context, others=said.others)
    _remember(pool, store, news)
    return {**{written: each for written, each in known.items() if each != Known()}, **ours}


async def find_out(pool: Pool, store: Location | None, written: str) -> Known:
    """What a server says of a model that has shown by a reply that it does, while a run is under way; it is kept."""
    places, kept = _places(pool, [written]), _remembered(pool, store)
    told = await _told(pool, {split_model(written, "model")[0]: [written]})
    before = kept[places[written]].known if places[written] in kept else Known()
    said = told.get(written, before)
    found = replace(before, context=said.context or before.context, others=said.others)
    _remember(pool, store, {places[written]: found})
    return found


def learn(
    pool: Pool, store: Location | None, run: Run, known: Mapping[str, Known], learned: Mapping[str, float]
) -> None:
    """Keep for later runs what this one has found out: bytes of a token, and windows that refusals told."""
    if store is None:
        return
    taught = {call.model: call.facts and call.facts.context for call in _refused(run)}
    places, news = _places(pool, {*learned, *taught}), dict[Place, Known]()
    for written, place in places.items():
        before = known.get(written, Known())
        each, context = learned.get(written), taught.get(written)
        found = before
        if each is not None and (before.bytes is None or each < before.bytes * (1 - _NEWS)):
            found = replace(found, bytes=each)
        if context is not None:
            found = replace(found, context=context)
        if found != before:
            news[place] = found
    _remember(pool, store, news)


def _refused(run: Run) -> Iterable[CallFinished]:
    """The calls of a run that were refused for their length."""
    ended = (call.finished for call in run.calls if call.finished)
    return (call for call in ended if call.error_type == ContextError.__name__)


def _places(pool: Pool, models: Iterable[str]) -> dict[str, Place]:
    """Where each of these models is that are at an endpoint."""
    return {
        written: (provider.base_url.partition("?")[0], split_model(written, "model")[1])  # a query may hold a key
        for written in models
        if (provider := pool.endpoint(written)) is not None
    }


def _in_files(pool: Pool, models: Iterable[str]) -> dict[str, Known]:
    """What is known of the models in files of this machine; one that cannot be served is told of when it is asked."""
    found = dict[str, Known]()
    for written in models:
        with contextlib.suppress(errors.ConfigError):
            if (context := pool.context(written)) is not None:
                found[written] = Known(context=context)
    return found


def _endpoint(pool: Pool, written: str) -> Provider:
    provider = pool.endpoint(written)
    assert provider is not None  # noqa: S101 - it has a place
    return provider


def _is_asked(pool: Pool, written: str, kept: Remembered | None) -> bool:
    provider, name = _endpoint(pool, written), split_model(written, "model")[0]
    if is_here(provider):
        known_kind = name in _PORTS or urlsplit(provider.base_url).port in _PORTS.values()
        return known_kind or (kept is not None and kept.known.context is not None)
    if name not in _TELLING or not is_the_known_one(name, provider):
        return False
    fresh = kept is not None and datetime.now(UTC) - datetime.fromisoformat(kept.at) < _FRESH
    return kept is None or kept.known.context is None or not fresh


async def _told(pool: Pool, asked: Mapping[str, Sequence[str]]) -> dict[str, Known]:
    """What endpoints say of their models, all asked at once; of runs that begin together one asks."""
    heard = pool.heard
    while (new := _untold(heard, asked)) and heard.asking:
        await heard.asking.wait()  # whoever asks sets it when it is through, well or not
    if new:
        heard.asking = through = asyncio.Event()
        try:
            answers = await _answers(pool, new)
            now = asyncio.get_running_loop().time()
            heard.told |= {(name, *new[name]): (now, told) for name, told in answers.items()}
        finally:
            heard.asking = None
            through.set()
    found = (heard.told[name, *written][1] for name, written in asked.items())
    return {written: said for each in found for written, said in each.items()}


def _untold(heard: Heard, asked: Mapping[str, Sequence[str]]) -> dict[str, Sequence[str]]:
    """Those of the endpoints that have not said it lately."""
    since = asyncio.get_running_loop().time() - _LATELY
    return {
        name: written for name, written in asked.items() if heard.told.get((name, *written), (-math.inf, {}))[0] < since
    }


async def _answers(pool: Pool, asked: Mapping[str, Sequence[str]]) -> dict[str, dict[str, Known]]:
    """What these endpoints answer, by their names."""
    from stretto.models.http import Http  # only when somebody has to be asked

    http = Http()

    async def of(written: Sequence[str]) -> dict[str, Known]:
        from stretto.models.listing import contexts

        name, provider = split_model(written[0], "model")[0], _endpoint(pool, written[0])
        patience = _HERE if is_here(provider) else _THERE
        models = {split_model(each, "model")[1]: each for each in written}
        try:
            found = await contexts(name, provider, list(models), os.environ, http, patience)
        except (TimeoutError, OSError, errors.CallError, errors.ConfigError) as error:
            _log.debug("%s does not say how much its models take: %s", name, str(error) or type(error).__name__)
            return {}
        return {models[model]: said for model, said in found.items()}

    try:
        return dict(zip(asked, await asyncio.gather(*map(of, asked.values())), strict=True))
    finally:
        await http.close()


def _remembered(pool: Pool, store: Location | None) -> dict[Place, Remembered]:
    """What the store says, or has said lately: runs that begin together read it once."""
    if store is None:
        return {}
    now, kept = asyncio.get_running_loop().time(), pool.heard.kept
    if kept is None or kept[0] != store or now - kept[1] >= _LATELY:
        try:
            kept = pool.heard.kept = (store, now, remembered(store, GLANCE))
        except StoreError as error:  # whoever opens the run says it better
            _log.debug("what is known of models cannot be read: %s", error)
            return {}
    return kept[2]


def _remember(pool: Pool, store: Location | None, news: Mapping[Place, Known]) -> None:
    """Write it down; a store that cannot be written just now is no reason for a run to fail."""
    if store is None or not news:
        return
    pool.heard.kept = None
    try:
        remember(store, news, GLANCE)
    except StoreError as error:
        _log.warning("what was found out about models is not kept: %s", error)
