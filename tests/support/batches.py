"""What tests of batches have in common: a simulated workflow as a file, and the lines that came out."""

import json
from typing import Any

from terminal import Terminal

WORKFLOW = """
[orchestrator]
model = "sim:o"
[workers.w]
model = "sim:w"
[synthesizer]
model = "sim:s"
[providers.sim]
ttft = 0
tokens_per_second = 1e6
faults = {faults}
"""
PRICES = "".join(f'[prices."sim:{name}"]\ninput = 10\noutput = 10\n' for name in "ows")


def came_out(terminal: Terminal, name: str = "out.jsonl") -> dict[str, dict[str, Any]]:
    found = [json.loads(line) for line in (terminal.folder / name).read_text().splitlines()]
    by_id = {str(line.get("custom_id", line["id"])): line for line in found}
    assert len(by_id) == len(found)
    return by_id
