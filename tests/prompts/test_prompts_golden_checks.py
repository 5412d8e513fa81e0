"""The prompts of checks and ensembles as they are sent; renewed and reviewed like those in `test_prompts_golden`."""

import os

import pytest

from asked import by_part, done, sent, verdict
from places import GOLDEN
from stretto import Role, Subtask
from stretto.types import Request

SENT = GOLDEN / "checks"
HALLS = Subtask("halls", "research", "Compare the halls for 800 guests. Return a table. Leave out prices.")
COST = Subtask("cost", "reckon", "Add up a week for 800 guests. Return one total a city. Leave out travel.", ("halls",))


def requests() -> dict[str, Request]:
    needed = {HALLS: "Lund has 3 halls, Trieste 5."}
    fails = verdict("fails", "Trieste has no total.")
    replies = ["Lund: 412,000 euros.", "Lund: 412,000 euros. Trieste: 398,000 euros."]
    says = by_part(reply=replies, merge=replies[1], check=fails, retry=replies[1], second_check=verdict("holds"))
    role = Role("sim:w", samples=2, check="Is there a total for each city?")
    written = done(role, says, subtask=COST, needed=needed)[1]
    says = by_part(reply=list(replies), merge='{"why": "It has both.", "best": 2}')
    chosen = done(Role("sim:w", samples=2, merge="best"), says, subtask=COST)[1]
    says = by_part(work=replies[0], check=verdict("holds"))
    plain = done(Role("sim:w", check=Role("sim:c")), says, subtask=HALLS)[1]
    found = {"merge": written[1], "check": written[2], "retry": written[3], "best": chosen[1], "plain-check": plain[1]}
    return {name: asked[0].request for name, asked in found.items()}


@pytest.mark.parametrize("name", requests())
def test_a_prompt_is_sent_as_it_was_reviewed(name: str) -> None:
    request, path = requests()[name], SENT / f"{name}.txt"
    if os.environ.get("GOLDEN") == "renew":
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(sent(request), encoding="utf-8")
    assert path.read_text(encoding="utf-8") == sent(request)


def test_no_golden_prompt_is_left_over() -> None:
    assert sorted(path.stem for path in SENT.iterdir()) == sorted(requests())
