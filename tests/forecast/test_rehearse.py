"""`stretto rehearse`: what a workflow would take, from the command line and from its parts."""

import json
import math
import random
import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from screens import Seat
from stretto import Input, Limits, Simulator, Workflow
from stretto.events import CallFinished
from stretto.models.simulator import Profile, parse_fault
from stretto.rehearsal import (
    AS_IT_IS,
    Change,
    Conditions,
    Rehearsal,
    Trial,
    Variation,
    carry,
    carry_enough,
    compared,
    perform,
    prepare,
    recorded,
    usual,
    vary,
)
from stretto.runs import CallRecord, Run
from stretto.types import Price, Usage
from terminal import Terminal
from virtual import clock, virtually

SMALL = ("--runs", "5", "--subtasks", "5")
ONE = (*SMALL, "--vary", "parallel=2")
"""With one row beside that of the configuration as it is, where it is not the rows that are looked at."""
TASK = "Describe trees"
MINE = """
[orchestrator]
model = "mine:planner"
[workers.general]
model = ["mine:worker", "together:no-such-model"]
[synthesizer]
model = "mine:planner"
[prices."mine:planner"]
input = 1
output = 2
[prices."mine:worker"]
input = 1
output = 2
[prices."together:no-such-model"]
input = 4
output = 8
[providers.mine]
base_url = "http://127.0.0.1:9/v1"
key_env = "MINE_KEY"
"""


@pytest.fixture
def terminal(tmp_path: Path) -> Terminal:
    terminal = Terminal(tmp_path)
    terminal.write("mine.toml", MINE)
    return terminal


def rehearsed(terminal: Terminal, *args: str) -> dict[str, Any]:
    done = terminal("rehearse", "--json", *SMALL, *args, TASK)
    assert done.code == 0, done.err
    found: dict[str, Any] = json.loads(done.out)
    return found


def as_it_is(terminal: Terminal, *args: str) -> dict[str, Any]:
    """The figures of the configuration at hand alone."""
    row: dict[str, Any] = rehearsed(terminal, "--vary", "attempts=4", *args)["variations"][0]
    return row


# -- the table


def test_a_table_shows_the_configuration_as_it_is_and_with_one_setting_changed(terminal: Terminal) -> None:
    done = terminal("rehearse", "-w", "./mine.toml", "--budget", "1", "--deadline", "90", *SMALL, TASK)
    progress = [line for line in done.err.splitlines() if not line.startswith("stretto: rehearsed ")]
    assert (done.code, progress) == (0, [])
    lines = done.out.splitlines()
    assert lines[0].startswith("simulated: 5 runs a row of 'Describe trees'; no model was asked, nothing was paid")
    assert "assumed: mine:worker: 0.4 s to the first token, then 80 tokens a second" in done.out
    assert "the simulator's own" in done.out
    rows = [line.split("  ")[0] for line in lines[lines.index("") + 3 : lines.index("", lines.index("") + 1)]]
    assert rows == ["as it is"]
    (same,) = [line for line in lines if line.startswith("no difference in any of 5 runs (so hardly in more than 45 %")]
    changed = "parallel 32, parallel 128, hedge 5 %, budget $0.5, budget $2, deadline 45 s, deadline 180 s"
    assert same.endswith(f": {changed}")
    assert lines[-1].startswith("nothing to change: ")
    assert "budget" not in terminal("rehearse", "--budget", "1", "-q", *SMALL, TASK).out.split("no difference")[1]


def test_the_setting_to_change_is_named_with_how_often_it_helped(terminal: Terminal) -> None:
    args = ("rehearse", "-q", "--parallel", "2", "--subtasks", "8", "--runs", "8")
    varied = ("--vary", "parallel=8", "--vary", "parallel=4", "--vary", "attempts=5")
    said = terminal(*args, *varied, TASK).out
    assert "\nchange parallel to 8 (--parallel 8, or under [limits]): quicker in 8 of 8 runs, by " in said
    assert "no difference in any of 8 runs (so hardly in more than 31 % of all): attempts 5" in said
    found = json.loads(terminal(*args, *varied, "--json", TASK).out)
    assert found["change"] == "parallel 8"
    assert [row["against"]["same"] for row in found["variations"]] == [True, False, False, True]


def test_a_larger_budget_is_named_where_it_makes_answers_whole(terminal: Terminal) -> None:
    args = ("-w", "./mine.toml", "--budget", "0.5ct", "--subtasks", "5", "--runs", "10", "--vary", "budget=1")
    said = terminal("rehearse", "-q", *args, TASK).out
    assert re.search(r"^change budget to \$1 \(--budget 1, or .*: more complete in 10 of 10 runs", said, re.MULTILINE)


def test_without_a_number_of_runs_those_are_carried_that_fit_into_some_seconds() -> None:
    rehearsal = prepared(subtasks=4)
    limits = rehearsal.definition.limits
    rows = [Variation(AS_IT_IS, limits), vary(limits, "attempts", 5), vary(limits, "parallel", 1)]
    first, same, slower = carry_enough(rehearsal, rows, 0, lambda *_: None, seconds=0.5)
    assert same == first[: len(same)]
    assert 5 <= len(same) <= 20
    assert len(same) <= len(first) == len(slower) <= 200
    (whole,) = carry(rehearsal, rows[:1], range(len(first)), lambda *_: None)
    assert first == whole


def test_the_table_fits_a_terminal(terminal: Terminal) -> None:
    asked = ("rehearse", "-q", "-m", "sim:default", "--provider-rpm", "60", *SMALL, "-w", "./mine.toml", TASK)
    with Seat(terminal, *asked, lines=50) as seat:
        assert seat.end() == 0
        lines = seat.everything.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[0].startswith("simulated: 5 runs a row")
    assert any(line.startswith("as it is") for line in lines)


def test_a_difference_is_only_told_where_it_could_hardly_be_chance() -> None:
    def trial(seconds: float) -> Trial:
        return Trial("full", seconds, None, Usage(), 3, 5, 0, 0, 0, {})

    first = [trial(10 + at) for at in range(20)]
    quicker = [trial((10 + at) - (10 + at) / 5) for at in range(20)]
    mixed = [trial((10 + at) * (0.8 if at % 2 else 1.1)) for at in range(20)]
    slightly = [trial((10 + at) * 0.99) for at in range(20)]
    assert compared(first, quicker, 3).seconds == Change(20, 0, -0.2, sure=True)
    assert compared(first, first, 3).same
    for other in (mixed, slightly, quicker[:5]):
        assert compared(first, other, 3).seconds.sign == 0
        assert compared(first, other, 3).worth is None
    assert compared(first, quicker, 3).worth == (0, 0.2, 0.0)


def test_inputs_are_read_and_told_and_make_every_prompt_longer(terminal: Terminal) -> None:
    (terminal.folder / "page.md").write_text("word " * 20_000)
    done = terminal("rehearse", "--json", "-i", "page.md", *ONE, TASK)
    assert "page.md  100 kB, about 33,334 tokens" in done.err
    with_, without = json.loads(done.out), rehearsed(terminal, *ONE)
    tokens = [each["variations"][0]["tokens"]["min"] for each in (with_, without)]
    assert tokens[0] > tokens[1] + 100_000


def test_what_is_missing_is_told_with_its_reason(terminal: Terminal) -> None:
    done = terminal("rehearse", "--fault", "400 role=worker", *ONE, TASK)
    assert done.code == 0
    _, missing = done.out.split("missing, as it is:\n")
    first, second = missing.splitlines()
    assert (
        first == "  in 100 % of the runs, 25 times: failed: sim:default: 400: The request is not valid for this model."
    )
    assert second.startswith("  in 100 % of the runs: no answer: none of … subtasks has a result")


def test_json_is_one_object_with_every_quantile(terminal: Terminal) -> None:
    found = rehearsed(terminal, "-w", "./mine.toml", "--vary", "parallel=2", "--vary", "budget=50ct")
    assert (found["simulated"], found["task"], found["runs"], found["subtasks"]) == (True, TASK, 5, 5)
    assert [one["changed"] for one in found["variations"]] == [{}, {"parallel": 2}, {"budget": "0.5"}]
    first = found["variations"][0]
    assert first["answered"] == {"full": 1, "part": 0, "none": 0}
    assert first["requests"]["mean"] == 7
    for spread in (first["makespan"], first["cost"]):
        values = [float(spread[name]) for name in ("min", "p5", "p25", "p50", "p75", "p95", "p99", "max")]
        assert values == sorted(values)
        assert values[0] > 0


def test_the_same_seed_gives_the_same_bytes_and_another_one_others(terminal: Terminal) -> None:
    some = ("--fault", "500 rate=0.3", "--provider-rpm", "200", "--vary", "hedge=5%")
    args = ("rehearse", "--json", *some, *SMALL, TASK)
    one = terminal(*args, PYTHONHASHSEED="1")
    assert one.out == terminal(*args, PYTHONHASHSEED="2").out
    assert json.loads(one.out)["variations"][0]["retried"]["max"] > 0
    assert one.out != terminal(*args, "--seed", "7").out


@pytest.mark.slow  # it is the package that starts them
def test_many_processes_find_what_one_does() -> None:
    rehearsal, seen = prepared(faults=((None, parse_fault("500 rate=0.2")),), subtasks=4), list[tuple[int, int]]()
    variations = usual(rehearsal.definition.limits)

    def progress(done: int, of: int) -> None:
        seen.append((done, of))

    alone, apart = (carry(rehearsal, variations, range(8), progress, processes) for processes in (1, 2))
    assert alone == apart
    assert seen[-1] == (24, 24)


# -- what is assumed


def test_no_key_is_needed_and_nothing_is_sent(terminal: Terminal) -> None:
    assert terminal("run", "-w", "./mine.toml", TASK).code == 3
    row = as_it_is(terminal, "-w", "./mine.toml")
    assert row["answered"]["full"] == 1
    assert not terminal.store.exists()


def test_without_a_model_the_simulators_own_is_rehearsed_and_no_server_is_looked_for(terminal: Terminal) -> None:
    done = terminal("rehearse", *ONE, TASK)
    first, *progress = done.err.splitlines()  # which is told where it takes its time
    assert first == "stretto: no model is named, so sim:default is rehearsed; -m names another"
    assert [line for line in progress if not line.startswith("stretto: rehearsed ")] == []
    assert terminal("rehearse", "-q", *ONE, TASK).err == ""
    named = terminal("rehearse", *ONE, TASK, GROQ_API_KEY="not a key at all")
    assert "assumed: groq:" in named.out


def test_limits_of_a_local_server_are_kept_to(terminal: Terminal) -> None:
    done = terminal("rehearse", "-m", "ollama:any", *ONE, TASK)
    assert "assumed: ollama permits any rate, 4 calls at once" in done.out
    slow, quick = (
        as_it_is(terminal, "-m", model, "--subtasks", "40", "--runs", "2") for model in ("ollama:any", "sim:any")
    )
    assert slow["makespan"]["p50"] > quick["makespan"]["p50"]


def test_a_model_keeps_its_price_and_a_free_one_costs_nothing(terminal: Terminal) -> None:
    cheap = as_it_is(terminal, "-w", "./mine.toml")["cost"]
    terminal.write("dear.toml", MINE.replace("input = 1\noutput = 2", "input = 4\noutput = 8"))
    dear = as_it_is(terminal, "-w", "./dear.toml")["cost"]
    assert Decimal(dear["p50"]) == 4 * Decimal(cheap["p50"]) > 0
    assert Decimal(as_it_is(terminal, "-m", "sim:default")["cost"]["max"]) == 0


def test_an_unknown_price_is_said_once_and_makes_the_cost_unknown(terminal: Terminal) -> None:
    done = terminal("rehearse", "-m", "together:no-such-model", *ONE, TASK)
    assert done.out.count("unknown: the price of together:no-such-model") == 1
    assert as_it_is(terminal, "-m", "together:no-such-model")["cost"] is None


def test_a_rate_the_provider_permits_rejects_and_one_the_workflow_knows_does_not(terminal: Terminal) -> None:
    many = ("--subtasks", "30", "--runs", "3")
    unknown = as_it_is(terminal, *many, "--provider-rpm", "60", "--provider-tells", "nothing")
    terminal.write("known.toml", MINE + "rpm = 60\n")
    known = as_it_is(terminal, *many, "-w", "./known.toml", "-m", "mine:worker")
    assert unknown["rejected"]["mean"] > 0
    assert unknown["answered"]["full"] == 1
    assert known["rejected"]["max"] == 0
    told = as_it_is(terminal, *many, "--provider-rpm", "60", "--provider-tells", "headers")
    assert told["rejected"]["mean"] < unknown["rejected"]["mean"]
    assert min(unknown["makespan"]["min"], known["makespan"]["min"]) > 28


def test_a_budget_that_is_too_small_leaves_answers_in_part(terminal: Terminal) -> None:
    row = as_it_is(terminal, "-w", "./mine.toml", "--subtasks", "20", "--budget", "1ct")
    assert row["answered"]["part"] > 0
    assert "budget" in row["missing"][0]["reason"]
    assert Decimal(row["cost"]["max"]) <= Decimal("0.01")


def test_a_fault_may_hit_one_provider_alone(terminal: Terminal) -> None:
    assert as_it_is(terminal, "-w", "./mine.toml", "--fault", "together: 400")["answered"]["full"] == 1
    assert as_it_is(terminal, "-w", "./mine.toml", "--fault", "mine: 400")["answered"]["none"] == 1


def test_more_subtasks_than_a_run_may_have_raise_that_limit_and_say_so(terminal: Terminal) -> None:
    done = terminal("rehearse", *ONE, "--runs", "1", "--subtasks", "70", TASK)
    assert "a plan of 70 subtasks (max_subtasks is 64: a run needs --max-subtasks 70)" in done.out
    assert "in 100 %" not in done.out


# -- like earlier runs


def test_speeds_and_lengths_come_from_recorded_runs(terminal: Terminal) -> None:
    slow = '[providers.sim]\nttft = "300ms"\nttft_spread = 0.1\ntokens_per_second = 1000\nlength = 400\n'
    terminal.write("stretto.toml", slow)
    terminal("run", "-q", "-m", "sim:any", "Describe trees in 12 subtasks")
    (terminal.folder / "stretto.toml").unlink()
    (model,) = json.loads(terminal("rehearse", "--json", *ONE, "--like", "last", "-m", "sim:any", TASK).out)["models"]
    assert model["calls"] == 14
    assert model["ttft"] == pytest.approx(0.3, rel=0.3)  # a busy machine adds some hundredths
    assert model["tokens_per_second"] == pytest.approx(1000, rel=0.2)
    assert model["length"] == pytest.approx(400, rel=0.6)
    text = terminal(
        "rehearse",
        "--runs",
        "2",
        "--vary",
        "hedge=5%",
        "--like",
        "all",
        "-m",
        "sim:any",
        "-m",
        "synthesizer=sim:new",
        TASK,
    ).out
    assert "from 14 calls of 1 recorded run, simulated" in text
    assert "the simulator's own: 0 recorded calls are too few" in text
    assert "a plan of 12 subtasks" in text


def test_a_fit_finds_the_speed_in_spite_of_spread_and_outliers() -> None:
    chance = random.Random(1)
    calls = []
    for _ in range(150):
        tokens = round(300 * chance.lognormvariate(0, 0.8))
        seconds = 0.5 * chance.lognormvariate(0, 0.4) + tokens / 60
        calls.append(call("together:a", tokens, seconds * (5 if chance.random() < 0.05 else 1)))
    profile = recorded([Run(id="r", task="", workflow={}, calls=tuple(calls))]).profiles["together:a"]
    assert profile.tokens_per_second == pytest.approx(60, rel=0.05)
    assert profile.ttft == pytest.approx(0.5, rel=0.2)
    assert profile.length == pytest.approx(300, rel=0.2)
    assert profile.length_spread == pytest.approx(0.8, rel=0.3)


def test_replies_of_one_length_say_nothing_of_speed_but_how_long_they_took() -> None:
    run = Run(id="r", task="", workflow={}, calls=tuple(call("sim:a", 50, 2.0) for _ in range(5)))
    assert recorded([run]).profiles["sim:a"] == Profile(2.0, math.inf, 0.0, 50.0, 0.0)


def call(model: str, tokens: int, seconds: float) -> CallRecord:
    began = datetime(2026, 1, 1, tzinfo=UTC)
    done = CallFinished(
        call="c1", role="worker", subtask="t1", fingerprint="f", model=model, finish="stop", usage=Usage(9, tokens)
    )
    ended = began + timedelta(seconds=seconds)
    return CallRecord("c1", "worker", "t1", "f", model, began.isoformat(), ended.isoformat(), finished=done)


# -- bad input


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (("--runs", "0"), 2, "--runs"),
        (("--subtasks", "0"), 2, "--subtasks"),
        (("--subtasks", "9", "--max-subtasks", "5"), 2, "--subtasks 9 is more than --max-subtasks 5"),
        (("--vary", "paralel=3"), 2, 'did you mean "parallel"?'),
        (("--vary", "parallel"), 2, "write LIMIT=VALUE"),
        (("--vary", "parallel=0"), 2, "must be 1 or more"),
        (("--vary", "budget=lots"), 2, "no amount of US dollars"),
        (("--fault", "bogus"), 2, "no such kind"),
        (("--fault", "nobody: 500"), 3, "no provider 'nobody'"),
        (("--provider-rpm", "0"), 2, "more than 0"),
        (("--provider-rpm", "fast"), 2, "no number"),
        (("-m", "together:no-such-model", "--budget", "1"), 3, "is unknown, so a budget cannot be kept"),
        (("--like", "last"), 1, "no run store here yet"),
        (("-w", "./none.toml"), 3, "cannot be read"),
    ],
)
def test_bad_input_is_named(terminal: Terminal, args: tuple[str, ...], code: int, said: str) -> None:
    done = terminal("rehearse", *args, TASK)
    assert (done.code, done.out) == (code, "")
    assert said in done.err


def test_runs_that_say_nothing_of_these_models_are_refused(terminal: Terminal) -> None:
    terminal("run", "-q", "-m", "sim:instant", "Describe trees in 2 subtasks")
    assert "there are 4 of sim:instant" in terminal("rehearse", "--like", "all", "-m", "sim:instant", TASK).err
    done = terminal("rehearse", "--like", "01NOSUCHRUN", TASK)
    assert done.code == 1
    assert "no run" in done.err


# -- the parts


def prepared(limits: Limits | None = None, **conditions: Any) -> Rehearsal:
    flow = Workflow("sim:a", {"general": "sim:a"}, "sim:a", limits=limits)
    return prepare(flow, TASK, Conditions(**conditions))


def test_inputs_count_into_every_call() -> None:
    flow = Workflow("sim:a", {"general": "sim:a"}, "sim:a")
    page = Input("page.md", "word " * 20_000)
    trials = [perform(prepare(flow, TASK, Conditions(subtasks=4), inputs), Limits(), 1) for inputs in ((), (page,))]
    more = trials[1].usage.input_tokens - trials[0].usage.input_tokens
    assert more > trials[1].requests * 20_000
    assert trials[1].subtasks == 4


def test_lines_arrive_when_their_last_token_would() -> None:
    async def times(flow: Workflow) -> tuple[list[float], float]:
        async with flow.stream(TASK) as events:
            started = [clock() async for event in events if event.kind == "subtask_started"]
        return started, clock()

    both = [
        virtually(times(Workflow("sim:a", {"general": "sim:a"}, "sim:a", providers={"sim": simulator})))
        for simulator in (Simulator(seed=3, subtasks=9), Simulator(seed=3, subtasks=9, grain="line"))
    ]
    assert len(both[0][0]) == 9
    assert both[0] == both[1]


def test_a_model_with_a_profile_of_its_own_is_as_fast_as_that_says() -> None:
    quick = perform(prepared(profiles={"sim:a": Profile(0.001, 1e6, length=10.0)}), Limits(), 0)
    usual_one = perform(prepared(), Limits(), 0)
    assert quick.seconds < 0.1 < usual_one.seconds
    assert quick.usage.output_tokens < usual_one.usage.output_tokens


def test_waits_of_retries_come_from_the_seed() -> None:
    rehearsal = prepared(faults=((None, parse_fault("500 rate=0.4")),), subtasks=10)
    trials = [perform(rehearsal, Limits(), 5) for _ in range(3)]
    assert trials[0].retried > 0
    assert trials[0] == trials[1] == trials[2]


def test_a_price_of_none_is_unknown_even_where_nobody_is_paid() -> None:
    flow = Workflow("sim:a", {"general": "sim:a"}, "sim:a", prices={"sim:a": None})
    assert virtually(flow.run(TASK)).cost is None
    flow = Workflow("sim:a", {"general": "sim:a"}, "sim:a", prices={"sim:a": Price(Decimal(1), Decimal(1))})
    assert (virtually(flow.run(TASK)).cost or 0) > 0


def test_what_is_tried_by_default_can_be_tried() -> None:
    assert [one.name for one in usual(Limits(parallel=1))] == ["parallel 2"]
    assert [one.name for one in usual(Limits(hedge=0.1))] == ["parallel 32", "parallel 128", "hedge 0 %"]
