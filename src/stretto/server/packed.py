"""The body of a request, packed (gzip, deflate) or not.

aiohttp would unpack by itself, the rest of a refused body too: a megabyte that had been a gigabyte held everybody up.
"""

import zlib

from aiohttp import web

_EITHER, _BARE = 47, -15  # gzip's header or zlib's; none, as some send what they call deflate


async def unpacked(request: web.Request) -> bytes:
    """All of it, no larger than the application takes; what cannot be unpacked is a `RequestPayloadError`."""
    data = await request.read()
    coding = request.headers.get("content-encoding", "").strip().lower()
    if not data or coding in {"", "identity"}:
        return data
    if coding not in {"gzip", "x-gzip", "deflate"}:
        raise web.RequestPayloadError(f"packed as {coding[:20]!r}")
    most = request.client_max_size
    found = _found(data, _EITHER, most)
    if found is None and coding == "deflate":
        found = _found(data, _BARE, most)
    if found is None:
        raise web.RequestPayloadError(f"no {coding}")
    if len(found) > most:
        raise web.HTTPRequestEntityTooLarge(most, len(found))
    return found


def _found(data: bytes, form: int, most: int) -> bytes | None:
    """As much of it as tells whether it is too large; None if it is not packed so, or not whole."""
    packed = zlib.decompressobj(form)
    try:
        found = packed.decompress(data, most + 1)
    except zlib.error:
        return None
    return found if packed.eof or len(found) > most else None
