"""GGUF files made by hand: what is read of a header, and nothing that could be loaded."""

import struct
from pathlib import Path
from typing import Any


def text(word: str) -> bytes:
    return struct.pack("<Q", len(word.encode())) + word.encode()


def value(told: Any) -> bytes:
    """A fact with its kind before it: a number, a text, or a list of either."""
    if isinstance(told, int):
        return struct.pack("<II", 4, told)
    if isinstance(told, str):
        return struct.pack("<I", 8) + text(told)
    kind = 8 if told and isinstance(told[0], str) else 4
    items = b"".join(text(each) if kind == 8 else struct.pack("<I", each) for each in told)
    return struct.pack("<IIQ", 9, kind, len(told)) + items


FACTS: dict[str, Any] = {
    "general.architecture": "llama",
    "general.name": "Tiny",
    "llama.context_length": 4096,
    "llama.block_count": 2,
    "llama.embedding_length": 64,
    "llama.attention.head_count": 4,
    "llama.attention.head_count_kv": 2,
    "tokenizer.ggml.tokens": ["a", "b", "c"],
}


def header(facts: dict[str, Any], offset: int = 0, version: int = 3) -> bytes:
    """A header with these facts, and one tensor whose data begins `offset` bytes into what follows it."""
    pairs = b"".join(text(key) + value(told) for key, told in facts.items())
    tensor = text("weights") + struct.pack("<IQIQ", 1, 32, 0, offset)
    return b"GGUF" + struct.pack("<IQQ", version, 1, len(facts)) + pairs + tensor


def write(path: Path, size: int = 10_000, **more: Any) -> bytes:
    """A file of about so many bytes, the last of them where its tensor begins."""
    content = (header({**FACTS, **more}, offset=size) + bytes(64 + size)).ljust(size, b"\1")
    path.write_bytes(content)
    return content
