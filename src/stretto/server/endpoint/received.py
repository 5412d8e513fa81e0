"""What a request holds: its body, and the object in it."""

import asyncio
from typing import TypeVar

import msgspec
from aiohttp import web

from stretto.models.error_bodies import Refusal
from stretto.server.body import json_in
from stretto.server.endpoint.service import SERVICE
from stretto.server.refused import BadBodyError, RefusedError

T = TypeVar("T")


async def body_of(request: web.Request) -> bytes:
    """The body of a request; raises `RefusedError` if it takes too long to arrive, or cannot be unpacked."""
    slowest = request.app[SERVICE].offer.slowest
    try:
        if request.content.is_eof():  # it came with its headers, as nearly always
            return await request.read()
        async with asyncio.timeout(slowest):
            return await request.read()
    except TimeoutError:
        message = f"the body did not arrive within {slowest:g} s"
        raise RefusedError(Refusal(408, "timeout", "request_timeout", message), {"connection": "close"}) from None
    except web.RequestPayloadError as error:
        raise BadBodyError("the body does not arrive whole, or is not packed as its headers say") from error


def read_as(kind: type[T], body: bytes) -> T:
    """The object of this kind in a body, which may be left out; raises `BadBodyError` naming the field."""
    try:
        return json_in(body or b"{}", kind)
    except msgspec.ValidationError as error:
        what, _, where = str(error).partition(" - at `$")
        raise BadBodyError(f"{where.strip('.`') or 'the body'}: {what}", where.strip(".`") or None) from error
