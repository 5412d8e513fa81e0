"""The answer as rendered Markdown, while it is written: finished blocks for good, the last one as far as it is."""


class Page:
    """Takes the answer piece by piece.

    `settled` gives what will not change any more: a block is finished as soon as another one begins below it, in a line
    that is complete. `open` is the rest, as it would stand if the answer ended here.
    """

    def __init__(self, *, colours: bool = True) -> None:
        self._colours = colours
        self._rest = ""
        self._begun = False

    def take(self, text: str) -> None:
        """Append the next piece of the answer."""
        self._rest += text

    @property
    def size(self) -> int:
        """Characters that are not settled."""
        return len(self._rest)

    def settled(self, width: int) -> str:
        """The blocks that are finished since this was last asked, as a terminal takes them."""
        from stretto.cli.live.markdown import finished  # with rich's Markdown, which takes its time to load

        end = finished(self._rest[: self._rest.rfind("\n") + 1])
        text, self._rest = self._rest[:end], self._rest[end:]
        return self._shown(text, width)

    def end(self, width: int) -> str:
        """All the rest: the answer is over, or goes no further."""
        text, self._rest = self._rest, ""
        return self._shown(text, width)

    def restart(self) -> None:
        """What is not settled is forgotten: the answer begins anew."""
        self._rest = ""

    def open(self, width: int, most: int) -> list[str]:
        """What is not settled, as lines that a terminal takes: the last of them, if there are more."""
        from stretto.cli.live.markdown import rendered

        lines = rendered(self._rest, width, colours=self._colours, most=most)
        return ["", *lines][-most:] if lines and self._begun else lines[-most:]

    def _shown(self, text: str, width: int) -> str:
        from stretto.cli.live.markdown import rendered

        lines = rendered(text, width, colours=self._colours) if text.strip() else []
        if not lines:
            return ""
        gap = "\n" if self._begun else ""
        self._begun = True
        return gap + "\n".join(lines) + "\n"
