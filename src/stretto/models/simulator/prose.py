"""The neutral Markdown that simulated workers and synthesizers write."""

import random
import re

from stretto.ground.regex import regex
from stretto.models.simulator import leap_years
from stretto.models.simulator.leap_years import part_of
from stretto.models.simulator.plans import subject_of
from stretto.models.simulator.reading import Assignment, Section

_WORD = regex(r"[^\W\d_][\w-]{3,}")
_COMMON = frozenset((
    "about", "after", "also", "answer", "because", "before", "between", "check", "cover", "describe", "each",
    "explain", "find", "from", "give", "have", "into", "just", "list", "main", "make", "more", "most", "only",
    "other", "over", "part", "plan", "prints", "return", "short", "should", "some", "task", "tasks", "than", "that",
    "their", "them", "then", "there", "these", "they", "this", "what", "when", "where", "which", "with", "work",
    "workers", "would", "write", "your",
))  # fmt: skip
_SHORTEST_CHARS = 120
_LONGEST_FACTOR = 20
_CHARS_PER_TOKEN = 4.1
"""What the texts below come to, in the pieces that the simulator sends."""
_OVERSHOOT = 60
"""By how many characters a text ends later than it should, in the middle: it ends with a block."""
_BULLET_SHARE = 0.35
_SECTIONS_IN_FULL = 24
_SUMMARY_CHARS = 320

_SENTENCES = (
    "The starting point is {a}, because most of the later choices follow from it.",
    "It helps to look at {a} and {b} separately before they are weighed against each other.",
    "In practice {a} is decided early and revised seldom.",
    "Whoever works on {a} should say which assumptions hold and which are only convenient.",
    "There are two common ways to treat {a}; they differ mainly in what they ask of {b}.",
    "The simpler way is usually enough, and it leaves room for a correction later.",
    "Where {a} is uncertain, a range is more honest than a single figure.",
    "A small trial shows more about {a} than a long discussion.",
    "Much depends on how {b} is measured, so the measure should be written down first.",
    "What looks like a question of {a} often turns out to be one of {b}.",
    "The effort for {a} grows slowly at first and then quickly, so a limit should be set beforehand.",
    "Experience from similar cases suggests that {b} takes longer than expected.",
    "None of this rules out a different approach to {a}, but it sets the bar for one.",
    "It is worth keeping {a} reversible until {b} is settled.",
    "A reader who knows little about {a} needs one example here, not three.",
    "The strongest objection concerns {b}, and it can be met by stating the scope plainly.",
    "Taken together, these points make {a} the part that deserves most attention.",
    "Costs appear mostly around {b}; the rest is comparatively cheap.",
    "If only one thing can be done now, it should be {a}.",
    "The result should be checked against {b} before anyone relies on it.",
)
_BULLETS = (
    "- **{A}:** state what is included and what is left out.",
    "- **{A}:** note who decides, and by when.",
    "- **{A}:** compare at least two options by the same measure.",
    "- **{A}:** keep a short list of what could go wrong.",
    "- **{A}:** begin with the case that occurs most often.",
    "- **{A}:** record the source of every figure.",
    "- **{A}:** agree on a sign that the work is finished.",
    "- **{A}:** review it once {b} is known.",
)


def worker_text(assignment: Assignment, chance: random.Random, median: float, spread: float) -> str:
    """A worker's result, of heavy-tailed length: `median` tokens, and now and then many times that."""
    if leap_years.about_leap_years(assignment.task):
        return leap_years.worker_text(assignment.type, assignment.description)
    about = assignment.description or assignment.task
    tokens = min(median * chance.lognormvariate(0.0, spread), median * _LONGEST_FACTOR)
    heading = subject_of(about.split(" for this task:")[0])
    chars = int(tokens * _CHARS_PER_TOKEN) - len(heading) - _OVERSHOOT
    return f"## {heading[:1].upper()}{heading[1:]}\n\n" + _body(about, chance, max(chars, _SHORTEST_CHARS))


def _body(about: str, chance: random.Random, chars: int) -> str:
    """Paragraphs and lists until there are about so many characters."""
    terms = _terms(about)
    blocks: list[str] = []
    length = 0
    while length < chars:
        listed = bool(blocks) and chance.random() < _BULLET_SHARE
        left = chars - length
        wanted = min(3, 1 + left // 80)
        lines = chance.sample(_BULLETS if listed else _SENTENCES, wanted)
        filled = [line.format(a=(a := chance.choice(terms)), A=a.capitalize(), b=_other(terms, a)) for line in lines]
        blocks.append(("\n" if listed else " ").join(filled))
        length += len(blocks[-1]) + 2
    return "\n\n".join(blocks) + "\n"


def _terms(about: str) -> list[str]:
    words = dict.fromkeys(word.lower() for word in _WORD.findall(about[:2000]))
    return [word for word in words if word not in _COMMON][:12] or ["the subject", "the context"]


def _other(terms: list[str], term: str) -> str:
    return terms[(terms.index(term) + 1) % len(terms)] if len(terms) > 1 else "the context"


def answer_text(task: str, sections: list[Section], missing: list[str], references: str | None = None) -> str:
    """A synthesizer's answer: the results under headings, then what is missing.

    `references`: None, or each result is referred to; a reference to an input stands beside the first.
    """
    if leap_years.about_leap_years(task):
        found = [(part_of(section.type) or part_of(section.text.split("\n")[0]), section) for section in sections]
        parts = {part: _reference(section, references) for part, section in reversed(found) if part is not None}
        text = leap_years.answer([part for part, _ in found if part is not None], parts)
    else:
        text = f"# {subject_of(task)}\n\n" + "\n\n".join(_summaries(sections, references)) + "\n"
    if missing:
        text += "\nMissing:\n" + "\n".join(missing) + "\n"
    return text


def _reference(section: Section, references: str | None) -> str:
    return f" [^{section.id}]" if references is not None and section.id else ""


def _summaries(sections: list[Section], references: str | None) -> list[str]:
    blocks = [
        f"## {_heading(section)}\n\n{_summary(section)}{_reference(section, references)}"
        for section in sections[:_SECTIONS_IN_FULL]
    ]
    blocks[:1] = [block + (references or "") for block in blocks[:1]]
    if rest := sections[_SECTIONS_IN_FULL:]:
        lines = "\n".join(f"- {_heading(section)}{_reference(section, references)}" for section in rest)
        blocks.append(f"## Further results\n\n{lines}")
    return blocks


def _heading(section: Section) -> str:
    first = section.text.split("\n")[0]
    title = first.lstrip("# ").strip() if first.startswith("#") else ""
    return f"{section.type}: {title}" if title else section.type


def _summary(section: Section) -> str:
    """The first paragraph that is no heading, shortened at a sentence."""
    paragraphs = [block for block in section.text.split("\n\n") if block.strip() and not block.startswith("#")]
    text = paragraphs[0].strip() if paragraphs else "This part came back without text."
    if len(text) <= _SUMMARY_CHARS:
        return text
    return re.split(r"(?<=[.!?])\s", text)[0][: 2 * _SUMMARY_CHARS]
