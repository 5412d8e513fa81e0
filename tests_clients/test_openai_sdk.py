"""`stretto serve` as the `openai` SDK sees it, each in a process of its own."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from openai.types.responses import Response
from pydantic import BaseModel

from stretto.store.sqlite import Store

STRETTO = str(Path(sys.executable).with_name("stretto"))
TASK = "Compare tea and coffee in 3 subtasks"
KEY = "sk-open-sesame"


class Verdict(BaseModel):
    winner: str
    reasons: list[str]


class Server:
    """A server on a port of its own, with its store."""

    def __init__(self, folder: Path, *args: str) -> None:
        self.store = folder / "runs.db"
        known = {name: value for name, value in os.environ.items() if name in {"PATH", "LANG", "LC_ALL"}}
        environ = {**known, "HOME": str(folder), "STRETTO_STORE": str(self.store), "SERVE_KEY": KEY}
        command = [STRETTO, "serve", "-w", "general", "--port", "0", "--api-key-env", "SERVE_KEY", *args]
        self.child = subprocess.Popen(command, cwd=folder, env=environ, stdout=subprocess.PIPE, text=True)
        assert self.child.stdout is not None
        self.url = self.child.stdout.readline().strip()
        self.client = openai.OpenAI(base_url=self.url, api_key=KEY)

    def close(self) -> None:
        self.client.close()
        self.child.terminate()
        self.child.communicate()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("server"), "-m", "sim:instant")
    yield server
    server.close()


def test_models(server: Server) -> None:
    assert [model.id for model in server.client.models.list()] == ["general"]
    assert server.client.models.retrieve("general").owned_by == "stretto"


def test_plain(server: Server) -> None:
    raw = server.client.chat.completions.with_raw_response.create(
        model="general", messages=[{"role": "user", "content": TASK}], temperature=0.2
    )
    done = raw.parse()
    run = Store(server.store).run(raw.headers["x-stretto-run"])
    assert done.choices[0].message.content == run.answer
    assert done.usage is not None
    assert done.usage.total_tokens == run.usage.input_tokens + run.usage.output_tokens
    assert "planned: 3" in done.choices[0].message.reasoning_content


def test_streamed(server: Server) -> None:
    chunks = list(
        server.client.chat.completions.create(
            model="general",
            messages=[{"role": "user", "content": TASK}],
            stream=True,
            stream_options={"include_usage": True},
        )
    )
    text = "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)
    assert text == Store(server.store).recent(1)[0].answer
    assert chunks[-1].usage is not None


def test_structured(server: Server) -> None:
    done = server.client.chat.completions.parse(
        model="general", messages=[{"role": "user", "content": TASK}], response_format=Verdict
    )
    assert isinstance(done.choices[0].message.parsed, Verdict)


def test_responses(server: Server) -> None:
    done = server.client.responses.create(model="general", input=TASK, instructions="Be brief.")
    Response.model_validate(json.loads(done.to_json()))
    assert done.output_text == Store(server.store).recent(1)[0].answer
    assert done.usage is not None


def test_responses_streamed(server: Server) -> None:
    with server.client.responses.stream(model="general", input=TASK) as stream:
        deltas = [event.delta for event in stream if event.type == "response.output_text.delta"]
        final = stream.get_final_response()
    assert "".join(deltas) == final.output_text == Store(server.store).recent(1)[0].answer


def test_responses_structured(server: Server) -> None:
    done = server.client.responses.parse(model="general", input=TASK, text_format=Verdict)
    assert isinstance(done.output_parsed, Verdict)


def test_errors_have_their_class(server: Server) -> None:
    asked: dict[str, Any] = {"messages": [{"role": "user", "content": TASK}]}
    with pytest.raises(openai.NotFoundError, match="there are general"):
        server.client.chat.completions.create(model="gpt-4o", **asked)
    with pytest.raises(openai.BadRequestError, match="'n' must be 1"):
        server.client.chat.completions.create(model="general", n=3, **asked)
    with pytest.raises(openai.AuthenticationError):
        openai.OpenAI(base_url=server.url, api_key="wrong").models.list()


def test_an_error_in_mid_stream_is_raised(tmp_path: Path) -> None:
    (tmp_path / "stretto.toml").write_text('[providers.sim]\nfaults = ["401 always"]\n', encoding="utf-8")
    server = Server(tmp_path, "-m", "sim:instant")
    try:
        with pytest.raises(openai.APIError, match="refuses the key"):
            list(
                server.client.chat.completions.create(
                    model="general", messages=[{"role": "user", "content": TASK}], stream=True
                )
            )
        with pytest.raises(openai.APIError, match="refuses the key"):
            list(server.client.responses.create(model="general", input=TASK, stream=True))
        with pytest.raises(openai.InternalServerError, match="refuses the key"):
            server.client.chat.completions.create(model="general", messages=[{"role": "user", "content": TASK}])
        assert len(Store(server.store).recent(9)) == 3
    finally:
        server.close()


def test_whoever_aborts_stops_the_run(tmp_path: Path) -> None:
    (tmp_path / "stretto.toml").write_text("[providers.sim]\ntokens_per_second = 20\n", encoding="utf-8")
    server = Server(tmp_path, "-m", "sim:slow")
    try:
        stream = server.client.chat.completions.create(
            model="general", messages=[{"role": "user", "content": TASK}], stream=True
        )
        next(iter(stream))
        stream.close()
        while (run := Store(server.store).recent(1)[0]).status == "running":
            time.sleep(0.05)
        assert run.status == "interrupted"
    finally:
        server.close()
