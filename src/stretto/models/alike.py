"""Events of a stream that differ in their text alone, as nearly all of a reply do.

To read one whole takes 3 µs, and what it says besides was read with the first one.
"""

from collections.abc import Sequence

import msgspec

from stretto.models.wire import Body, read

_TEXT = b'"content":'
_PROBE = "probe"
_USELESS = 3  # forms in a row of which nothing else came: each event has one of its own

_texts = msgspec.json.Decoder(list[str])


class Alike:
    """Knows the form of the newest event that was read, and finds the texts of others that have it."""

    def __init__(self) -> None:
        self._head = self._tail = b""
        self._useless = 0

    def learn(self, event: bytes, body: Body) -> None:
        """Take an event, which was read as this body, for the form of those that follow, if it is one of text alone."""
        if self._useless >= _USELESS or not _is_text(body):
            return
        head, sign, rest = event.partition(_TEXT)
        begin = rest.find(b'"') + 1
        end = rest.find(b'"', begin)
        if not sign or rest[: begin - 1].strip() or b"\\" in rest[begin:end]:
            return
        head, tail = head + sign + rest[:begin], rest[end:]
        if _holds(head, tail, body):
            self._head, self._tail = head, tail
            self._useless += 1

    def texts(self, events: Sequence[bytes], at: int) -> list[str]:
        """The texts of the events from this one on, up to one that has another form than the known one, or no text."""
        head, tail = self._head, self._tail
        if not head:
            return []
        begin, end, least = len(head) - 1, 1 - len(tail), len(head) + len(tail)
        found = []
        for event in events[at:] if at else events:
            if len(event) <= least or not (event.startswith(head) and event.endswith(tail)):
                break
            found.append(event[begin : end or None])
        texts = _read(found)
        while found and texts is None:  # one of them is not only a text: it is read as a whole, those before it are not
            found = found[: len(found) // 2]
            texts = _read(found)
        self._useless = 0 if texts else self._useless
        return texts or []


def _read(found: Sequence[bytes]) -> list[str] | None:
    """Strings of JSON as texts; None if one of them is something else."""
    try:
        texts = _texts.decode(b"[%b]" % b",".join(found))
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    return texts if len(texts) == len(found) else None


def _is_text(body: Body) -> bool:
    """Whether a body says a piece of a text, and nothing that may be another the next time."""
    if body.choices is None or len(body.choices) != 1 or body.choices[0].plain is None or body.choices[0].reason:
        return False
    return not body.failed and not body.told


def _holds(head: bytes, tail: bytes, body: Body) -> bool:
    """Whether another text between these makes the same body with that text, so that each event is one of its kind."""
    try:
        other = read(head + _PROBE.encode() + tail)
    except (msgspec.MsgspecError, ValueError):
        return False
    if not other.choices or len(other.choices) != 1 or other.choices[0].plain != _PROBE:
        return False
    assert body.choices  # noqa: S101 - it was looked at
    delta = body.choices[0].delta
    assert delta  # noqa: S101 - the same
    said, delta.content = delta.content, _PROBE
    same = other == body
    delta.content = said
    return same
