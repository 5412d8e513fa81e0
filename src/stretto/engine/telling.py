"""Telling an answer while it is written."""

from stretto import events as e
from stretto.references import References, Unwrapped
from stretto.store.journal import Journal


class Telling:
    """Shows an answer as it comes, without its references and a fence around all of it; nothing if `shown` is false.

    `references` reads them; None: the answer has none, and stays as it is.
    """

    def __init__(self, journal: Journal, references: References | None, *, shown: bool) -> None:
        self.references = references
        self._journal = journal
        self._shown = shown
        self._pieces: list[str] = []
        self._told: list[str] = []
        self._unwrapped: Unwrapped | None = Unwrapped()

    def take(self, text: str) -> None:
        """The answer goes on."""
        self._pieces.append(text)
        if self._unwrapped is None:
            self._show(text)
            return
        self._show(self._unwrapped.feed(text))
        if self._unwrapped.wrong:
            raw = self.raw
            self.restart()
            self._pieces.append(raw)
            self._unwrapped = None
            self._show(raw)

    def restart(self) -> None:
        """The answer begins anew."""
        self._clear()
        if self.references:
            self.references.restart()
        if self._shown:
            self._journal.append(e.AnswerDelta(text="", restart=True))

    @property
    def raw(self) -> str:
        """The answer so far, as it was written."""
        return "".join(self._pieces)

    def end(self) -> str:
        """The answer is over; what it is."""
        if self._unwrapped:
            self._show(self._unwrapped.end())
        if self.references is None:
            return "".join(self._told)
        self._append(self.references.end())
        return self.references.text

    def _clear(self) -> None:
        self._pieces.clear()
        self._told.clear()
        self._unwrapped = Unwrapped()

    def _show(self, text: str) -> None:
        if text:
            self._told.append(text)
            self._append(self.references.feed(text) if self.references else text)

    def _append(self, text: str) -> None:
        if text and self._shown:
            self._journal.append(e.AnswerDelta(text=text))
