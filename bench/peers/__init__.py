"""The bench against peers: `uv run python -m bench.peers` runs one job with Stretto and with what others recommend.

Each peer lives in an environment of its own with exact versions (`pins/`), and is written as its documentation says
(`programs/`, a page each). All of them meet the same local endpoint (`endpoint`), which counts what it has seen; the
table says what each came to. Nothing but loopback and, at set-up, the package index is spoken to.
"""
