"""`stretto models`."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import click
import msgspec

from stretto.cli import ANSWERED, FAILED, report
from stretto.cli.endpoints import Answer, ask_all, remedy, usable
from stretto.cli.help import command, option
from stretto.cli.meaning import configured
from stretto.cli.screen import say
from stretto.config import Configuration, among
from stretto.errors import ConfigError, ConnectError
from stretto.models import discovery
from stretto.models.providers import Provider
from stretto.models.simulator import PROFILES
from stretto.policies.prices import LISTED, contexts
from stretto.pool import Pool, is_the_known_one
from stretto.types import Limits

_PATIENCE = 10.0  # seconds
_SIMULATOR, _LOCAL = "sim", "local"


@command(
    "stretto models",
    "stretto models together gpt-oss",
    "stretto models ollama --json | jq -r .model",
    "stretto models local",
)
@click.argument("provider", required=False)
@click.argument("text", required=False)
@option("-w", "--workflow", "named", metavar="WORKFLOW", help="A file with [providers] of your own, or a preset.")
@option("--get", "wanted", metavar="FILE", help="Download OWNER/REPO/FILE.gguf from Hugging Face, for -m local:…")
@option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def models(provider: str | None, text: str | None, named: str | None, wanted: str | None, as_json: bool) -> int:
    """List the models of PROVIDER as -m takes them, with the tokens they take and what a million tokens cost.

    Asked is the provider's endpoint; without PROVIDER, each of those whose key is set, and local servers. TEXT: only
    models with it in their names. Prices are those of the configuration, or come with the extra `prices`.
    `local`: the GGUF files in the current folder and in Hugging Face's cache, for which nobody is asked.
    """
    if wanted is not None:
        from stretto.cli.local import get

        if provider not in {None, _LOCAL}:
            raise click.UsageError(f"--get: only local models are downloaded; leave out {provider}")
        say(f"downloaded; -m local:{wanted.removeprefix('local:')} names it ({get(wanted)})")
        return ANSWERED
    configuration = configured(named)
    if provider == _SIMULATOR:
        _print([{"model": f"{_SIMULATOR}:{name}"} for name in PROFILES if (text or "") in name], as_json=as_json)
        return ANSWERED
    if provider == _LOCAL and not isinstance(configuration.providers().get(_LOCAL), Provider):
        return _list_files((text or "").casefold(), as_json=as_json)
    asked = _asked(configuration, provider)
    return asyncio.run(_list(configuration, asked, provider, (text or "").casefold(), as_json=as_json))


def _list_files(part: str, *, as_json: bool) -> int:
    """The models in files of this machine; a hint if there are none."""
    from stretto.cli.local import listed
    from stretto.models.local.hub import GET

    found = [each for each in listed() if part in each["model"].casefold()]
    _print(found, as_json=as_json)
    if not found:
        say(f"no such GGUF file in this folder or in Hugging Face's cache; get one with: {GET} OWNER/REPO/FILE.gguf")
    return ANSWERED if found else FAILED


def _asked(configuration: Configuration, provider: str | None) -> dict[str, Provider]:
    known = configuration.endpoints()
    if provider is None:
        return usable(known)
    if provider not in known:
        raise ConfigError(f"no provider {provider!r}{among(provider, [*known, _LOCAL, _SIMULATOR])}")
    return {provider: known[provider]}


async def _list(
    configuration: Configuration, asked: Mapping[str, Provider], named: str | None, part: str, *, as_json: bool
) -> int:
    answers = await ask_all(asked, _PATIENCE)
    code, known = _say_errors(answers, asked, named), [answer for answer in answers if answer.error is None]
    found = {
        f"{answer.provider}:{model.name}": model.context
        for answer in known
        for model in sorted(answer.models, key=lambda model: model.name.casefold())
        if part in model.name.casefold()
    }
    _print(await _facts(configuration, asked, found), as_json=as_json)
    if known and part and not found:
        count = sum(len(answer.models) for answer in known)
        say(f"none of {count:,} models has {part!r} in its name; leave that out to see them all")
        return FAILED
    return ANSWERED if known else code


def _say_errors(answers: Sequence[Answer], asked: Mapping[str, Provider], named: str | None) -> int:
    """Say what went wrong; servers of this machine that nobody named may be off without further words."""
    code, off = FAILED, list[str]()
    for answer in answers:
        if answer.error is None:
            continue
        if named is None and asked[answer.provider].local and isinstance(answer.error, ConnectError):
            off.append(answer.provider)
        else:
            code = report(type(answer.error)(remedy(answer, asked[answer.provider])))
    if len(off) == len(asked):
        code = report(discovery.none_found())
    elif off:
        say(f"not running here: {', '.join(off)}")
    return code


async def _facts(
    configuration: Configuration, asked: Mapping[str, Provider], found: Mapping[str, int | None]
) -> list[dict[str, Any]]:
    """Each model with the tokens it takes and its prices of a million tokens in US dollars; None: unknown.

    `assumed`: whose prices these are, if they were found by the model's name alone.
    """
    pool = Pool({**asked}, Limits(), configuration.prices())
    pool.look_up_prices(found)
    prices = {model: await pool.prices.of(model) for model in found}
    listed = {name for name, provider in asked.items() if name in LISTED and is_the_known_one(name, provider)}
    apart = {model: model.partition(":") for model in found}
    windows = contexts({model: (LISTED[name], rest) for model, (name, _, rest) in apart.items() if name in listed})
    return [
        {
            "model": model,
            "context": context or windows.get(model),
            **{key: getattr(prices[model], key, None) for key in ("input", "output", "cached")},
            "assumed": pool.prices.assumed.get(model),
        }
        for model, context in found.items()
    ]


def _print(facts: Sequence[dict[str, Any]], *, as_json: bool) -> None:
    if as_json:
        for each in facts:
            click.echo(msgspec.json.encode(each))
        return
    for line in _lines(facts):
        click.echo(line.rstrip())


def _lines(facts: Sequence[dict[str, Any]]) -> Iterator[str]:
    from stretto.models.local.memory import gigabytes

    width = max((len(each["model"]) for each in facts), default=0)
    for each in facts:
        context, given, written = each.get("context"), each.get("input"), each.get("output")
        tokens = f"{context:,} tokens" if context else ""
        cost = "" if given is None else "free" if not given and not written else f"${given:f} in, ${written:f} out"
        cost += f" (assumed: {each['assumed']})" if each.get("assumed") else ""
        size = gigabytes(each["size"]) if "size" in each else ""
        yield f"{each['model']:<{width}}  {tokens:>18}  {size or cost}"
