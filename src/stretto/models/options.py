"""What becomes of an option that an endpoint refuses: one rule for all of them.

What only colours a reply, or makes it the same once more, is left out, and that is said. What the reply would be
another thing without (where it ends, what it may contain) stays as it was asked for, and the refusal is an error.
"""

import re
from collections.abc import Iterable

from stretto.ground.regex import regex

LIMITS = ("max_tokens", "max_completion_tokens")
"""The two names of a reply's limit."""

# Without these a reply is not what was asked for; of all else it is said that it was left out.
_BINDING = frozenset(
    {
        *("stop", "stop_sequences", "logit_bias", "response_format", "guided_json", "guided_regex", "guided_choice"),
        *("guided_grammar", "grammar", "json_schema", "modalities", "prediction", "prefix", "suffix", "echo"),
        *("web_search_options", "plugins", "provider", "safety_settings", "safe_prompt"),
    }
)
# A value that cannot be is a mistake to be told, not an option that is not known.
_MISTAKE = regex(
    r"between|range|(?:less|greater|more|higher|lower|fewer) than|above|below|[<>≤≥]|at (?:most|least)|maximum|minimum"
    r"|supported values|(?:must|should) be one of|(?:allowed|valid|possible) values|unknown variant|exceed"
    r"|too (?:large|small|long|many|high|low)|\b(?:must|should|has to|needs to) be (?:an? |of type |valid )"
    r"|valid (?:integer|number|string|boolean|list|array|float|dict)|_(?:type|parsing)\b|invalid type|expected an? ",
    re.IGNORECASE,
)
_PARAMETER = r"(?:parameters?|arguments?|fields?|options?|param|keys?|propert(?:y|ies)|supplied|body)"
_AFTER = (
    r"(?:\W{1,3}(?:is|are|was|parameter|option|field|argument)){0,3}\W{1,3}"
    r"(?:not|un\w+|deprecated|disallowed|forbidden|invalid|extra|does)\b"
)


def refused_option(refusal: str, options: Iterable[str]) -> str | None:
    """The option that a refusal names as one which is not taken, if a reply without it is still what was asked for."""
    if _MISTAKE.search(refusal):
        return None
    # The first that is named: behind it those may be listed that are taken.
    places = [(_place(refusal, option), option) for option in options if option not in LIMITS]
    _, option = min(((place, option) for place, option in places if place is not None), default=(0, None))
    return None if option in _BINDING else option


def other_limit(refusal: str, name: str) -> str | None:
    """The other name of a reply's limit, if a refusal says that it is not taken by this one (not, that it is large)."""
    other = next(each for each in LIMITS if each != name)
    known = _place(refusal, name) is not None and not _MISTAKE.search(refusal)
    return other if known or _place(refusal, other) is not None else None


def _place(refusal: str, option: str) -> int | None:
    """Where a refusal names an option; one that is an everyday word must be called one, or stand in quotes."""
    word = re.escape(option)
    if "_" in option or option == "temperature":
        found = re.search(rf"(?<![A-Za-z0-9]){word}(?![A-Za-z0-9_])", refusal)
    else:
        found = re.search(
            rf"['\"`]{word}['\"`]|\b{_PARAMETER}\b\W{{1,4}}{word}\b|(?:^|[\s.:(]){word}{_AFTER}", refusal, re.IGNORECASE
        )
    return found.start() if found else None
