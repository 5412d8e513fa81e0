"""`stretto serve` as the clients of others see it that are written in Python: each in an environment of its own.

What each does stands in `programs/`, as its documentation says; its exact versions in `pins/`, or in the bench's.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
from bench.peers.environments import PEERS, made, pinned

from stretto_server import Servers, servers, told_by

HERE = Path(__file__).parent
ERRORS = {
    "inspect_ai": "openai.NotFoundError",
    "langchain": "langchain_openai.chat_models.base.OpenAIModelNotFoundError",
    "litellm": "litellm.exceptions.NotFoundError",
    "llm": "openai.NotFoundError",
    "pydantic_ai": "pydantic_ai.exceptions.ModelNotFoundError",
}
"""What each raises for a model that there is not."""


def python_of(client: str) -> str:
    name = {"langchain": "langgraph"}.get(client, client.replace("_", "-"))
    peer = next((peer for peer in PEERS if peer.name == name), None)
    return (made(peer) if peer else pinned(HERE / "pins" / f"{name}.txt")).python


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    with servers(tmp_path_factory.mktemp("servers")) as three:
        yield three


@pytest.mark.parametrize("client", ERRORS)
def test_a_client_gets_what_it_asks_for_and_may_leave(client: str, three: Servers, tmp_path: Path) -> None:
    command = [python_of(client), str(HERE / "programs" / f"with_{client}.py")]
    alone = {"LLM_USER_PATH": str(tmp_path), "LITELLM_LOCAL_MODEL_COST_MAP": "True"}  # nothing is fetched
    told = told_by(command, three, tmp_path, alone)
    assert told["unknown"].startswith(f"{ERRORS[client]}: ")
