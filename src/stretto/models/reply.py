"""Reading one reply: thought and text told apart, finish reason and usage kept."""

from collections.abc import Callable
from typing import Any

import msgspec

from stretto import errors
from stretto.calls import KEPT, OVERLONG, Chunk, Done, Reasoning, Restarted, Text
from stretto.models.growing import Growing, Halves
from stretto.models.thinking import ThinkFilter
from stretto.models.usage import Doubtful, merged, usage_of
from stretto.models.wire import BROKEN, Body, Choice, meaning

LARGEST = 2**25
"""Characters that a reply may have, and bytes of a body or an event that is read in one piece."""

_LONGEST_NAME = 200
_OTHERS = frozenset({"user", "system", "developer", "tool", "function", "ipython"})
"""Roles of messages that are no answer."""


class Reply:
    """One reply while it is read.

    `request` is the provider's name for the request; `told` makes what an endpoint says of itself fit to be repeated.
    `json`: the reply must be JSON, so that one which is called something else can be known for what it is.
    """

    def __init__(
        self,
        label: str,
        request: str | None = None,
        *,
        told: Callable[[str], str] = str,
        simulated: bool = False,
        json: bool = False,
    ) -> None:
        self._label = label
        self._request = request
        self._told = told
        self._simulated = simulated
        self._json = json
        self._think = ThinkFilter()
        self._texts, self._reasons = Growing(), Growing()
        self._halves = Halves()
        self._others: list[str] = []  # what is said by nobody who answers
        self._role = ""
        self._usage: Any = None  # as it is told
        self._model: str | None = None
        self._index: Any = None
        self._pieced = self._spoke = self._thought = False
        self._room = LARGEST
        self._thoughts: list[str] = []
        self._calls: dict[str, list[str]] = {}  # what tools would be called with, though there are none
        self._reason = ""
        self.finish: str | None = None
        self.over = False
        """The end of the stream was announced."""
        self.early = False
        """The finish reason came before the end: it says nothing of where that is."""
        self.beside = False
        """It came together with text, or before any, so that more may follow."""

    @property
    def full(self) -> bool:
        """Whether it has become longer than any reply may be."""
        return self._room < 0

    @property
    def begun(self) -> bool:
        """Whether anything of it was heard."""
        return self._pieced or self._spoke or self._thought

    def take(self, body: Body) -> list[Chunk]:
        """What a body says."""
        if (told := body.told) and (not isinstance(told, dict) or any(told.values())):
            self._usage = merged(self._usage, told)  # else it says nothing, which takes nothing back
        self._model = body.model or self._model
        choice = body.choice(self._index)
        if choice is None or self.over:  # behind its end a stream has nothing to say but what it took
            return []
        if self._index is None:
            self._index = choice.index
        if choice.delta and choice.delta.role is not None:
            self._role = str(choice.delta.role).lower()
        if self._role not in _OTHERS and (text := choice.plain) is not None:  # nearly always
            chunks = self._text(text, last=choice.finish_reason is not None)
        else:
            chunks = self._otherwise(choice)
        if chunks:
            self._pieced = self._pieced or choice.delta is not None
            self.early = self.finish is not None
            if not self._spoke or len(chunks) > 1 or not isinstance(chunks[0], Text):
                self._listen(chunks)
        if reason := choice.finish_reason or ((choice.finishReason or choice.stop_reason) and choice.reason):
            self.beside = bool(chunks) or not self._spoke
            self._reason = reason[:_LONGEST_NAME]
            self.finish = meaning(self._reason)
        return chunks

    @property
    def flows(self) -> bool:
        """Whether its text is under way, so that `go_on` may be told the next pieces of it."""
        begun = self._pieced and self._spoke and self.finish is None and not self.over
        return begun and self._role not in _OTHERS and self._texts.settled

    def go_on(self, texts: list[str]) -> list[Chunk]:
        """What further pieces of its text say, of which the newest body that was taken differs in nothing else."""
        text = "".join(texts)
        if self._think.is_plain(text) and self._halves.is_whole(text):
            self._texts.go_on(texts)
            self._room -= len(text)
            return self._think.feed(text)
        chunks = [chunk for each in texts for chunk in self._text(each)]
        self._listen(chunks)
        return chunks

    def _otherwise(self, choice: Choice) -> list[Chunk]:
        """What a choice says in another form than a piece of text, or in another's name."""
        if self._role in _OTHERS:
            self._others += [piece.text for piece in choice.pieces(repeated=False) if isinstance(piece, Text)]
            return []
        chunks = self._sorted(choice.pieces(repeated=self._pieced))
        if self._json and not self._spoke:
            for place, said in choice.arguments():
                self._room -= len(said)
                self._calls.setdefault(place, []).append(said)
        return chunks

    def _text(self, piece: str, *, last: bool = False) -> list[Chunk]:
        """What of a piece of text is new, without thought."""
        again, said = self._texts.new(self._halves.whole(piece), last=last)
        self._room -= len(said)
        if not again:
            return self._think.feed(said) if said else []
        self._think, self._spoke = ThinkFilter(), False
        return [Restarted(), *self._think.feed(said)]

    def _sorted(self, pieces: list[Chunk]) -> list[Chunk]:
        chunks: list[Chunk] = []
        for piece in pieces:
            if isinstance(piece, Text):
                chunks.extend(self._text(piece.text))
            elif isinstance(piece, Reasoning):
                again, thought = self._reasons.new(piece.text)
                self._room -= len(thought)
                if not thought:
                    continue
                chunks.append(Reasoning(thought))
                if self._json and not self._spoke:
                    if again:
                        self._thoughts.clear()
                    self._thoughts.append(thought)
        return chunks

    def end(self, *, whole: bool = False) -> list[Chunk]:
        """The last chunks; raises `CutError` if the reply is not whole, `EmptyReply` if there was no text.

        `whole`: it came in one piece, so that nothing can be missing. Without a finish reason, a stream is whole that
        has told its usage and its end.
        """
        finish = OVERLONG if self.full else self.finish
        if not finish and (whole or (self.over and self._usage)):
            finish = "stop"
        if not finish or finish == BROKEN:
            how = f"with finish reason {self._said(self._reason)!r}" if finish else "without a finish reason"
            raise errors.CutError(f"{self._label}: the reply ended {how}", request_id=self._request)
        chunks = self._rest()
        self._listen(chunks)
        if finish == "stop" and not self._spoke:
            chunks += self._miscalled()
        model = self._model and self._said(self._model)
        finish = finish if finish in KEPT else self._told(finish)
        usage = usage_of(self._usage, LARGEST - self._room)
        doubtful = isinstance(usage, Doubtful)
        known = None if isinstance(usage, Doubtful) else usage
        return [*chunks, Done(finish, known, model, self._request, simulated=self._simulated, doubtful=doubtful)]

    def _rest(self) -> list[Chunk]:
        """What was held back to the last."""
        if whole := self._texts.whole():
            self._think = ThinkFilter()
            return [Restarted(), *self._think.feed(whole), *self._think.end()]
        said = self._halves.end()
        if not self._spoke and self._others:  # a server that does not know what it calls an answer
            said += "".join(self._others)
        return [*(self._think.feed(said) if said else []), *self._think.end()]

    def _miscalled(self) -> list[Chunk]:
        """The reply that was called a thought, or a tool's arguments; else `EmptyReply`.

        Servers do the one whose models are told not to think, models the other that were trained to call tools.
        """
        for pieces in (self._thoughts, *self._calls.values()):
            said = "".join(pieces).strip()
            if said.startswith("{"):
                try:
                    msgspec.json.decode(said)
                except (msgspec.MsgspecError, RecursionError):
                    continue  # it was a thought
                return [Text(said)]
        why = f" (finish reason {self._said(self._reason)!r})" if self._reason.lower() not in {"", "stop"} else ""
        if self._thought:
            why += " but its thoughts; if the answer is there, let it not think, or mend the server's parser of them"
        raise errors.EmptyReply(f"{self._label}: an empty reply{why}", request_id=self._request)

    def _said(self, name: str) -> str | None:
        """A name as it may be repeated; None if it is too long for one."""
        return self._told(name)[:_LONGEST_NAME] if len(name) <= 10 * _LONGEST_NAME else None

    def _listen(self, chunks: list[Chunk]) -> None:
        for chunk in chunks:
            if isinstance(chunk, Restarted):
                self._spoke = False
            elif isinstance(chunk, Reasoning):
                self._thought = True
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
