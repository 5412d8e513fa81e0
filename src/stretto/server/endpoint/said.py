"""What a client has been told of an answer: nothing that was sent can be taken back."""

ANEW = "\n\n---\n\n"
"""Stands between what was said of an answer and the answer that is written in its place."""


class Said:
    """Tells of an answer, as it is written, what the client does not have yet.

    An answer that begins anew and says the same is not said twice; one that says something else follows behind a line.
    """

    def __init__(self) -> None:
        self._now: list[str] = []
        self._had = ""  # what was said before it began anew
        self._behind = False  # whether all it says now was said before

    def take(self, text: str) -> str:
        """The answer goes on; what of it is to be sent."""
        self._now.append(text)
        return self._news("".join(self._now)) if self._behind else text

    def restart(self) -> None:
        """The answer begins anew."""
        if not self._behind:
            self._had = "".join(self._now)
            self._behind = bool(self._had)
        self._now.clear()

    def end(self, answer: str) -> str:
        """The answer is this; what of it is still to be sent."""
        self.restart()
        self._now.append(answer)
        if not self._had or answer.startswith(self._had):
            return answer[len(self._had) :]
        return ANEW + answer

    def _news(self, now: str) -> str:
        if self._had.startswith(now):
            return ""
        self._behind = False
        return now[len(self._had) :] if now.startswith(self._had) else ANEW + now
