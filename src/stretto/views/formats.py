"""Times, money, counts and the beginnings of texts for people."""

from decimal import Decimal


def seconds(value: float) -> str:
    """`0.42 s`, `12.3 s`, `2 min 5 s`, `3 h 20 min`."""
    if value < 10:
        return f"{value:.2f} s"
    if value < 60:
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60:,} h {minutes % 60} min"


def dollars(cost: Decimal | None) -> str:
    """Cents if it comes to some, else as many digits as it takes; `?` where a price is unknown."""
    if cost is None:
        return "$?"
    if not cost:
        return "$0"
    return f"${cost:,.2f}" if cost >= 1 else f"${cost:.3f}" if cost >= Decimal("0.01") else f"${float(cost):.2g}"


def short(text: str, most: int) -> str:
    """A text on one line, short."""
    line = " ".join(text[: 8 * most].split())
    return line if len(line) <= most and len(text) <= 8 * most else line[: most - 1] + "…"


def cut(text: str, most: int) -> str:
    """The start of a text, with its lines."""
    return text if len(text) <= most else text[: most - 1] + "…"
