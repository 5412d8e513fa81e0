"""The benchmark: `uv run python -m bench [--quick] [--only NAME]` prints what Stretto costs beside a bare loop.

Every ratio comes from one run on one machine: our process and a bare one (`bench.bare`: aiohttp and nothing else) take
turns at the same job against the same endpoint (`bench.endpoint`), and medians are compared. To profile a job:
`python -m cProfile -o FILE -m bench.ours SPEC`, with a SPEC as JSON (`bench.meter.Spec`).
"""
