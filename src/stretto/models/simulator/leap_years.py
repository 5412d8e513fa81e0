"""What a good team says to "Write a program that prints the next 20 leap years"."""

import re
from collections.abc import Mapping, Sequence
from typing import Literal

from stretto.ground.regex import regex

Part = Literal["plan", "solve", "test"]
"""Which part of a piece of work a worker does: its plan, its substance, or its test."""

PARTS: tuple[Part, ...] = ("plan", "solve", "test")

# Looked at in this order: "test plan" is a test, "plan the code" is a plan.
_WORDS: tuple[tuple[Part, tuple[str, ...]], ...] = (
    ("test", ("test", "verif", "valid", "check", "review", "critic", "qa")),
    ("plan", ("plan", "design", "outline", "research", "analy", "architect")),
    ("solve", ("code", "coding", "solv", "program", "implement", "develop", "build", "write", "draft")),
)

_LEAP_YEARS = regex(r"\bleap[ -]years?\b", re.IGNORECASE)

ANALYSIS = (
    "Three divisibility rules decide whether a year is a leap year; to be settled are where counting starts and what "
    "happens at century years. Design, program and tests do not depend on one another and can be done side by side."
)

DESCRIPTIONS: dict[Part, str] = {
    "plan": (
        "Plan the program: the leap-year rule, where counting starts, the functions and the edge cases. "
        "Return a short numbered plan, no code."
    ),
    "solve": (
        "Write a complete Python program that prints the next 20 leap years after the current year, one per line. "
        "Return the code with a short note on how it works."
    ),
    "test": (
        "Test plan for such a program: concrete years with the expected verdict, century years included, and checks of "
        "the printed list. Do not write the program."
    ),
}

PLAN = """\
## Implementation plan: the next 20 leap years

1. **Pin down the rule.** In the Gregorian calendar a year has 366 days if it is divisible by 4, unless it is \
divisible by 100; of those century years only the ones divisible by 400 count. So 2000 is a leap year, \
1900 and 2100 are not.
2. **Pin down "next".** Counting starts with the year after the current one. If the program runs in a leap year, that \
year has begun and is not printed.
3. **Two small functions.**
   - `is_leap(year)` answers yes or no and knows nothing else.
   - `next_leap_years(after, count)` walks upwards from `after + 1` and collects years until it has `count` of them. \
The starting year is an argument, so that tests do not depend on today's date.
4. **A thin main part** reads the current year from the system clock, calls `next_leap_years` with 20 and prints one \
year per line.
5. **Edge cases.** A list that crosses 2100 has an eight-year gap between 2096 and 2104; a count of 0 gives an empty \
list. Stepping year by year needs about 85 steps for 20 results, so nothing has to be optimised.
6. **Done when** the program prints exactly 20 years, in ascending order, all of them after the current year, and the \
century cases pass.
"""

_CODE = '''\
```python
"""Print the next 20 leap years, one per line."""

from datetime import date

HOW_MANY = 20


def is_leap(year: int) -> bool:
    """Whether this year of the Gregorian calendar has a 29 February."""
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)


def next_leap_years(after: int, count: int) -> list[int]:
    """The first `count` leap years that come later than the year `after`."""
    years: list[int] = []
    year = after + 1
    while len(years) < count:
        if is_leap(year):
            years.append(year)
        year += 1
    return years


if __name__ == "__main__":
    for leap_year in next_leap_years(date.today().year, HOW_MANY):
        print(leap_year)
```
'''

PROGRAM = f"""\
## A program that prints the next 20 leap years

{_CODE}
Save it as `leap_years.py` and run `python leap_years.py`; it needs nothing but Python 3.9 or newer.

- `is_leap` is the whole rule in one line: every fourth year, but of the century years only every fourth.
- `next_leap_years` begins with the year *after* the one it is given, so the current year is never in the list.
- The clock is read in one place only, at the bottom. Everything above gives the same result on any day.

Run at any time in 2025 it prints 2028, 2032, 2036 and so on up to 2096, and then 2104 and 2108: 2100 is left out.
"""

TEST_PLAN = """\
## Test plan: the next 20 leap years

**The rule, year by year**

| year | leap year? | why this case |
|---|---|---|
| 2024 | yes | divisible by 4, no century |
| 2023 | no | not divisible by 4 |
| 2026 | no | even, but not divisible by 4 |
| 1900 | no | century not divisible by 400 |
| 2000 | yes | century divisible by 400 |
| 2100 | no | the next century that is left out |
| 2400 | yes | the next century that is kept |

**The list, from a fixed starting year**

| after | count | expected |
|---|---|---|
| 2023 | 3 | 2024, 2028, 2032 |
| 2024 | 2 | 2028, 2032: the starting year itself is not counted |
| 2095 | 3 | 2096, 2104, 2108: crosses 2096 -> 2104 without 2100 |
| 1999 | 1 | 2000 |
| 2025 | 0 | an empty list |

**The program as a whole**

1. Run it and read standard output: exactly 20 lines, each a whole number, exit status 0.
2. The numbers ascend strictly, and the first is greater than the current year.
3. Neighbours are 4 years apart, or 8 where a century year such as 2100 is skipped.
4. Every printed year agrees with `calendar.isleap`, and no year between the first and the last that is one is absent.

A quick mutation check: with the century rule removed, the cases 1900, 2100 and 2095 must fail.
"""

_LEAD = "Below is a Python program that prints the next 20 leap years after the current one"
_RULE = (
    "A year is a leap year if it is divisible by 4, except for century years, which must be divisible by 400. That is "
    "why 2000 was one and 2100 will not be. Counting starts with the year after the current one, so a leap year that "
    "has begun is not listed."
)

_ANSWER: dict[Part, str] = {
    "plan": """\
## How it works

The rule lives in `is_leap`, the search in `next_leap_years`, and only the last lines look at the clock. Because the \
starting year is an argument, the search can be tried from any year. Going up year by year takes about 85 steps for 20 \
results, so there is nothing to optimise.
""",
    "solve": f"""\
## The program

{_CODE}
Save it as `leap_years.py` and start it with `python leap_years.py`. Run in 2026, it begins with 2028, 2032, \
2036 and ends with 2096, 2104, 2108.
""",
    "test": """\
## How it is tested

- **Single years:** 1900 no, 2000 yes, 2023 no, 2024 yes, 2100 no, 2400 yes.
- **Starting points:** after 2024 comes 2028, since the starting year does not count; after 2095 come 2096, 2104 and \
2108, which crosses the century that is left out.
- **The whole program:** exactly 20 ascending years, all after the current year, 4 years apart (8 across 2100), each \
confirmed by `calendar.isleap`.
""",
}
# The program comes first in an answer, whatever the order of the plan.
_ANSWER_ORDER: tuple[Part, ...] = ("solve", "plan", "test")
_WORKER: dict[Part, str] = {"plan": PLAN, "solve": PROGRAM, "test": TEST_PLAN}


def part_of(words: str) -> Part | None:
    """The part a worker's type speaks of, if it speaks of one."""
    folded = words.casefold()
    return next((part for part, stems in _WORDS if any(stem in folded for stem in stems)), None)


def about_leap_years(task: str) -> bool:
    """Whether this script has something to say to a task."""
    return _LEAP_YEARS.search(task) is not None


def subtasks(types: Sequence[str]) -> list[tuple[str, str]]:
    """Type and description of each subtask, for the worker types there are."""
    by_part = {part: next((t for t in types if part_of(t) == part), None) for part in PARTS}
    anyone = next((t for t in types if part_of(t) is None), None)
    if by_part["solve"] is None:
        # Without someone to write the program there is no answer; then a worker without a speciality does the rest too.
        anyone = anyone or types[0]
        by_part = {part: type_ or anyone for part, type_ in by_part.items()}
    return [(type_, DESCRIPTIONS[part]) for part, type_ in by_part.items() if type_ is not None]


def worker_text(type_: str, description: str) -> str:
    """What a worker returns; one who was given the task itself gives the whole answer."""
    if not type_ and not description:
        return answer(PARTS)
    return _WORKER[part_of(type_) or part_of(" ".join(description.split()[:3])) or "solve"]


def scripted(prompt: str) -> str | None:
    """The worker's text for a prompt that holds one of the script's own descriptions, whatever else it says."""
    return next((_WORKER[part] for part, description in DESCRIPTIONS.items() if description in prompt), None)


def answer(parts: Sequence[Part], references: Mapping[Part, str] | None = None) -> str:
    """The final answer, as far as the parts are there, with what refers to the result of each at its end."""
    lead = _LEAD + (", and how it is tested. " if "test" in parts else ". ")
    opening = (lead if "solve" in parts else "") + _RULE + "\n"
    told = references or {}
    blocks = [_ANSWER[part].removesuffix("\n") + told.get(part, "") + "\n" for part in _ANSWER_ORDER if part in parts]
    return "\n".join([opening, *blocks])
