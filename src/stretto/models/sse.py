"""Server-sent events: their data, from bytes as they come.

Source: https://html.spec.whatwg.org/multipage/server-sent-events.html, and what servers send that have not read it.
"""

import re

import msgspec

from stretto.ground.regex import regex

DONE = b"[DONE]"

_NEXT, _END = b"\n\ndata: {", b"\n\ndata: [DONE]\n"
_BOM = b"\xef\xbb\xbf"
_FIELD = regex(rb"[\s\xef\xbb\xbf]*(?:data|event|id|retry|error)?:", re.IGNORECASE)


class Events:
    """Takes a stream of bytes apart into the data of its events: JSON objects, and `DONE`.

    Data of another kind (a word, a time, null) keeps a connection awake and says nothing, unless its event is called an
    error. Lines that hold bare JSON count too: that is what a server sends that was asked for a stream and does not
    know how.
    """

    def __init__(self) -> None:
        self._rest: list[bytes] = []
        self._lines: list[bytes] = []
        self._name = b""
        self._returned = False

    def feed(self, data: bytes) -> list[bytes]:
        """The data of every event that is whole by now."""
        if self._returned or b"\r" in data:
            data = self._unix(data)
        head, newline, tail = data.rpartition(b"\n")
        if not newline:  # pieces of a long line are joined once, when it ends
            self._rest.append(data)
            return []
        whole = b"".join([*self._rest, head])
        self._rest = [tail]
        usual = not self._lines and not self._name and _usual(whole)
        return usual or self._read(whole.split(b"\n"))

    def end(self) -> list[bytes]:
        """The data of what nothing has ended."""
        return self.feed(b"\n\n")

    def _read(self, lines: list[bytes]) -> list[bytes]:
        """The data of the events that these lines end."""
        events: list[bytes] = []
        for line in lines:
            if line.startswith(b"data:"):
                if len(self._lines) == 1:
                    self._close_if_whole(events)
                self._lines.append(line[5:].strip())
            elif line:
                self._other(line, events)
            elif len(self._lines) == 1 and not self._name and self._lines[0].startswith(b"{"):  # nearly always
                events.append(self._lines.pop())
            else:
                self._close(events)
        # Some servers end an event with its line, and nobody shall wait for the next one.
        if len(self._lines) == 1:
            self._close_if_whole(events)
        return events

    def _unix(self, data: bytes) -> bytes:
        """The same with newlines alone; a line may also end with a carriage return, or with both in two pieces."""
        data = data.removeprefix(b"\n") if self._returned else data
        self._returned = data.endswith(b"\r")
        return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")

    def _other(self, line: bytes, events: list[bytes]) -> None:
        if self._goes_on(line, events):
            self._lines.append(line)
        elif line.startswith(b"{"):
            self._close(events)
            events.append(line.strip())
        elif line.startswith(b"event:"):
            self._name = line[6:].strip()
        elif line.startswith(b"error:"):  # llama.cpp, before it learned to say it as data
            self._close(events)
            events += filter(None, [_event(line[6:].strip(), b"error")])
        elif line.startswith((b" ", b"\t", _BOM)):
            line = line.removeprefix(_BOM).strip()
            if line.startswith(b"data:"):
                self._lines.append(line[5:].strip())
            elif line:
                self._other(line, events)
        elif line[:5].lower() == b"data:":
            self._lines.append(line[5:].strip())

    def _goes_on(self, line: bytes, events: list[bytes]) -> bool:
        """Whether a line belongs to an object over several of which only the first is called data.

        One that is whole is ended here, so that it is looked at once.
        """
        if not self._lines or not self._lines[0].startswith(b"{") or _FIELD.match(line):
            return False
        if len(self._lines) == 1:
            self._close_if_whole(events)
        return bool(self._lines)

    def _close_if_whole(self, events: list[bytes]) -> None:
        if self._lines[0] == DONE or is_json(self._lines[0]):
            self._close(events)

    def _close(self, events: list[bytes]) -> None:
        """The event ends; its lines are one text, or each is one if that is none."""
        lines, name = self._lines, self._name
        self._lines, self._name = [], b""
        if len(lines) > 1 and is_json(joined := b"\n".join(lines)):
            lines = [joined]
        for data in lines:
            if data.startswith(b"{") and name != b"error":  # nearly always
                events.append(data)
            elif event := _event(data, name):
                events.append(event)


def _usual(whole: bytes) -> list[bytes]:
    """The data of events that are an object in one line each, as nearly all are; nothing if one is another's form."""
    end = [DONE] if whole.endswith(_END) else []
    rest = whole[: 1 - len(_END)] if end else whole
    number = rest.count(_NEXT) + 1
    # Counted, not looked at one by one: of a thousand tokens a second each costs what it is touched for.
    plain = rest.startswith(_NEXT[2:]) and rest.endswith(b"}\n") and rest.count(b"}\n\n") == number - 1
    if not plain or rest.count(b"\n") != 2 * number - 1:
        return []
    return rest[len(_NEXT) - 3 : -1].split(_NEXT[:-1]) + end


def _event(data: bytes, name: bytes) -> bytes:
    """The data as an object, or `DONE`; empty if it is neither."""
    while data.startswith(b"data:"):
        data = data[5:].strip()
    if data.strip(b'"') == DONE:
        return DONE
    if name == b"error" and data:
        return data if data.startswith(b"{") and b'"error"' in data else _error(data)
    return data if data.startswith(b"{") or (data.startswith(b"[") and data[1:].lstrip().startswith(b"{")) else b""


def _error(data: bytes) -> bytes:
    """The object of an error that is told in another form."""
    said = msgspec.Raw(data) if is_json(data) else data.decode("utf-8", "replace")
    return msgspec.json.encode({"error": said})


def is_json(data: bytes | bytearray) -> bool:
    """Whether these bytes are one JSON value, whole."""
    try:
        msgspec.json.decode(data, type=msgspec.Raw)
    except (msgspec.MsgspecError, RecursionError):
        return False
    return True


def is_streamed(data: bytes) -> bool:
    """Whether a whole body consists of server-sent events, or of one object a line, whatever its content type says."""
    start = data[:4096].removeprefix(_BOM).lstrip()
    if start.startswith((b"data:", b"event:", b"id:", b"retry:", b":")):
        return True
    first, newline, rest = data.strip().partition(b"\n")
    return bool(newline) and rest.lstrip().startswith(b"{") and first.startswith(b"{") and is_json(first)
