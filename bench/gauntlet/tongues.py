"""Which language a text is in, as far as its script and its small words tell."""

import re

_CODE = re.compile(r"(?:```|~~~).*?(?:```|~~~|\Z)|`[^`\n]*`", re.DOTALL)
_CHINESE = re.compile(r"[\u4e00-\u9fff]")
_WORD = re.compile(r"[^\W\d_]+")
_SMALL = {
    "en": "the of and to is in for with that this are as be you it on by from or can your an at which what",
    "de": "der die das und ist nicht ein eine zu mit von auf den dem des sich wir es für wenn weil auch sind als",
    "es": "el la los las de y en un una que con por para se del es al lo su cada hasta o a",
}
_KNOWN = {name: frozenset(small.split()) for name, small in _SMALL.items()}
_FEWEST = 4  # small words that make a language


def words(text: str) -> int:
    """How many words a text has; two Chinese characters are one."""
    chinese = len(_CHINESE.findall(text))
    return len(_WORD.findall(_CHINESE.sub(" ", text))) + len(re.findall(r"\d+", text)) + chinese // 2


def language(text: str) -> str | None:
    """The language of the prose in a text (`en`, `de`, `es`, `zh`), or None if there is too little to tell by."""
    prose = _CODE.sub(" ", text)
    letters = [word.casefold() for word in _WORD.findall(prose)]
    if 4 * len(_CHINESE.findall(prose)) > sum(map(len, letters)):
        return "zh"
    counts = {name: sum(word in small for word in letters) for name, small in _KNOWN.items()}
    best = max(counts, key=lambda name: counts[name])
    return best if counts[best] >= _FEWEST else None
