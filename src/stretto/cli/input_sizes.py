"""How many inputs a task comes with, and how large they are."""

from collections.abc import Sequence

from stretto.policies.estimate import BYTES, tokens_in
from stretto.types import Input
from stretto.types.images import SIZE


def sizes(inputs: Sequence[Input]) -> str:
    """How many inputs, and how large they are; tokens as the budget counts them, rather more than fewer."""
    texts, images = [each.text for each in inputs if not each.data], sum(bool(each.data) for each in inputs)
    told = [f"{len(texts):,} files"] if len(texts) > 1 else []
    told += [_bytes(sum(len(text.encode()) for text in texts))] if texts else []
    told += ["an image" if images == 1 else f"{images} images"] if images else []
    return ", ".join([*told, f"about {sum(map(tokens_in, texts)) + images * SIZE // BYTES:,} tokens"])


def _bytes(size: int) -> str:
    return f"{size:,} bytes" if size < 1000 else f"{size / 1000:,.0f} kB" if size < 1e6 else f"{size / 1e6:,.1f} MB"
