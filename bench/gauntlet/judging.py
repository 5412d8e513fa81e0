"""Whether an answer answers its task: in full, in part, or not at all, as far as a machine can tell.

`full`: what a careful reader would look for is there (the points of the task), in the right language, long enough,
whole, not going round in circles, and it is right where that can be told. `part`: it is about the task, but something
of that is missing or wrong; `wrong` if nothing is missing, which says more of the model than of how it was asked.
`none`: there is no answer, it refuses, or it says nothing that the task does not say itself.

What this cannot see: whether sentences are true, well chosen or well written (points are words, so nonsense with the
right words in it is "in full"), whether a reader would like it, and an unusual answer that is right in other words.
Only code, what is to be reckoned or looked up in the task, and capitals are held against what is so. Hence the texts
side by side (`--save`): the figures compare ways on the same tasks; whoever wants to know how good an answer is reads
it.
"""

import re
from collections.abc import Sequence
from typing import Literal

from msgspec import Struct

from bench.gauntlet.programs import candidates, compiles, definitions, printed, queried
from bench.gauntlet.tasks import Program, Query, Task
from bench.gauntlet.tongues import language, words

Verdict = Literal["full", "part", "none"]

_REFUSES = re.compile(
    r"\A\W*(i'?m sorry|i am sorry|sorry,|i can(?:no|')t (?:help|assist|answer)|as an ai\b|es tut mir leid|lo siento"
    r"|抱歉|对不起)",
    re.IGNORECASE,
)
_ROUND = re.compile(r"(.{20,300}?)\1{3,}", re.DOTALL)
_LONG_LINE = 25  # characters of a line of the task that an answer has not found by itself
_FLAGS = re.IGNORECASE | re.MULTILINE


class Judgement(Struct, frozen=True):
    """The verdict, why it is not `full`, and whether that is only because something in it is wrong."""

    verdict: Verdict
    why: tuple[str, ...] = ()
    wrong: bool = False


async def judge(task: Task, answer: str | None, *, whole: bool = True, runs_code: bool = True) -> Judgement:
    """What an answer is worth; `whole`: whether its writer came to the end of it."""
    own = own_words(task, answer or "")
    if not own.strip():
        return Judgement("none", ("no answer" if not (answer or "").strip() else "only the task again",))
    if _REFUSES.match(own) and words(own) < 80:
        return Judgement("none", ("a refusal",))
    missing = _missing(task.points, own)
    if len(missing) == len(task.points) and not re.search(task.about, own, _FLAGS):
        return Judgement("none", ("not about the task",))
    why = [*_form(task, own), *([] if whole else ["its end is missing"])]
    why += _lacking("without", task.points, missing, task.full)
    faults = _lacking("not right, without", task.right, _missing(task.right, own), task.right_full)
    if runs_code:
        faults += await _code(task, answer or "")
    return Judgement("part" if why or faults else "full", (*why, *faults), wrong=bool(faults) and not why)


def _missing(points: Sequence[str], own: str) -> list[str]:
    return [point for point in points if not re.search(point, own, _FLAGS)]


def _lacking(what: str, points: Sequence[str], missing: Sequence[str], full: int | None) -> list[str]:
    """What is said of missing points, if there are too few without them."""
    enough = len(points) - len(missing) >= (len(points) if full is None else full)
    return [] if enough else [f"{what} {point}" for point in missing]


def own_words(task: Task, answer: str) -> str:
    """An answer without its task, or the lines of that, if it repeats them."""
    answer = answer.replace(task.text.strip(), " ")
    for line in task.text.splitlines():
        if len(line.strip()) >= _LONG_LINE:
            answer = answer.replace(line.strip(), " ")
    return answer


def _form(task: Task, own: str) -> list[str]:
    why = []
    said = words(own)
    if said < task.words or (task.most and said > task.most):
        why.append(f"{said} words")
    spoken = language(own)
    if spoken != task.language and (spoken or task.language == "zh"):
        why.append(f"in {spoken or 'no known language'}, not in {task.language}")
    if _ROUND.search(own):
        why.append("it goes round in circles")
    return why


async def _code(task: Task, answer: str) -> list[str]:
    if task.program:
        return await _program(task.program, answer)
    return _query(task.query, answer) if task.query else []


async def _program(program: Program, answer: str) -> list[str]:
    """What is wrong with the program in an answer; one that is right is enough."""
    codes = [code for code in candidates(answer) if compiles(code)]
    if not codes:
        return ["no Python that compiles"]
    # Where a function is asked for, a wrong example beside it does not make it wrong.
    for code in [*codes, *(map(definitions, codes) if program.append else ())]:
        said = await printed(f"{code}\n{program.append}")
        if _matches(program.output, said) and not any(re.search(each, said, _FLAGS) for each in program.lacks):
            return []
    return ["its program does not print what it should"]


def _query(query: Query, answer: str) -> list[str]:
    found = queried(answer, query.tables)
    return [] if any(_matches(query.output, rows) for rows in found) else ["its query does not find what it should"]


def _matches(patterns: tuple[str, ...], said: str) -> bool:
    return all(re.search(each, said, _FLAGS) for each in patterns)
