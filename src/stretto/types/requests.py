"""What is asked of a model and what it answers, above the wire."""

from typing import Any, Literal

from msgspec import Struct

from stretto.types.costs import Usage


class Reply(Struct, frozen=True):
    """What a model answered to one call, as the memo keeps it; `asked`: the fallback that gave it, if one did."""

    text: str
    finish: str
    usage: Usage | None = None
    model: str | None = None
    reasoning: str = ""
    simulated: bool = False
    asked: str | None = None


class Message(Struct, frozen=True):
    """One message of a request."""

    role: Literal["system", "user", "assistant"]
    content: str


class Input(Struct, frozen=True, omit_defaults=True):
    """A text that a task comes with (a file, a page), and what it is called; or an image.

    - `name`: what it is called in prompts and citations.
    - `text`: all of it; empty for an image.
    - `media`: the type of an image, `image/png`; empty for a text.
    - `data`: an image in base64; empty for a text.
    """

    name: str
    text: str = ""
    media: str = ""
    data: str = ""


class Head(Struct, frozen=True):
    """The inputs of a run as one text, which stands at the head of every prompt, the same in each.

    `digest` stands for the text wherever that would be kept or hashed once a call; `size`: bytes of UTF-8, and what an
    image counts for. `images`: as data URIs, for which their digests stand in the text. A recorded request has neither
    text nor images: the inputs are in the run's `basis`.
    """

    digest: str
    size: int
    text: str = ""
    images: tuple[str, ...] = ()


class Request(Struct, frozen=True):
    """What is asked of a model, above the wire; its canonical form is a call's identity.

    `model` as written (`provider:model`). `schema` is the JSON schema the reply must fit, if any. `sample` tells wanted
    repetitions of one request apart. `head` goes before all `messages` (`stretto.head` joins them).
    """

    model: str
    messages: tuple[Message, ...]
    options: dict[str, Any] = {}
    schema: dict[str, Any] | None = None
    sample: int = 0
    head: Head | None = None
