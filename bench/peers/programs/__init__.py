"""One page for each peer: the job as its documentation recommends to write it, asynchronous, with its own defaults.

A page needs nothing but the standard library, `measure`, `prompts` and its peer. `python -m bench.peers.programs.NAME
SPEC`, a `Spec` as JSON, prints what came of it.
"""
