"""Text in pieces of about a token."""

from stretto.ground.regex import regex

_CHARS_PER_TOKEN = 4
_PIECE = regex(r"\s?\S{1,5}|\s")


def pieces(text: str) -> tuple[str, ...]:
    """The text cut into pieces of about a token each; joined they are the text again."""
    return tuple(_PIECE.findall(text))


def estimate(chars: int) -> int:
    """About how many tokens so many characters are."""
    return -(-chars // _CHARS_PER_TOKEN)
