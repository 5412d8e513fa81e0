"""Images that a task comes with: read, kept once, sent as such, and refused with a remedy."""

import asyncio
import base64
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from endpoint import Endpoint, asking, call
from endpoint import error as refusal
from loops import on_loop
from stretto import Input, Message, Provider, Role, Run, Simulator, Workflow, read_inputs
from stretto.calls import Call, Model, fingerprint
from stretto.errors import ConfigError, RequestError, TaskError
from stretto.head import checked_inputs, head_of, recorded, taken_apart
from stretto.inputs import gather
from stretto.models.dialect import Dialect
from stretto.plan.shares import shares
from stretto.policies.estimate import tokens_asked
from stretto.server.body import read_body
from stretto.types import Request
from stretto.types.images import SIZE, image_input

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256))
KINDS = {
    "png": PNG,
    "jpeg": b"\xff\xd8\xff\xe0" + bytes(9),
    "gif": b"GIF89a" + bytes(9),
    "webp": b"RIFF\x09\0\0\0WEBPVP8 ",
}
SHOT = image_input("shot.png", PNG)
TEA = Input("tea.md", "Green tea is steamed.")
PLAIN = Request("sim:x", (Message("system", "Be polite."), Message("user", "What is on it?")))
SIM = {"sim": Simulator(ttft=0, tokens_per_second=100_000, length=20)}


def flow(**settings: Any) -> Workflow:
    return Workflow("sim:o", {"look": "sim:w"}, "sim:s", providers=SIM, **settings)


async def finished(stream: Any) -> Run:
    async with stream as events:
        run: Run = await events.finished()
    return run


@pytest.mark.parametrize("kind", KINDS)
def test_an_image_that_is_named_is_an_input(tmp_path: Path, kind: str) -> None:
    (tmp_path / "x").write_bytes(KINDS[kind])
    (found,) = read_inputs(tmp_path / "x")
    assert found.media == f"image/{kind}"
    assert base64.b64decode(found.data) == KINDS[kind]
    assert found.text == ""
    assert checked_inputs([found]) == (found,)


def test_of_a_folder_images_are_left_out_and_a_glob_of_images_means_them(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(PNG)
    (tmp_path / "b.md").write_text("text")
    (folder,) = gather([str(tmp_path)])
    assert len(folder.inputs) == 1
    assert "a.png: left out: an image (png), which is sent if its file is named itself" in folder.remarks[0]
    (pictures,) = gather([f"{tmp_path}/*.PNG".replace("PNG", "png")])
    assert [each.media for each in pictures.inputs] == ["image/png"]
    assert pictures.size == 0


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (Input("a", data="%%"), "no base64"),
        (Input("a", data=base64.b64encode(b"text").decode()), "no image that models take"),
        (replace(SHOT, media="image/gif"), "the media type of its data: image/png"),
        (replace(SHOT, text="words"), "an image has no text"),
        (Input("a", media="image/png"), "there is nothing in it"),
        (image_input("a", PNG), None),
    ],
)
def test_what_is_no_image_is_an_error_at_the_door(wrong: Input, message: str | None) -> None:
    if message is None:
        assert checked_inputs([wrong]) == (wrong,)
        return
    with pytest.raises(TaskError, match=message):
        flow().stream("What is it?", inputs=[wrong])


def test_too_large_and_too_many_are_refused() -> None:
    with pytest.raises(TaskError, match=r"big: an image of more than 5,000,000 bytes"):
        image_input("big", PNG + bytes(5_000_000))
    with pytest.raises(TaskError, match="21 images"):
        flow().stream("What is it?", inputs=[SHOT] * 21)


def test_the_head_says_where_an_image_belongs_and_another_image_is_another_request() -> None:
    head = head_of([TEA, SHOT, image_input("two.png", PNG + b"2")])
    assert head
    assert '<input id="i2" name="shot.png">\n(an image, attached as number 1 of 2; image/png, ' in head.text
    assert SHOT.data not in head.text
    assert len(head.images) == 2
    other = head_of([TEA, image_input("shot.png", PNG + b"!"), image_input("two.png", PNG + b"2")])
    assert fingerprint(replace(PLAIN, head=head)) != fingerprint(replace(PLAIN, head=other))


def test_a_record_has_no_image_and_the_same_identity_and_size() -> None:
    asked = replace(PLAIN, head=head_of([TEA, SHOT]))
    kept = msgspec.json.decode(msgspec.json.encode(recorded(asked)), type=Request)
    assert fingerprint(kept) == fingerprint(asked)
    assert tokens_asked(kept) == tokens_asked(asked) > tokens_asked(PLAIN) + SIZE // 3
    assert SHOT.data[:40] not in msgspec.json.encode(kept).decode()


def test_images_go_before_what_the_first_user_message_says() -> None:
    asked = replace(PLAIN, head=head_of([TEA, SHOT]))
    system, user = Dialect("schema").body("x", replace(call(), request=asked))["messages"]
    assert isinstance(system["content"], str)
    image, text = user["content"]
    assert image == {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{SHOT.data}"}}
    assert text == {"type": "text", "text": "What is on it?"}


def test_a_schema_in_the_prompt_stands_in_the_text_beside_the_image() -> None:
    asked = replace(PLAIN, head=head_of([SHOT]), schema={"type": "object"})
    *_, user = Dialect("prompt").body("x", replace(call(), request=asked))["messages"]
    assert "JSON schema" in user["content"][-1]["text"]


def test_over_http_the_simulator_reads_the_request_it_would_read_in_the_process() -> None:
    asked = replace(PLAIN, head=head_of([TEA, SHOT]))
    body = Dialect("schema").body("sim:x", replace(call(), request=asked))
    read = read_body(msgspec.json.encode(body)).request
    assert fingerprint(read) == fingerprint(asked)
    assert (read.head, read.messages) == (asked.head, asked.messages)
    assert taken_apart(PLAIN.messages) == (None, PLAIN.messages)


def test_a_run_has_them_once_and_a_rerun_takes_them_over(tmp_path: Path) -> None:
    ours = flow(store=tmp_path / "s.db")
    run = asyncio.run(finished(ours.stream("Look in exactly 3 subtasks", inputs=[TEA, SHOT])))
    assert run.basis.inputs == (TEA, SHOT)
    assert run.coverage.complete
    again = asyncio.run(finished(ours.rerun(run.id)))
    assert again.basis.inputs == (TEA, SHOT)
    assert all(record.finished and record.finished.reused for record in again.calls)
    assert asyncio.run(finished(ours.replay(run.id))).answer == run.answer


def test_a_share_counts_an_image_and_its_head_carries_no_other() -> None:
    inputs = [TEA, SHOT, image_input("two.png", PNG + b"2")]
    assert shares(inputs, 2200) == (("i1", "i2"), ("i3",))
    head = head_of(inputs, ("i3",))
    assert head
    assert head.images == (f"data:image/png;base64,{inputs[2].data}",)
    with pytest.raises(TaskError, match="has the lines 1 to 0"):
        head_of(inputs, ("i2:1-2",))


def test_a_provider_said_to_take_none_is_refused_at_the_door_unless_a_fallback_may(tmp_path: Path) -> None:
    blind = Provider("http://127.0.0.1:9/v1", images=False)

    def seen(*models: str) -> Workflow:
        providers: dict[str, Any] = {**SIM, "blind": blind}
        return Workflow("sim:o", {"look": Role(models)}, "sim:s", providers=providers, store=tmp_path / "s.db")

    with pytest.raises(ConfigError, match=r'workers\."look"\.model: .*provider \'blind\' takes none'):
        asyncio.run(finished(seen("blind:x").stream("What is it?", inputs=[SHOT])))
    run = asyncio.run(finished(seen("blind:x", "sim:w").stream("Look in exactly 3 subtasks", inputs=[SHOT])))
    assert run.coverage.complete
    assert not run.coverage.missing


@pytest.mark.parametrize(
    ("said", "told"),
    [("This model does not support image input.", "name a model that takes them"), ("model is on holiday", "holiday")],
)
def test_a_refusal_of_images_is_told_with_a_remedy(said: str, told: str) -> None:
    @on_loop
    async def main() -> None:
        async with Endpoint(refusal("400 Bad Request", said)) as server, asking(server) as model:
            with pytest.raises(RequestError, match=told) as error:
                await heard(model, replace(call(), request=replace(PLAIN, head=head_of([SHOT]))))
            assert ("comes with images" in str(error.value)) == ("image" in said)
            assert error.value.status == 400
            assert server.requests[0].body["messages"][1]["content"][0]["type"] == "image_url"

    main()


@on_loop
async def test_a_provider_said_to_take_none_is_sent_nothing() -> None:
    async with Endpoint(b"") as server, asking(server, images=False) as model:
        with pytest.raises(RequestError, match="images = false"):
            await heard(model, replace(call(), request=replace(PLAIN, head=head_of([SHOT]))))
        assert not server.requests


async def heard(model: Model, asked: Call) -> None:
    async for _ in model.stream(asked):
        pass
