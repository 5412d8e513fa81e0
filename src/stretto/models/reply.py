"""Reading one reply: server-sent events taken apart, thought and text told apart, finish reason and usage kept."""

from collections.abc import Callable
from typing import Any

from stretto import errors
from stretto.calls import SPOKEN, Chunk, Done, Restarted, Text
from stretto.models.thinking import ThinkFilter
from stretto.models.usage import Doubtful, usage_of
from stretto.models.wire import Body

DONE = b"[DONE]"

_BOM = b"\xef\xbb\xbf"
_LONGEST_NAME = 200
_BROKEN_OFF = frozenset({"error", "abort"})


class Reply:
    """One reply while it is read.

    `request` is the provider's name for the request; `told` makes what an endpoint says of itself fit to be repeated.
    """

    def __init__(
        self, label: str, request: str | None = None, *, told: Callable[[str], str] = str, simulated: bool = False
    ) -> None:
        self._label = label
        self._request = request
        self._told = told
        self._simulated = simulated
        self._think = ThinkFilter()
        self._usage: Any = None  # as it is told
        self._heard = 0  # characters
        self._model: str | None = None
        self._spoke = False
        self.finish: str | None = None
        self.over = False
        """The end of the stream was announced."""

    def take(self, body: Body) -> list[Chunk]:
        """What a body says."""
        self.finish = body.finish or self.finish
        if (told := body.told) and (not isinstance(told, dict) or any(told.values())):
            self._usage = told  # else it says nothing, which takes nothing back
        self._model = body.model or self._model
        chunks: list[Chunk] = []
        for piece in body.pieces():
            chunks.extend(self._think.feed(piece.text) if isinstance(piece, Text) else [piece])
        self._listen(chunks)
        return chunks

    def end(self) -> list[Chunk]:
        """The last chunks; raises `CutError` if there was no finish reason, `EmptyReply` if there was no text."""
        if not self.finish or self.finish in _BROKEN_OFF:
            how = f"with finish reason {self._said(self.finish)!r}" if self.finish else "without a finish reason"
            raise errors.CutError(f"{self._label}: the reply ended {how}", request_id=self._request)
        chunks = self._think.end()
        self._listen(chunks)
        if self.finish == "stop" and not self._spoke:
            raise errors.EmptyReply(f"{self._label}: an empty reply", request_id=self._request)
        model = self._model and self._said(self._model)
        usage = usage_of(self._usage, self._heard)
        doubtful = isinstance(usage, Doubtful)
        return [
            *chunks,
            Done(
                self._said(self.finish),
                None if isinstance(usage, Doubtful) else usage,
                model,
                self._request,
                simulated=self._simulated,
                doubtful=doubtful,
            ),
        ]

    def _said(self, name: str) -> str:
        return self._told(name)[:_LONGEST_NAME]

    def _listen(self, chunks: list[Chunk]) -> None:
        for chunk in chunks:
            if isinstance(chunk, SPOKEN):
                self._heard += len(chunk.text)
            if isinstance(chunk, Restarted):
                self._spoke = False
            elif not self._spoke and isinstance(chunk, Text):
                self._spoke = bool(chunk.text.strip())


def joined(chunks: list[Chunk]) -> list[Chunk]:
    """The same chunks with neighbouring texts in one: what came together need not travel apart."""
    together: list[Chunk] = []
    texts: list[str] = []
    for chunk in chunks:
        if isinstance(chunk, Text):
            texts.append(chunk.text)
            continue
        if texts:
            together.append(Text("".join(texts)))
            texts.clear()
        together.append(chunk)
    return [*together, Text("".join(texts))] if texts else together


class Events:
    """The data of server-sent events, from bytes as they come.

    Lines that hold bare JSON count too: that is what a server sends that was asked for a stream and does not know how.
    """

    def __init__(self) -> None:
        self._rest: list[bytes] = []

    def feed(self, data: bytes) -> list[bytes]:
        """The data of every line that is closed by now."""
        head, newline, tail = data.rpartition(b"\n")
        if not newline:  # pieces of a long line are joined once, when it ends
            self._rest.append(data)
            return []
        lines = b"".join([*self._rest, head]).split(b"\n")
        self._rest = [tail]
        return [event for line in lines if (event := _data(line))]


def is_streamed(data: bytes) -> bool:
    """Whether a whole body consists of server-sent events, whatever its content type says."""
    return data.removeprefix(_BOM).lstrip().startswith((b"data:", b"event:", b"id:", b"retry:", b": "))


def _data(line: bytes) -> bytes:
    """The data of one line; empty for comments, blank lines and other fields."""
    if line.startswith(b"data:"):
        return line[5:].strip()
    if line.startswith(b"{"):
        return line.strip()
    return _data(line[3:]) if line.startswith(_BOM) else b""
