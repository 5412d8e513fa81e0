"""The versions of the clients in tests_clients/ are exact, name no address, and stand in docs/how-to/serve.md."""

import json
import tomllib

import pytest

from places import ROOT

NODE = ROOT / "tests_clients" / "node"
PAGE = (ROOT / "docs" / "how-to" / "serve.md").read_text(encoding="utf-8")
PINS = [*(ROOT / "tests_clients" / "pins").glob("*.txt"), *(ROOT / "bench" / "peers" / "pins").glob("*.txt")]
OURS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["uv"]["constraint-dependencies"]


@pytest.mark.parametrize("client", ["inspect-ai", "langchain-openai", "litellm", "llm", "openai", "pydantic-ai-slim"])
def test_the_page_names_the_version_of_a_client_in_python(client: str) -> None:
    lines = OURS if client == "openai" else [line for path in PINS for line in path.read_text().splitlines()]
    (version,) = {line.partition("==")[2] for line in lines if line.startswith(f"{client}==")}
    assert version in PAGE


def test_the_page_names_the_versions_of_clients_for_node_which_are_exact_and_have_no_address() -> None:
    wanted = json.loads((NODE / "package.json").read_text())["dependencies"]
    packages = json.loads((NODE / "package-lock.json").read_text())["packages"]
    assert {name: packages[f"node_modules/{name}"]["version"] for name in wanted} == wanted
    assert not [name for name, package in packages.items() if "resolved" in package]
    assert all(version in PAGE for name, version in wanted.items() if name != "zod")
