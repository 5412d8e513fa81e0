"""Results that imitate the headings between which results stand, so that code and models can tell which are real."""

import re
import unicodedata

from stretto.ground.regex import regex

# Only these lines are touched: a result may be a program, and a mark in it would break that.
_LEAD = regex(r"[\W_]+")
_ANY = "\ufffd"  # a letter of a script whose letters may look like any of ours
_HEADINGS = r"(?:partial[\W_]*)?(?:workers?[\W_]*results?|results?[\W_]*of|ledger|missing)"
_WORDS = regex(re.sub(r"(?<!\\)[a-z]", lambda found: f"[{found[0]}{_ANY}]", _HEADINGS) + rf"(?![^\W_]|{_ANY})")
_EQUALS = (
    "=\u02ed\u1400\u2017\u207c\u208c\u2243\u2245\u2248\u224c\u2251\u2252\u2253\u2254\u2255\u2256\u2257\u225f\u2261"
    "\u2550\u268c\u29e3\u2a6e\u2a74\u2a75\u2a76\u2b7e\u2e17\u2e40\u2e5d\u30a0\ua78a\ufe66\uff1d\U0001f7f0"
)
# Letters of other scripts that look like those of the headings; those of scripts not named below may be any.
_SIGNS = str.maketrans(dict.fromkeys(_EQUALS, "="))
_LOOKS = str.maketrans(
    dict(
        zip(
            "\u0430\u0435\u0456\u043a\u043c\u043e\u0440\u0455\u0442\u0501\u051d\u04cf\u03b1\u03b5\u03b9\u03ba\u03bc\u03bd\u03bf\u03c1\u03c4",
            "aeikmopstdwlaeikmnopt",
            strict=True,
        )
    )
)
_WRITTEN = frozenset(
    {"CJK", "HIRAGANA", "KATAKANA", "HANGUL", "BOPOMOFO", "CYRILLIC", "GREEK", "ARABIC", "HEBREW", "DEVANAGARI", "THAI"}
    | {
        "BENGALI",
        "TAMIL",
        "TELUGU",
        "GUJARATI",
        "GEORGIAN",
        "AMHARIC",
        "ETHIOPIC",
        "KHMER",
        "LAO",
        "MYANMAR",
        "SINHALA",
    }
)
"""Scripts in which headings of their own are written: a line all in one of them imitates none of ours."""
_UNSEEN = regex("[\u00ad\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0]")
_RUN = regex(r"([^\w\n])\1{2,}")
_LONGEST_HEADING = 200
MARK = "| "


def defused(text: str) -> str:
    """The text with a mark before every line that imitates a heading, in any letter case, spacing or spelling."""
    if not ("=" in text or (not text.isascii() and any(sign in text for sign in _EQUALS))):
        return text
    return "".join(MARK + line if _imitates(line) else line for line in text.splitlines(keepends=True))


def _imitates(line: str) -> bool:
    start = line.lstrip()
    if start[:1].isascii() and start[:1].isalnum():  # nearly every line
        return False
    start = _UNSEEN.sub("", _RUN.sub(r"\1\1", start.translate(_SIGNS)))[:_LONGEST_HEADING]
    if start.count("=") < 2:
        return False
    if start.isascii():
        return _is_heading(start.casefold())
    start = unicodedata.normalize("NFKD", start)
    mixed = any(letter.isascii() and letter.isalpha() for letter in start)
    heading = "".join(_folded(letter, mixed=mixed) for letter in start.casefold().translate(_LOOKS))
    return _is_heading(heading)


def _is_heading(line: str) -> bool:
    lead = _LEAD.match(line)
    if lead and _ANY in lead[0]:  # which is no sign, but a letter
        lead = _LEAD.match(line[: line.index(_ANY)])
    return lead is not None and lead[0].count("=") > 1 and _WORDS.match(line, lead.end()) is not None


def _folded(letter: str, *, mixed: bool) -> str:
    """A letter as it looks: our own by which it is named, any one if nobody writes in its script, else itself."""
    if letter.isascii():
        return letter
    category, name = unicodedata.category(letter), unicodedata.name(letter, "")
    if category in {"Mn", "Cf", "Cc"}:
        return ""
    *words, last = name.split() or [""]
    if len(last) == 1 and last.isalpha() and ("LATIN" in words or words[:1] == ["REGIONAL"]):
        return last.lower()
    if category[0] != "L" or (words and words[0] in _WRITTEN and not mixed):
        return letter
    return _ANY
