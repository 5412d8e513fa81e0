"""Marks of chat templates in what is asked: a text that has them would speak as another, where a server obeys them.

Servers that run a model themselves (llama.cpp, Ollama, vLLM) take `<|im_start|>system` in a file, a page or a result
for the token of that name, and what follows for the words of whoever set the model up. Sources: the chat templates of
Qwen, Llama, Mistral, Gemma, DeepSeek, Phi and gpt-oss.
"""

from stretto.ground.regex import regex

_MARK = regex(
    r"<(?=\|[\w./:-]{1,40}\|?>|[\w./-]{1,40}\|>|\uff5c[^<>\n]{1,40}\uff5c>|/?(?:start_of_turn|end_of_turn)>)"
    r"|\[(?=/?(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS|TOOL_CONTENT)\])"
)


def unmarked(text: str) -> str:
    """The text with a space in each mark of a template, so that it is read as what is written there."""
    return _MARK.sub(r"\g<0> ", text) if _may_be_marked(text) else text


def _may_be_marked(text: str) -> bool:
    """Whether a closer look is needed: single letters are found in no time, and most texts lack one of them."""
    return (
        ("|" in text and ("<|" in text or "|>" in text))
        or "\uff5c" in text
        or (">" in text and "_of_turn>" in text)
        or ("]" in text and ("INST]" in text or "TOOL" in text or "_PROMPT]" in text))
    )
