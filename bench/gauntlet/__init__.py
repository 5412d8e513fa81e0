"""Everyday tasks through every workflow, on a real model, beside the notebook's own way and one direct call.

`uv run --group local python -m bench.gauntlet --model FILE.gguf`, or `--model provider:model`, whose server runs.
"""
