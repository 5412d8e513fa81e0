"""Telling an answer while it is written."""

from stretto import events as e
from stretto.references import References
from stretto.store.journal import Journal


class Telling:
    """Shows an answer as it comes, without its references; nothing is shown if `shown` is false.

    `references` reads them; None: the answer has none, and stays as it is.
    """

    def __init__(self, journal: Journal, references: References | None, *, shown: bool) -> None:
        self.references = references
        self._pieces: list[str] = []
        self._journal = journal
        self._shown = shown

    def take(self, text: str) -> None:
        """The answer goes on."""
        self._pieces.append(text)
        self._show(self.references.feed(text) if self.references else text)

    def restart(self) -> None:
        """The answer begins anew."""
        self._pieces.clear()
        if self.references:
            self.references.restart()
        if self._shown:
            self._journal.append(e.AnswerDelta(text="", restart=True))

    @property
    def raw(self) -> str:
        """The answer so far, as it was written."""
        return "".join(self._pieces)

    def end(self, text: str) -> str:
        """The answer is over, and was `text` as it was written; what it is."""
        if self.references is None:
            return text
        self._show(self.references.end())
        return self.references.text

    def _show(self, text: str) -> None:
        if text and self._shown:
            self._journal.append(e.AnswerDelta(text=text))
