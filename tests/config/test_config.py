"""Files, environment and flags: what wins, what is refused, and how it is said."""

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from simulated import record_of
from stretto import Fault, Limits, Provider, Simulator, Workflow
from stretto.config import (
    Choice,
    Configuration,
    presets,
    read_file,
    read_preset,
    read_workflow,
    recorded_providers,
    recorded_roles,
    seconds,
)
from stretto.errors import ConfigError
from stretto.ground.amounts import WRITTEN
from stretto.models.providers import KNOWN
from terminal import Terminal, served

ROLES = '[orchestrator]\nmodel = "sim:a"\n[workers.general]\nmodel = "sim:b"\n[synthesizer]\nmodel = "sim:c"\n'
INSTANT = "[providers.sim]\nttft = 0\ntokens_per_second = 1e9\n"


@pytest.fixture
def terminal(tmp_path: Path) -> Terminal:
    return Terminal(tmp_path)


def build(*texts: str, folder: Path, models: Mapping[str | None, str] | None = None, **limits: Any) -> Workflow:
    """The workflow of several layers, the most specific first, over the default preset."""
    layers = []
    for number, text in enumerate(texts):
        path = folder / f"layer{number}.toml"
        path.write_text(text, encoding="utf-8")
        layers.append(read_file(path))
    chosen = {role: Choice(model, "-m") for role, model in (models or {}).items()}
    default = Choice("sim:default", "nothing else")
    configuration = Configuration([*layers, read_preset("general")])
    return configuration.workflow(Workflow, models=chosen, default=default, flags=limits)


def models(workflow: Workflow) -> dict[str, str]:
    definition = workflow.definition
    named = {"orchestrator": definition.orchestrator, **definition.workers, "synthesizer": definition.synthesizer}
    return {name: " or ".join(role.candidates) for name, role in named.items() if role}


# -- layers


def test_roles_come_whole_from_the_most_specific_file(tmp_path: Path) -> None:
    upper = '[orchestrator]\nmodel = "sim:x"\n[workers.one]\nmodel = "sim:y"\n'
    assert models(build(upper, ROLES, folder=tmp_path)) == {"orchestrator": "sim:x", "one": "sim:y"}


def test_limits_and_providers_merge_key_by_key(tmp_path: Path) -> None:
    upper = "[limits]\nparallel = 3\n[providers.mine]\nrpm = 60\n"
    lower = '[limits]\nparallel = 9\nattempts = 2\n[providers.mine]\nbase_url = "http://localhost:1/v1"\nrpm = 1\n'
    workflow = build(upper, lower, folder=tmp_path, timeout=5.0)
    assert workflow.definition.limits == Limits(parallel=3, attempts=2, timeout=5.0)
    mine = workflow.providers["mine"]
    assert isinstance(mine, Provider)
    assert (mine.base_url, mine.rpm) == ("http://localhost:1/v1", 60)


def test_every_limit_that_may_be_a_text_may_be_one_in_a_file(tmp_path: Path) -> None:
    told: dict[str, Any] = {
        "budget": "50c",
        "budget_per_day": "$1.50",
        "hedge": "5%",
        "tokens": "250k",
        "rpm": "1k",
        "tpm": "1M",
    }
    told |= {"deadline": "2m", "timeout": "90s", "max_wait": "250ms"}
    assert set(told) == set(WRITTEN)
    text = "[limits]\n" + "".join(f'{name} = "{value}"\n' for name, value in told.items())
    assert build(text, folder=tmp_path).definition.limits == Limits(**told)


def test_a_known_provider_keeps_what_a_file_does_not_say(tmp_path: Path) -> None:
    provider = build("[providers.openai]\nrpm = 60\n", folder=tmp_path).providers["openai"]
    assert isinstance(provider, Provider)
    assert (provider.base_url, provider.rpm, provider.schema) == (KNOWN["openai"].base_url, 60, "strict")


def test_a_file_without_roles_takes_those_of_the_default_preset(tmp_path: Path) -> None:
    workflow = build("[limits]\nparallel = 1\n", folder=tmp_path)
    assert models(workflow) == dict.fromkeys(("orchestrator", "general", "synthesizer"), "sim:default")


def test_only_roles_without_a_model_take_the_default_one(tmp_path: Path) -> None:
    text = '[orchestrator]\n[workers.a]\nmodel = "sim:own"\n[workers.b]\n'
    assert models(build(text, folder=tmp_path)) == {"orchestrator": "sim:default", "a": "sim:own", "b": "sim:default"}


def test_a_model_flag_goes_before_the_file_and_one_with_a_role_before_one_without(tmp_path: Path) -> None:
    text = '[orchestrator]\nmodel = "sim:f"\n[workers."code/solve"]\nmodel = "sim:f"\n[workers.test]\n[synthesizer]\n'
    flags = {None: "sim:all", "workers": "sim:w", "code/solve": "sim:c"}
    assert models(build(text, folder=tmp_path, models=flags)) == {
        "orchestrator": "sim:all",
        "code/solve": "sim:c",
        "test": "sim:w",
        "synthesizer": "sim:all",
    }


def test_layers_from_the_terminal(terminal: Terminal) -> None:
    terminal.environ["XDG_CONFIG_HOME"] = str(terminal.folder / "config")
    terminal.write("config/stretto/stretto.toml", ROLES + "[limits]\nattempts = 7\nparallel = 7\n" + INSTANT)

    def used(*args: str, **environ: str) -> tuple[str, int, int]:
        start = terminal("run", "--json", *args, "Say hello", **environ).events[0]["workflow"]["definition"]
        return start["workers"]["general"]["model"], start["limits"]["attempts"], start["limits"]["parallel"]

    assert used() == ("sim:b", 7, 7)
    terminal.write("stretto.toml", ROLES.replace("sim:b", "sim:here") + "[limits]\nparallel = 6\n")
    assert used() == ("sim:here", 7, 6)
    terminal.write("named.toml", ROLES.replace("sim:b", "sim:named") + "[limits]\nparallel = 5\n")
    assert used("-w", "named.toml") == ("sim:named", 7, 5)
    assert used("-w", "./named.toml", STRETTO_MODEL="sim:env") == ("sim:env", 7, 5)
    assert used("-w", "named.toml", "-m", "sim:flag", "--parallel", "4", STRETTO_MODEL="sim:env") == ("sim:flag", 7, 4)
    assert used("-m", "workers=sim:role", STRETTO_MODEL="sim:env")[0] == "sim:role"
    assert used("-w", "general", "-m", "sim:preset")[0] == "sim:preset"


def test_the_store_is_a_flag_or_the_environment_or_the_users_state_folder(terminal: Terminal) -> None:
    terminal("run", "-q", "-m", "sim:instant", "--store", "flag.db", "Say hello")
    assert (terminal.folder / "flag.db").exists()
    assert not terminal.store.exists()
    terminal("run", "-q", "-m", "sim:instant", "Say hello")
    assert terminal.store.exists()
    terminal("run", "-q", "-m", "sim:instant", "Say hello", STRETTO_STORE="", XDG_STATE_HOME=str(terminal.folder / "s"))
    assert list(terminal.folder.rglob("stretto/runs.db"))


def test_every_limit_reaches_the_run_from_its_flag(terminal: Terminal) -> None:
    given: dict[str, object] = {
        "parallel": 3,
        "max_subtasks": 4,
        "rounds": 2,
        "rpm": 60000.0,
        "attempts": 2,
        "timeout": 90.0,
        "max_wait": 0.25,
    }
    given |= {"tpm": 2_000_000.0, "budget": "0.5", "tokens": 250_000, "deadline": 150.0, "hedge": 0.05}
    given |= {"unpriced": "allow", "budget_per_day": "20"}
    written = {"timeout": "90s", "max_wait": "250ms", "tpm": "2M", "budget": "50ct", "tokens": "250k"}
    written |= {"deadline": "2m30s", "hedge": "5%"}
    flags = [f"--{name.replace('_', '-')}={written.get(name, value)}" for name, value in given.items()]
    done = terminal("run", "--json", "-m", "sim:instant", *flags, "Say hello")
    used = done.events[0]["workflow"]["definition"]["limits"]
    assert {name: used[name] for name in given} == given
    assert set(given) == set(Limits.__struct_fields__)


def test_a_run_with_prices_is_resumed_with_them(terminal: Terminal) -> None:
    roles = "".join(f'[{role}]\nmodel = "sim:instant"\n' for role in ("orchestrator", "workers.part", "synthesizer"))
    (terminal.folder / "priced.toml").write_text(roles + '[prices."sim:instant"]\ninput = 1\noutput = 10\n')
    first = terminal("run", "--json", "-w", "./priced.toml", "--budget", "0.05", "Describe tea in 30 subtasks.")
    assert first.code == 4
    again = terminal("resume", "--json", "--last", "--budget", "5")
    assert again.code == 0
    assert again.events[-1]["coverage"]["counts"]["done"] == 30
    assert Decimal(again.events[-1]["cost"]) > Decimal(first.events[-1]["cost"])


# -- what is refused

WRONG = [
    ("[limts]", 'limts: unknown key; did you mean "limits"?'),
    ("[orchestrator]\npromt = 'x'", 'orchestrator.promt: unknown key; did you mean "prompt"?'),
    ('[workers."code/solve"]\npromt = "x"', 'workers."code/solve".promt: unknown key; did you mean "prompt"?'),
    ("[synthesizer]\nmodle = 'x'", 'synthesizer.modle: unknown key; did you mean "model"?'),
    ("[limits]\nparalel = 3", 'limits.paralel: unknown key; did you mean "parallel"?'),
    ("[providers.mine]\nbaseurl = 'x'", 'providers.mine.baseurl: unknown key; did you mean "base_url"?'),
    ("[providers.together]\napi_key = 'secret'", "providers.together.api_key: unknown key"),
    ("[providers.mine]\napi_key = 'sk-x'", 'providers.mine.api_key: unknown key; did you mean "key_env"?'),
    ("[providers.mine]\napi_base = 'x'", 'providers.mine.api_base: unknown key; did you mean "base_url"?'),
    ("[workers.a]\nsystem_prompt = 'x'", 'workers."a".system_prompt: unknown key; did you mean "system"?'),
    ("[limits]\nmax_workers = 3", 'limits.max_workers: unknown key; did you mean "parallel"?'),
    ("[providers.sim]\nfault = '429 once'", 'providers.sim.fault: unknown key; did you mean "faults"?'),
    ("orchestrator = 'sim:x'", "orchestrator: expected a table"),
    ("[workers]\ngeneral = 'sim:x'", 'workers."general": expected a table'),
    ("[limits]\nparallel = 'many'", "limits.parallel: expected a whole number, got a text"),
    ("[limits]\nrpm = true", "limits.rpm: expected a number, got true or false"),
    ("[limits]\ntimeout = 'soon'", "limits.timeout: 'soon' is no time"),
    ("[orchestrator]\nmodel = 3", "orchestrator.model: expected a text or a list, got a whole number"),
    ("[orchestrator]\nmodel = []", "orchestrator.model: an empty list; name a model"),
    ("[limits]\nbudget = '1 €'", "limits.budget: '1 €' is no amount of US dollars; write 0.50, $0.50 or 50c"),
    ("[limits]\nbudget = true", "limits.budget: True is no amount of US dollars"),
    ("[limits]\nbudget = -1", "limits.budget: -1 is no amount of US dollars"),
    ("[limits]\ndeadline = 'soon'", "limits.deadline: 'soon' is no time; write seconds, or 250ms, 20s, 2m30s, 1h"),
    ("[limits]\ntokens = 'lots'", "limits.tokens: 'lots' is no number; write 250000, 250k or 1.5M"),
    ("[limits]\nhedge = 'some'", "limits.hedge: 'some' is no share; write 0.05 or 5%"),
    ("[limits]\nunpriced = 'maybe'", "limits.unpriced: invalid enum value 'maybe'; there are refuse, allow"),
    ('[workers.x]\ntools = ["search"]', 'workers."x".tools: there are no tools for workers yet'),
    ("[mcp_servers.files]", "mcp_servers: there are no tools for workers yet"),
    ("[prices]\nx = 3", 'prices."x": expected a table'),
    ("[prices.gpt]\ninput = 1", "prices.\"gpt\": 'gpt' is no model; write provider:model"),
    ("[prices.'a:b']\ninput = 'cheap'", "prices.\"a:b\".input: 'cheap' is no amount of US dollars"),
    ("[prices.'a:b']\noutptu = 1", 'prices."a:b".outptu: unknown key; did you mean "output"?'),
    ("[orchestrator]\noptions = 3", "orchestrator.options: expected a table, got a whole number"),
    ("[orchestrator]\nprompt_file = 3", "orchestrator.prompt_file: expected a text"),
    ("[orchestrator]\nprompt = 'a'\nprompt_file = 'b'", "orchestrator: prompt and prompt_file exclude each other"),
    ("[providers.mine]\nbase_url = 3", "providers.mine.base_url: expected a text"),
    ("[providers.openai]\nheaders = { a = 1 }", "providers.openai.headers: expected a text"),
    ("[providers.openai]\nschema = 'none'", "providers.openai.schema: invalid enum value 'none'; there are strict,"),
    ("[providers.sim]\nfaults = ['flood']", "providers.sim.faults: fault 'flood': no such kind"),
    ("[providers.sim]\nfaults = '429 once'", "providers.sim.faults: expected a list"),
    ("[providers.sim]\ntpm = 0", "providers.sim: simulator: tpm must be more than 0"),
    ("x = [", "not TOML"),
    ("x = " + "[" * 5000, "not TOML"),
    ("x = " + "9" * 5000, "not TOML"),
]


@pytest.mark.parametrize(("text", "said"), WRONG)
def test_what_a_file_says_wrong_is_said_with_file_and_place(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "flow.toml"
    path.write_text(text)
    with pytest.raises(ConfigError) as refused:
        read_file(path)
    assert str(refused.value).startswith(f"{path}: ")
    assert said in str(refused.value)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[workers.a]", "orchestrator is missing beside the other roles"),
        ("[orchestrator]\n[synthesizer]", "workers is missing beside the other roles"),
        ("[orchestrator]\n[workers]", "workers: a workflow needs one worker"),
        (ROLES.replace("sim:b", "sim"), "workers.\"general\".model: 'sim' is no model"),
        (ROLES.replace("sim:b", "nobody:x"), "workers.\"general\".model: unknown provider 'nobody'"),
        ("[limits]\nparallel = 0", "limits.parallel: must be 1 or more"),
        ("[limits]\nrpm = nan", "limits.rpm: must be more than 0"),
        ("[providers.mine]\nrpm = 3", "providers.mine: base_url is missing"),
        ("[orchestrator]\nprompt = 'Do {tusk}'\n[workers.a]", "orchestrator.prompt: unknown placeholder {tusk}"),
        ("[orchestrator]\n[workers.a]\nprompt = 'Do {task}'", 'workers."a".prompt: unknown placeholder {task}'),
        ("[orchestrator]\n[workers.a]\nprompt_file = 'no.md'", 'workers."a".prompt_file: '),
    ],
)
def test_what_cannot_work_is_said_with_its_file(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigError) as refused:
        build(text, folder=tmp_path)
    assert str(refused.value).startswith(f"{tmp_path}/layer0.toml: {said}")


def test_a_wrong_limit_is_blamed_on_the_file_it_stands_in(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"layer1.toml: limits.attempts"):
        build("[limits]\nparallel = 2\n", "[limits]\nattempts = 0\n", folder=tmp_path)


def test_a_wrong_model_is_blamed_on_the_flag(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^-m: synthesizer.model: 'x' is no model"):
        build(ROLES, folder=tmp_path, models={"synthesizer": "x"})
    with pytest.raises(ConfigError, match=r"-m genral=…: no role 'genral'; did you mean \"general\"\?"):
        build(ROLES, folder=tmp_path, models={"genral": "sim:x"})
    without = "[orchestrator]\n[workers.general]\n"
    with pytest.raises(ConfigError, match="no role 'synthesizer'"):
        build(without, folder=tmp_path, models={"synthesizer": "sim:x"})


def test_a_prompt_file_is_found_beside_its_toml_and_named_in_its_errors(tmp_path: Path) -> None:
    folder = tmp_path / "deep"
    (folder / "prompts").mkdir(parents=True)
    (folder / "prompts" / "do.md").write_text('\ufeffDo {task_description} as JSON: {"a": {}}', encoding="utf-8")
    text = '[orchestrator]\n[workers.a]\nprompt_file = "prompts/do.md"\n'
    role = build(text, folder=folder).definition.workers["a"]
    assert role.prompt == 'Do {task_description} as JSON: {"a": {}}'
    (folder / "prompts" / "do.md").write_text("Do {nothing}")
    with pytest.raises(
        ConfigError, match=r"prompts/do.md \(prompt_file of .*layer0.toml\): workers.\"a\".prompt: .*nothing"
    ):
        build(text, folder=folder)
    (folder / "prompts" / "do.md").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(
        ConfigError, match=r"layer0.toml: workers.\"a\".prompt_file: .*do.md: not UTF-8 text \(byte 0\)"
    ):
        build(text, folder=folder)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "binary.toml").write_bytes(b"\x80\x02\x03")
    for name, said in {"no.toml": "No such file", "binary.toml": "not UTF-8", ".": "directory"}.items():
        with pytest.raises(ConfigError, match=f"{said}"):
            read_file(tmp_path / name)


def test_a_byte_order_mark_is_no_part_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text("\ufeff[orchestrator]\n", encoding="utf-8")
    assert read_file(tmp_path / "a.toml").table == {"orchestrator": {}}


# -- presets, times, the simulator


def test_a_workflow_is_a_path_with_a_slash_or_toml_and_else_a_preset(tmp_path: Path) -> None:
    assert presets() == ["documents", "general", "moa", "research", "review", "solve", "translate"]
    assert read_workflow("solve").name == "preset solve"
    (tmp_path / "solve").write_text("[limits]\nparallel = 3\n")
    assert read_workflow(f"{tmp_path}/solve").table == {"limits": {"parallel": 3}}
    with pytest.raises(ConfigError, match=r"no preset 'slove'; did you mean \"solve\"\?"):
        read_workflow("slove")


@pytest.mark.parametrize("name", presets())
def test_every_preset_works_and_describes_its_workers(name: str) -> None:
    workflow = Configuration([read_preset(name)]).workflow(Workflow, models={None: Choice("sim:instant", "-m")})
    assert all(worker.about for worker in workflow.definition.workers.values())


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("90s", 90),
        ("10m", 600),
        ("1.5h", 5400),
        ("250ms", 0.25),
        ("7", 7),
        (" 2 s ", 2),
        (".5m", 30),
        ("1h30m", 5400),
        ("2m30s", 150),
    ],
)
def test_times_are_read(text: str, length: float) -> None:
    assert seconds(text, "") == pytest.approx(length)


@pytest.mark.parametrize("text", ["", "s", "soon", "-1s", "nan", "inf", "30m 1x", "1_0"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"here: .* is no time"):
        seconds(text, "here")


def test_the_simulator_is_set_up_in_a_file_too(tmp_path: Path) -> None:
    text = "[providers.sim]\nseed = 3\nttft = '40ms'\nfaults = ['429 once', '500 rate=0.5 role=worker']\n"
    assert build(text, folder=tmp_path).providers["sim"] == Simulator(
        seed=3, ttft=0.04, faults=(Fault("429", times=1), Fault("500", rate=0.5, role="worker"))
    )


# -- a run's own record


def test_a_run_goes_on_with_what_it_was_started_with(tmp_path: Path) -> None:
    text = ROLES + "[limits]\nparallel = 2\n[providers.sim]\nseed = 4\nfaults = ['429 once']\n"
    before = build(text, folder=tmp_path)
    record = record_of(before)
    layers = [recorded_roles("R", record), read_preset("general")]
    after = Configuration([*layers, recorded_providers("R", record, ())]).workflow(Workflow, models={})
    assert after.definition == before.definition
    assert after.providers["sim"] == before.providers["sim"]


def test_headers_are_not_kept_so_their_provider_must_be_configured() -> None:
    record = {"providers": {"mine": {"base_url": "http://x/v1?…", "headers": {"X-Key": ""}, "kind": "endpoint"}}}
    with pytest.raises(ConfigError, match="provider 'mine' of this run has header X-Key, a query in its base URL"):
        recorded_providers("R", record, ())
    assert recorded_providers("R", record, {"mine"}).table == {"providers": {}, "prices": {}}


# -- no model named


def test_without_a_model_the_first_provider_with_a_key_is_taken_and_said(terminal: Terminal) -> None:
    with served() as (url, _):
        done = terminal("run", "Say hello", GROQ_API_KEY="x", GROQ_BASE_URL=url, MISTRAL_API_KEY="y")
        assert done.code == 0, done.err
        assert f"groq:{KNOWN['groq'].model}, because GROQ_API_KEY is set" in done.err


def test_without_a_key_a_local_server_that_answers_is_taken(terminal: Terminal) -> None:
    with served() as (url, _):
        done = terminal("run", "Say hello", OLLAMA_BASE_URL=url)
        assert done.code == 0, done.err
        assert f"ollama:default, because ollama answers at {url}" in done.err


def test_without_any_model_the_ways_to_go_on_are_said(terminal: Terminal) -> None:
    done = terminal("run", "Say hello")
    assert done.code == 3
    for way in ("stretto demo", "-m PROVIDER:MODEL", "STRETTO_MODEL", "TOGETHER_API_KEY", "ollama"):
        assert way in done.err
    assert not terminal.store.exists()


@pytest.mark.parametrize(("args", "name"), [(["--schema", "s.json"], "s.json"), (["--plan", "p.json"], "p.json")])
def test_a_file_in_the_encoding_of_another_system_is_named_with_it(
    terminal: Terminal, args: list[str], name: str
) -> None:
    (terminal.folder / name).write_bytes('{"type": "object"}'.encode("utf-16"))
    done = terminal("run", "-m", "sim:instant", *args, "Name teas")
    assert done.code in {2, 3}
    assert f"{name}: " in done.err
    assert "UTF-16 text; make UTF-8 of it first (iconv -f UTF-16 -t UTF-8)" in done.err
