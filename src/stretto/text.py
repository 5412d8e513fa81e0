"""Text as it may go over the wire and into the log: without lone surrogates."""


def clean(text: str) -> str:
    """The text with every lone surrogate replaced by U+FFFD; JSON and UTF-8 cannot carry one."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text
