"""Thought is taken out of replies, wherever the stream is cut."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stretto.calls import Chunk, Reasoning, Text, Transcript
from stretto.models.thinking import ThinkFilter

ANALYSIS = "<|channel|>analysis<|message|>Hm, <b>? <|x|><|end|>"
CASES = {
    "<think>Hm, < or >?</think>\n\nAssam": "Assam",
    "\n<thinking>Hm\n</thinking> Assam <think> is a tag": "Assam <think> is a tag",
    "<think>a</think><think>b</think>Assam\n": "Assam\n",
    "Hm, tea?\n</think>\n\n\nAssam": "Assam",
    "Hm, tea?</thinking>  \r\n Assam": "Assam",
    "A block is `<think>\nso\n</think>\n` and that is all.": "A block is `<think>\nso\n</think>\n` and that is all.",
    "<think>a</think>It ends with\n</think>\nas said.": "It ends with\n</think>\nas said.",
    "One writes </think> at its end.": "One writes </think> at its end.",
    " Assam < Darjeeling": " Assam < Darjeeling",
    "<thi": "<thi",
    # The tags of others, in either case.
    "[THINK]Hm[/THINK]Assam": "Assam",
    "[Think] is a word, [1] is none.": "[Think] is a word, [1] is none.",
    "<thought>Hm</thought>Assam": "Assam",
    "<Reasoning>Hm, <b>, </think></REASONING>\nAssam": "Assam",
    "<seed:think>Hm</seed:think>Assam": "Assam",
    "◁think▷Hm◁/think▷Assam": "Assam",
    "<|begin_of_thought|>Hm<|end_of_thought|>\n\nAssam": "Assam",
    "<|START_THINKING|>Hm<|END_THINKING|>Assam": "Assam",
    "<|channel>thought\nHm<channel|>Assam": "Assam",
    "<think>Hm</think><reasoning>So</reasoning>Assam": "Assam",
    # An end without a beginning: on the end of a line, at the beginning of one, between two words.
    "Hm.\n[/THINK]\nAssam": "Assam",
    "Hm.\n</thought>Assam": "Assam",
    "Hm.</think>Assam": "Assam",
    "</think>\n\nAssam": "Assam",
    "Write `</thought>`, [/THINK] or </reasoning>.": "Write `</thought>`, [/THINK] or </reasoning>.",
    "if a[0] < b[1] <= c: <div>\n</div>\n": "if a[0] < b[1] <= c: <div>\n</div>\n",
    "<thought_process>Hm</thought_process>Assam": "Assam",
    "<longcat_think>Hm</longcat_think>Assam": "Assam",
    "<antThinking>Hm</antThinking>Assam": "Assam",
    "<|thought_start|>Hm<|thought_end|>\nAssam": "Assam",
    "<think><think>Hm</think></think>Assam": "Assam",
    "<think>Hm</think>\n</thinking>\nAssam": "Assam",
    "Here is my thought process:\nHm\nHere is my response:\nAssam": "Assam",
    "Here are my reasoning steps:\nHm\n[BEGIN FINAL RESPONSE]\nAssam": "Assam",
    "Here is my thought process: Assam, what else?": "Here is my thought process: Assam, what else?",
    "Here is Assam": "Here is Assam",
    # What templates put before and behind a reply.
    "<s><think>Hm</think>Assam</s>": "Assam",
    "<bos>Assam<eos>": "Assam",
    "<s>Assam</s>": "<s>Assam</s>",
    "<|im_start|>assistant\n<think>Hm</think>Assam<|im_end|>\n": "Assam",
    "<|start_header_id|>assistant<|end_header_id|>\n\nAssam<|eot_id|><|endoftext|>": "Assam",
    "<\uff5cAssistant\uff5c><think>Hm</think>Assam<\uff5cend▁of▁sentence\uff5c>": "Assam",
    "\ufeff<think>Hm</think><|begin_of_box|>Assam<|end_of_box|>": "Assam",
    "<start_of_turn>model\nAssam<end_of_turn>\n": "Assam",
    "assistant<|channel|>analysis<|message|>Hm<|end|><|start|>assistant<|channel|>final<|message|>Assam": "Assam",
    "<|im_end|> ends it; so does <|im_end|>": "<|im_end|> ends it; so does <|im_end|>",
    "A turn ends with `<end_of_turn>`": "A turn ends with `<end_of_turn>`",
    "assistants <b>Assam</b>\n": "assistants <b>Assam</b>\n",
    "<|im_start|>assist": "assist",
    "\ufeffmodel railways": "\ufeffmodel railways",
    # Once more in the midst of a text.
    "Sure.\n<think>\nHm\n</think>\nAssam": "Sure.\n\nAssam",
    "As<think>Hm, tea?</think>sam": "Assam",
    "<think>Hm</think>Assam\n<think>or not</think> it is": "Assam\n it is",
    "Assam\n[THINK]Hm[/THINK]\n◁think▷Hm◁/think▷.": "Assam\n\n.",
    "Assam\n<think>\nnever closed": "Assam\n",
    "Assam <think>never closed": "Assam <think>never closed",
    "First <think> opens, then </think> ends it.\n<think>\nSo\n</think>\n": (
        "First <think> opens, then </think> ends it.\n<think>\nSo\n</think>\n"
    ),
    "<think> opens it, and </think> ends it": "ends it",
    "Tea.\n<think> opens it, and </think> ends it": "Tea.\n<think> opens it, and </think> ends it",
    'Say "<think>well, so</think>" then.': 'Say "<think>well, so</think>" then.',
    "Like <think>this</think>.": "Like <think>this</think>.",
    "```\n<think>\nSo\n</think>\n```\nis it.": "```\n<think>\nSo\n</think>\n```\nis it.",
    "```\na\n```\n<think>\nHm\n</think>\nAssam": "```\na\n```\n\nAssam",
    "## Ways\n<reasoning>\nAs asked.\n</reasoning>\n": "## Ways\n<reasoning>\nAs asked.\n</reasoning>\n",
    f"Sure.{ANALYSIS}<|start|>assistant<|channel|>final<|message|>Assam": "Sure.Assam",
    # Channels.
    f"{ANALYSIS}<|start|>assistant<|channel|>final<|message|>Assam < tea": "Assam < tea",
    f"<|start|>assistant{ANALYSIS}<|start|>assistant<|channel|>final<|message|>Assam<|return|>": "Assam",
    f"{ANALYSIS[len('<|channel|>') :]}<|start|>assistant<|channel|>final<|message|>Assam<|end|>\n": "Assam",
    f"{ANALYSIS}<|start|>assistant<|channel|>commentary to=functions.tea <|constrain|>json<|message|>{{}}<|call|>"
    '<|start|>assistant<|channel|>final <|constrain|>json<|message|>{"tea": 1}': '{"tea": 1}',
    "<|channel|>final<|message|>A message ends with <|end|> or <|return|>.": (
        "A message ends with <|end|> or <|return|>."
    ),
    "<|channel|>final<|message|>Assam<|end|><|start|>assistant": "Assam",
    "<|channel|>final\nAssam": "Assam",
    "<|message|>Assam": "Assam",
    f"{ANALYSIS}Assam": "Assam",
    "<|channel|>analysis<|message|>never closed": "",
    "Hm.<|end|><|start|>assistant<|channel|>final<|message|>Assam": "Assam",
    "First `<|channel|>analysis<|message|>`, then `<|start|>assistant<|channel|>final<|message|>`.": (
        "First `<|channel|>analysis<|message|>`, then `<|start|>assistant<|channel|>final<|message|>`."
    ),
    "analysisThe user wants tea. So.assistantfinalAssam": "Assam",
    "analysis\nwe think of tea.\nassistantfinal\nAssam": "Assam",
    "analysis We think of tea.assistantfinal Assam": "Assam",
    "analysisThe word stands alone": "analysisThe word stands alone",
    "analysis": "analysis",
    "<think>never closed": "",
    "<think>a</think>\n\n": "",
    "": "",
}


def heard(pieces: list[str]) -> tuple[str, str]:
    transcript, sorter = Transcript(), ThinkFilter()
    chunks: list[Chunk] = [chunk for piece in pieces for chunk in sorter.feed(piece)] + sorter.end()
    for chunk in chunks:
        transcript.take(chunk)
        assert not isinstance(chunk, Text | Reasoning) or chunk.text
    return transcript.text, "".join(c.text for c in chunks if isinstance(c, Reasoning))


@given(st.sampled_from(list(CASES)), st.data())
def test_every_split_gives_the_same_text(reply: str, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.sets(st.integers(0, len(reply)))))
    pieces = [reply[a:b] for a, b in zip([0, *cuts], [*cuts, len(reply)], strict=True)]
    assert heard(pieces)[0] == CASES[reply]


@pytest.mark.parametrize("reply", CASES)
def test_one_character_at_a_time_gives_the_same_text(reply: str) -> None:
    assert heard(list(reply))[0] == CASES[reply]


@given(st.text(alphabet="ab <>\n", max_size=40), st.data())
def test_text_without_tags_passes_unchanged(text: str, data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(text)))
    assert heard([text[:cut], text[cut:]]) == (text, "")


def test_thought_is_kept_apart() -> None:
    assert heard(["<th", "ink>Hm", "m</thi", "nk>As", "sam"]) == ("Assam", "Hmm")


@given(st.text(alphabet="a <>|[/◁▷\n", max_size=30), st.sampled_from(["<think>Hm</think>", ANALYSIS, ""]), st.data())
def test_no_thought_is_in_the_text_and_no_text_is_lost(text: str, thought: str, data: st.DataObject) -> None:
    final = "<|start|>assistant<|channel|>final<|message|>" if thought == ANALYSIS else ""
    reply = thought + final + text
    cuts = sorted(data.draw(st.sets(st.integers(0, len(reply)), max_size=6)))
    said = heard([reply[a:b] for a, b in zip([0, *cuts], [*cuts, len(reply)], strict=True)])[0]
    assert said == (text.lstrip() if thought.startswith("<think>") else text)
