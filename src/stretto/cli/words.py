"""Figures and texts as people read them on one line."""

from collections.abc import Sequence
from decimal import Decimal

_OTHERS = 4  # models that are named


def dollars(cost: Decimal) -> str:
    """Money for people: cents if it comes to some, else as many digits as it takes."""
    return f"${cost:.2f}" if cost >= 1 else f"${float(cost):.2g}" if cost < Decimal("0.01") else f"${cost:.3f}"


def short(text: str | None, most: int = 100) -> str:
    """A text on one line, short, and without anything that a terminal would obey."""
    start = (text or "")[: 8 * most]
    line = "".join(letter for letter in " ".join(start.split()) if letter.isprintable())
    return line if len(line) <= most and len(start) == len(text or "") else line[: most - 1] + "…"


def columns_of(text: str) -> int:
    """Columns of a terminal that a text takes: two for a Chinese character."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def fitting(text: str, columns: int) -> str:
    """A text on one line of so many columns; what does not fit is cut between two words, if that leaves the half."""
    line = short(text, 4 * columns)
    if columns_of(line) <= columns:
        return line
    end = len(line)
    while columns_of(line[:end]) > columns - 1:
        end -= 1
    words = line[:end].rpartition(" ")[0].rstrip() if line[end : end + 1] not in {"", " "} else line[:end].rstrip()
    return f"{words if 2 * columns_of(words) >= columns else line[:end]}…"


def not_listed(model: str, others: Sequence[str]) -> str:
    """That a server on this machine does not list a model, as written, and what it has."""
    provider, _, name = model.partition(":")
    listed = ", ".join(short(other, 60) for other in others[:_OTHERS]) + (", …" if len(others) > _OTHERS else "")
    return f"{provider} lists no {short(name, 60)!r}, but {listed}; it may refuse that name, or answer to any"


def span(seconds: float) -> str:
    """A length of time: 0.4 s, 94.0 s, 12m05s."""
    if seconds >= 99.95:
        minutes, rest = divmod(round(seconds), 60)
        return f"{minutes}m{rest:02}s"
    return f"{seconds:.1f} s"
