"""How a model wants to be asked, learned from what it refuses.

One rule for all options: what only colours a reply, or makes it the same once more, is left out, and that is said. What
the reply would be another thing without (where it ends, what it may contain) stays as it was asked for, and the refusal
is an error.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from stretto.calls import Call
from stretto.ground.regex import regex
from stretto.head import messages_of
from stretto.models.providers import SchemaMode
from stretto.models.schema_forms import example, keywords, strict, without

_NEXT_MODE: Mapping[SchemaMode, SchemaMode] = {"strict": "schema", "schema": "json", "json": "prompt"}
_SCHEMA_WORDS = regex(
    r"response[_ ]?format|json_?.?schema|json_?.?(mode|object|format)|structured.?output|schema|grammar"
    r"|requested parameters|guided.?(json|decoding|generation)|output_(format|config)|text\.format|required for format"
    r"|regular expression|\bregex|结构化",
    re.IGNORECASE,
)
# The schema could not be made a grammar of, for whatever is in it.
_UNFIT = regex(
    r"grammar|features? not supported|\bregex|regular expression"
    r"|(?:invalid|unsupported|failed|convert|compil)\w*\W.{0,40}schema"
    r"|schema.{0,40}\b(?:invalid|not valid|unsupported|failed|convert|compil)",
    re.IGNORECASE | re.DOTALL,
)
# No system message, or none but turns of user and assistant: what chat templates and providers of small models say.
_TURNS = regex(
    r"system.?(?:role|message|instruction|prompt)s?\b.{0,40}\b(?:not|n't|unsupported|disallowed)"
    r"|(?:not|n't) support\w* .{0,20}\bsystem\b|developer instruction is not enabled"
    r"|only user(?:,| and) (?:assistant|model)|roles must alternate|first message must use the .?user"
    r"|\brole\b.{0,40}should be .?user|(?:unexpected|invalid|unknown) role\W{0,4}system|system message must be",
    re.IGNORECASE | re.DOTALL,
)
# A stream, and not what is said of one (`stream_options`).
_STREAM = regex(
    r"\bstream(?:ing)?\b\W.{0,40}\b(?:not|n't|unsupported|disallowed|disabled)\b|(?:not|n't|un)\W?support\w*\W.{0,20}\bstream"
    r"(?:ing)?\b|verified to stream",
    re.IGNORECASE | re.DOTALL,
)
# JSON mode is refused by some providers unless the prompt contains the word itself.
_JSON = regex(r"json", re.IGNORECASE)
# What a schema loses before it is given up altogether, the least binding first.
_DROPPED = (
    *("pattern", "format", "minLength", "maxLength", "minItems", "maxItems", "uniqueItems", "minimum", "maximum"),
    *("exclusiveMinimum", "exclusiveMaximum", "multipleOf", "patternProperties", "propertyNames", "minProperties"),
    *("maxProperties", "default", "examples", "title", "description", "const", "enum", "additionalProperties"),
)
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


class Dialect(Struct, frozen=True):
    """The form of request one model takes.

    `schema`: the way it takes a JSON schema; `dropped`: the keywords it refuses in one. `token_key`: its name for the
    limit of output tokens, empty if it takes that by either; `bounds`: whether it takes one that nobody asked for.
    `without`: options it refuses. `stream_usage`: whether it knows `stream_options.include_usage`. `system`: whether it
    takes a system message, and messages of one side after another; else these are one message. `streams`: whether its
    replies may be streamed.
    """

    schema: SchemaMode
    token_key: str = ""
    without: frozenset[str] = frozenset()
    stream_usage: bool = True
    system: bool = True
    bounds: bool = True
    streams: bool = True
    dropped: frozenset[str] = frozenset()

    def body(self, model: str, call: Call) -> dict[str, Any]:
        """The JSON body of the request for a call."""
        request = call.request
        messages: list[dict[str, Any]] = [{"role": m.role, "content": m.content} for m in messages_of(request)]
        messages = messages if self.system else _turns(messages)
        options = {k: v for k, v in request.options.items() if k not in self.without}
        if call.most is not None and not self.bounds:
            options = {k: v for k, v in options.items() if k not in LIMITS}
        if self.token_key and (limit := _limit_of(options)):
            options[self.token_key] = options.pop(limit)
        body: dict[str, Any] = {"model": model, "messages": messages, **options, "stream": call.stream and self.streams}
        if body["stream"] and self.stream_usage:
            body["stream_options"] = {"include_usage": True}
        if request.schema is not None:
            self._ask_for_schema(body, messages, request.schema, described=call.described)
        if request.head and request.head.images:
            _attach(messages, request.head.images)
        return body

    def _ask_for_schema(
        self, body: dict[str, Any], messages: list[dict[str, Any]], schema: dict[str, Any], *, described: bool
    ) -> None:
        match self.schema:
            case "strict":
                form = {"name": "reply", "strict": True, "schema": without(strict(schema), self.dropped)}
                body["response_format"] = {"type": "json_schema", "json_schema": form}
                return
            case "schema":
                form = {"name": "reply", "schema": without(schema, self.dropped)}
                body["response_format"] = {"type": "json_schema", "json_schema": form}
            case "json":
                body["response_format"] = {"type": "json_object"}
        wordless = self.schema == "json" and not any(_JSON.search(message["content"]) for message in messages)
        if not described or wordless:
            text = msgspec.json.encode(schema).decode()
            # Small models that see nothing but a schema fill in the schema: {"type": "object", "properties": {…}}.
            looks = msgspec.json.encode(example(schema)).decode()
            messages[-1]["content"] += (
                f"\n\nReply with one JSON object that fits this JSON schema, and nothing else:\n{text}"
                f"\n\nSo it looks like this:\n{looks}"
            )

    def adapted(self, refusal: str, call: Call) -> tuple["Dialect", str] | None:
        """The dialect to try after a refusal with this message, and what it gives up; None if nothing would help."""
        options = call.request.options
        limit = _limit_of(options)
        if limit and not self.token_key and (other := other_limit(refusal, limit)):
            return replace(self, token_key=other), ""
        if call.most is not None and self.bounds and any(name in refusal for name in LIMITS):
            return replace(self, bounds=False), ""
        if "stream_options" in refusal and call.stream and self.stream_usage:
            return replace(self, stream_usage=False), "usage of streamed calls is not reported"
        if self.system and _TURNS.search(refusal):
            return replace(self, system=False), ""
        if option := refused_option(refusal, options.keys() - self.without):
            return replace(self, without=self.without | {option}), f"option {option} is refused and left out"
        weaker = self._weaker(refusal, call.request.schema) if call.request.schema is not None else None
        if weaker:
            return weaker, ""
        if call.stream and self.streams and _STREAM.search(refusal):
            return replace(self, streams=False), "it does not stream, so its replies come whole"
        return None

    def lower(self) -> "Dialect | None":
        """The dialect that takes a schema in the next, less binding way; None if there is none."""
        return replace(self, schema=_NEXT_MODE[self.schema]) if self.schema in _NEXT_MODE else None

    def _weaker(self, refusal: str, schema: dict[str, Any]) -> "Dialect | None":
        """The dialect that asks less of a schema: without a keyword that is named, else in the next way."""
        if self.schema in {"strict", "schema"}:
            used = keywords(strict(schema) if self.schema == "strict" else schema) - self.dropped
            named = next((word for word in _DROPPED if word in used and _names(refusal, word)), None)
            if named is None and "pattern" in used and _UNFIT.search(refusal):
                named = "pattern"  # what grammars refuse most
            if named:
                return replace(self, dropped=self.dropped | {named})
        return self.lower() if _SCHEMA_WORDS.search(refusal) else None


def _limit_of(options: Mapping[str, Any]) -> str:
    """The name by which options set the limit of a reply; empty if they set none."""
    return next((name for name in LIMITS if name in options), "")


def _names(refusal: str, word: str) -> bool:
    """Whether a refusal names a keyword of schemas as what is wrong, not as what is missing."""
    # Most are everyday words, or words of other refusals ("maximum context length"), and count only in quotes.
    if word not in {"pattern", "enum"} and word.islower():
        return re.search(rf"['\"`]{word}['\"`](?! is required)", refusal) is not None
    return re.search(rf"(?<!\w){word}(?!\w)(?!['\"`]? is required)", refusal, re.IGNORECASE) is not None


def _turns(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The messages as turns of user and assistant; what a system message says is what the user says first."""
    turns: list[dict[str, Any]] = []
    for message in messages:
        role = "user" if message["role"] == "system" else message["role"]
        if turns and turns[-1]["role"] == role:
            turns[-1]["content"] += f"\n\n{message['content']}"
        else:
            turns.append({"role": role, "content": message["content"]})
    return turns


def _attach(messages: list[dict[str, Any]], images: Sequence[str]) -> None:
    """Put images before what the first user message says: system messages take none.

    Source: https://platform.openai.com/docs/guides/images-vision.
    """
    first = next(message for message in messages if message["role"] == "user")
    parts = [{"type": "image_url", "image_url": {"url": image}} for image in images]
    first["content"] = [*parts, {"type": "text", "text": first["content"]}]


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
