"""Models in files, as far as they are looked at before llama.cpp is asked: names, headers, memory, configuration."""

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import ggufs
import stretto
from drawn import examples
from simulated import record_of
from stretto import Local, Provider
from stretto.config.values import provider_of
from stretto.errors import ConfigError
from stretto.models.local.gguf import ModelFile, parts, read
from stretto.models.local.hub import HubFile, hub_file
from stretto.models.local.memory import ENOUGH, available, check, fitting, idle, needed
from stretto.pool import nobody_is_paid

HEADER = ggufs.header(ggufs.FACTS)
MODEL = ModelFile(Path("m.gguf"), "m", "llama", size=10**9, trained=100_000, cache=100_000, vocabulary=32_000)


def test_a_header_says_how_long_a_context_is_and_what_a_token_of_it_takes(tmp_path: Path) -> None:
    ggufs.write(tmp_path / "tiny.gguf", 5000)
    found = read(tmp_path / "tiny.gguf")
    assert (found.name, found.architecture, found.trained, found.vocabulary) == ("Tiny", "llama", 4096, 3)
    assert found.size == (tmp_path / "tiny.gguf").stat().st_size
    assert found.cache == 2 * 2 * (16 + 16) * 2  # layers, heads, width of a key and of a value, bytes


def test_layers_may_have_heads_of_their_own_and_keys_a_width_of_their_own(tmp_path: Path) -> None:
    own: dict[str, Any] = {"llama.attention.head_count_kv": [2, 0], "llama.attention.key_length": 100}
    ggufs.write(tmp_path / "tiny.gguf", **own)
    assert read(tmp_path / "tiny.gguf").cache == 2 * (100 + 16) * 2


def outcome(path: Path) -> str:
    """What the model is called, or why it is none."""
    try:
        return read(path).name
    except ConfigError as error:
        return str(error)


@given(st.integers(0, len(HEADER)), st.binary(max_size=40))
@examples(300)
def test_a_header_that_is_cut_off_or_goes_on_wrongly_is_a_configuration_error(
    tmp_path_factory: pytest.TempPathFactory, cut: int, more: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "odd.gguf"
    path.write_bytes(HEADER[:cut] + more)
    assert outcome(path).startswith(f"{path}: ") or cut + len(more) > len(HEADER)


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"general.architecture": "clip"}, r"no language model \(clip\)"),
        ({"general.architecture": "llama"}, "it says nothing of a context"),
        ({}, "no language model: "),
    ],
)
def test_what_is_no_language_model_is_refused(tmp_path: Path, facts: dict[str, Any], said: str) -> None:
    (tmp_path / "m.gguf").write_bytes(ggufs.header(facts) + bytes(100))
    with pytest.raises(ConfigError, match=said):
        read(tmp_path / "m.gguf")


def test_another_version_is_refused_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "m.gguf").write_bytes(ggufs.header(ggufs.FACTS, version=1) + bytes(100))
    with pytest.raises(ConfigError, match=r"GGUF of version 1, which llama\.cpp does not read; get a newer file"):
        read(tmp_path / "m.gguf")


def test_a_model_in_parts_is_all_of_them(tmp_path: Path) -> None:
    first, second = tmp_path / "big-00001-of-00002.gguf", tmp_path / "big-00002-of-00002.gguf"
    assert parts(first) == [first, second]
    assert parts(tmp_path / "small.gguf") == [tmp_path / "small.gguf"]
    ggufs.write(first)
    with pytest.raises(ConfigError, match=r"No such file or directory: big-00002-of-00002.gguf"):
        read(first)
    ggufs.write(second)
    assert read(first).size == first.stat().st_size + second.stat().st_size


def test_the_context_is_as_wanted_but_never_more_than_the_model_was_trained_for() -> None:
    assert fitting(MODEL, 4, 8000, free=0) == 8000
    assert fitting(MODEL, 4, 10**6, free=0) == 100_000
    assert fitting(MODEL, 4, None, free=None) == ENOUGH
    assert fitting(MODEL, 4, None, free=10**12) == ENOUGH


@given(st.integers(10**8, 10**11), st.integers(1, 16))
def test_by_itself_a_context_takes_half_of_the_memory_at_the_most_or_is_the_least(free: int, slots: int) -> None:
    context = fitting(MODEL, slots, None, free)
    assert context == 2048 or slots * context * MODEL.cache <= (free - needed(MODEL, slots, 0)) / 2
    assert 2048 <= context <= ENOUGH


def test_what_does_not_fit_is_told_with_all_figures_and_what_would() -> None:
    check(MODEL, 4, 4096, free=10**10, called="m")
    check(MODEL, 4, 4096, free=None, called="m")
    with pytest.raises(ConfigError, match=r"^m: needs 2\.8 GB of memory \(weights 1\.0 GB, 4 x 4,096 .* 1\.6 GB\)"):
        check(MODEL, 4, 4096, free=2 * 10**9, called="m")
    with pytest.raises(ConfigError, match=r"2\.0 GB are free; say less .* context = 2048 and parallel = 1"):
        check(MODEL, 4, 4096, free=2 * 10**9, called="m")
    with pytest.raises(ConfigError, match="500 MB are free; take a smaller file of the model"):
        check(MODEL, 4, 4096, free=5 * 10**8, called="m")


def test_this_machine_has_memory() -> None:
    free = available()
    assert free is not None
    assert 10**7 < free < 10**14


def test_there_is_a_thread_for_each_idle_processor_and_one_in_any_case() -> None:
    assert idle() in {None, *range(1, (os.cpu_count() or 1) + 1)}


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("tea/Assam-GGUF/assam.Q4_K_M.gguf", HubFile("tea/Assam-GGUF", "assam.Q4_K_M.gguf")),
        ("tea/Assam/sub/a-b.gguf", HubFile("tea/Assam", "sub/a-b.gguf")),
        ("assam.gguf", None),
        ("folder/assam.gguf", None),
        ("./a/b/assam.gguf", None),
        ("/a/b/c/assam.gguf", None),
        ("~/a/b/assam.gguf", None),
        ("a/../b/assam.gguf", None),
        ("a/b/assam.bin", None),
    ],
)
def test_a_name_of_three_parts_is_at_hugging_face_and_any_other_a_path(name: str, file: HubFile | None) -> None:
    assert hub_file(name) == file


def test_a_file_at_the_path_goes_before_hugging_face(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tea" / "assam").mkdir(parents=True)
    ggufs.write(tmp_path / "tea" / "assam" / "a.gguf")
    assert hub_file("tea/assam/a.gguf") is None


def test_local_is_configured_by_keys_of_its_own_or_as_any_endpoint_if_it_has_an_address() -> None:
    own = provider_of("local", {"context": "8k", "parallel": 2, "memory": "12G"}, "x")
    assert own == Local(context=8000, parallel=2, memory=12 * 10**9)
    assert isinstance(provider_of("local", {"base_url": "http://localhost:1/v1"}, "x"), Provider)
    with pytest.raises(ConfigError, match=r"x\.context: expected a whole number"):
        provider_of("local", {"context": "8.5"}, "x")
    assert nobody_is_paid(own)


def test_a_number_that_cannot_be_is_refused_when_the_workflow_is_made() -> None:
    for key in ("parallel", "context", "threads", "memory"):
        with pytest.raises(ConfigError, match=rf"providers.local.{key}: must be 1 or more"):
            stretto.Workflow("local:a.gguf", {"a": "local:a.gguf"}, providers={"local": Local(**{key: 0})})


def test_a_run_records_its_local_models_so_that_it_can_be_gone_on_with() -> None:
    flow = stretto.Workflow("local:a.gguf", {"a": "local:a.gguf"}, providers={"local": Local(context=4096)})
    recorded = record_of(flow)["providers"]["local"]
    assert recorded["kind"] == "local"
    assert provider_of("local", recorded, "x") == Local(context=4096)
