"""Results that imitate the headings between which results stand, so that code and models can tell which are real."""

import re
import unicodedata

# Only these lines are touched: a result may be a program, and a mark in it would break that.
_LEAD = re.compile(r"[\W_]+")
_WORDS = re.compile(r"(?:partial[\W_]*)?(?:workers?[\W_]*results?|results?[\W_]*of|ledger|missing)(?![^\W_])")
_EQUALS = "=\uff1d\ufe66\u207c\u208c\u2a75\u2a76\u2550\ua78a\u2261"
# Letters of other scripts that look like those of the headings, beside signs that look like theirs.
_LOOKS = str.maketrans(
    "\u2550\ua78a\u2261\u0430\u0435\u0456\u043a\u043c\u043e\u0440\u0455\u0442\u0501\u051d\u04cf\u03b1\u03b5\u03b9\u03ba\u03bc\u03bd\u03bf\u03c1\u03c4",
    "===aeikmopstdwlaeikmnopt",
)
_LONGEST_HEADING = 200
MARK = "| "


def defused(text: str) -> str:
    """The text with a mark before every line that imitates a heading, in any letter case, spacing or spelling."""
    if not any(sign in text for sign in _EQUALS):
        return text
    return "".join(MARK + line if _imitates(line) else line for line in text.splitlines(keepends=True))


def _imitates(line: str) -> bool:
    start = line.lstrip()[:_LONGEST_HEADING]
    if start[:1].isalnum():  # nearly every line
        return False
    plain = unicodedata.normalize("NFKD", start)
    letters = "".join(letter for letter in plain if unicodedata.category(letter) not in {"Mn", "Cf", "Cc"})
    heading = letters.casefold().translate(_LOOKS)
    lead = _LEAD.match(heading)
    return lead is not None and lead[0].count("=") > 1 and _WORDS.match(heading, lead.end()) is not None
