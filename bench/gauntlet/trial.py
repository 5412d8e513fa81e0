"""What came of one task by one way."""

from msgspec import Struct

from bench.gauntlet.judging import Judgement


class Part(Struct, frozen=True):
    """A subtask as it was planned, what its worker was asked, and what came of it."""

    id: str
    type: str
    description: str
    outcome: str
    text: str = ""
    why: str = ""
    prompt: str = ""


class Tokens(Struct, frozen=True):
    """Tokens of a trial, as the server counted them."""

    input: int = 0
    output: int = 0
    cached: int = 0

    def __add__(self, other: "Tokens") -> "Tokens":
        return Tokens(self.input + other.input, self.output + other.output, self.cached + other.cached)


class Trial(Struct, kw_only=True):
    """One task by one way.

    `exit`: the exit code `stretto run` would end with. `plan_valid`: whether the plan can be read as it was written;
    None where none is written. `needs`: how many the plan names, and how many of them name an earlier subtask as that
    was written. `direct`: the run says that it asked the task itself, for want of a plan. `repairs`: calls that ask
    once more for something that did not come right; `remarks`: what the run says it had to change. `uncalled`: subtasks
    without a result for which no call was made. `met_limit`: calls whose reply was cut off at a limit of tokens.
    `endless`: the trial was ended by the clock.
    """

    task: str
    way: str
    time: int
    answer: str | None = None
    whole: bool = True
    error: str = ""
    exit: int = 0
    seconds: float = 0.0
    endless: bool = False
    tokens: Tokens = Tokens()
    calls: int = 0
    subtasks: int = 0
    plan_valid: bool | None = None
    needs: tuple[int, int] = (0, 0)
    direct: bool = False
    repairs: int = 0
    remarks: tuple[str, ...] = ()
    uncalled: int = 0
    condensing: int = 0
    met_limit: int = 0
    coverage: str = ""
    plan: str = ""
    parts: list[Part] = []
    echo: str = ""
    heading: str = ""
    judgement: Judgement = Judgement("none")
    fit: bool = True
