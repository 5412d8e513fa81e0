"""`stretto serve` as the `openai` SDK sees it, each in a process of its own."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from openai.types.responses import Response
from pydantic import BaseModel

from stretto.store.sqlite import Store
from stretto_server import KEY, TASK, Server


class Verdict(BaseModel):
    winner: str
    reasons: list[str]


class Asked(Server):
    """A server, and a client of it."""

    def __init__(self, folder: Path, *args: str) -> None:
        super().__init__(folder, *args)
        self.client = openai.OpenAI(base_url=self.url, api_key=KEY)

    def __exit__(self, *_: object) -> None:
        self.client.close()
        super().__exit__()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asked]:
    with Asked(tmp_path_factory.mktemp("server"), "-m", "sim:instant") as server:
        yield server


def test_models(server: Asked) -> None:
    assert [model.id for model in server.client.models.list()] == ["general", "sim:instant"]
    assert server.client.models.retrieve("general").owned_by == "stretto"


def test_plain(server: Asked) -> None:
    raw = server.client.chat.completions.with_raw_response.create(
        model="general", messages=[{"role": "user", "content": TASK}], temperature=0.2
    )
    done = raw.parse()
    run = Store(server.store).run(raw.headers["x-stretto-run"])
    assert done.choices[0].message.content == run.answer
    assert done.usage is not None
    assert done.usage.total_tokens == run.usage.input_tokens + run.usage.output_tokens
    assert "planned: 3" in done.choices[0].message.reasoning_content


def test_streamed(server: Asked) -> None:
    chunks = list(
        server.client.chat.completions.create(
            model="general",
            messages=[{"role": "user", "content": TASK}],
            stream=True,
            stream_options={"include_usage": True},
        )
    )
    text = "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)
    assert text == server.runs()[0].answer
    assert chunks[-1].usage is not None


def test_structured(server: Asked) -> None:
    done = server.client.chat.completions.parse(
        model="general", messages=[{"role": "user", "content": TASK}], response_format=Verdict
    )
    assert isinstance(done.choices[0].message.parsed, Verdict)


def test_responses(server: Asked) -> None:
    done = server.client.responses.create(model="general", input=TASK, instructions="Be brief.")
    Response.model_validate(json.loads(done.to_json()))
    assert done.output_text == server.runs()[0].answer
    assert done.usage is not None


def test_responses_streamed(server: Asked) -> None:
    with server.client.responses.stream(model="general", input=TASK) as stream:
        deltas = [event.delta for event in stream if event.type == "response.output_text.delta"]
        final = stream.get_final_response()
    assert "".join(deltas) == final.output_text == server.runs()[0].answer


def test_responses_structured(server: Asked) -> None:
    done = server.client.responses.parse(model="general", input=TASK, text_format=Verdict)
    assert isinstance(done.output_parsed, Verdict)


def test_a_single_call_is_plain_streamed_and_answered_from_the_records(server: Asked) -> None:
    asked: dict[str, Any] = {"model": "sim:instant", "messages": [{"role": "user", "content": "Name a tea."}]}
    first = server.client.chat.completions.create(**asked)
    chunks = server.client.chat.completions.create(stream=True, **asked)
    text = "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)
    assert first.choices[0].message.content == text
    again = server.client.chat.completions.create(extra_headers={"x-stretto-reuse": "store"}, **asked)
    assert (again.choices[0].message.content, again.stretto["reused"]) == (text, True)
    response = server.client.responses.create(model="sim:instant", input="Name a tea.")
    assert response.output_text == text


def test_errors_have_their_class(server: Asked) -> None:
    asked: dict[str, Any] = {"messages": [{"role": "user", "content": TASK}]}
    with pytest.raises(openai.NotFoundError, match="there are general"):
        server.client.chat.completions.create(model="gpt-4o", **asked)
    with pytest.raises(openai.BadRequestError, match="'n' must be 1"):
        server.client.chat.completions.create(model="general", n=3, **asked)
    with pytest.raises(openai.AuthenticationError):
        openai.OpenAI(base_url=server.url, api_key="wrong").models.list()


def test_an_error_in_mid_stream_is_raised(tmp_path: Path) -> None:
    (tmp_path / "stretto.toml").write_text('[providers.sim]\nfaults = ["401 always"]\n', encoding="utf-8")
    with Asked(tmp_path, "-m", "sim:instant") as server:
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
        assert len(server.runs()) == 3


def test_whoever_aborts_stops_the_run(tmp_path: Path) -> None:
    (tmp_path / "stretto.toml").write_text("[providers.sim]\ntokens_per_second = 1\n", encoding="utf-8")
    with Asked(tmp_path, "-m", "sim:slow") as server:
        stream = server.client.chat.completions.create(
            model="general", messages=[{"role": "user", "content": TASK}], stream=True
        )
        assert server.left(0, stream.close).status == "interrupted"
