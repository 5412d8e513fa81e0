"""Everyday tasks through every workflow, on a real model, beside the notebook's own way and one direct call.

`uv run python -m bench.gauntlet --model llamacpp:NAME` (with `LLAMACPP_BASE_URL`), or any `provider:model`.
"""
