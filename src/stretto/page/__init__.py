"""A run for a browser, as one file or live: its data, and the modules and styles that draw them.

The modules take what a run is from a source (`source.js`) and know nothing of where that comes from: it stands in the
file (`document.py`), or a server tells what of it has changed (`site.py`, `pieces.py`).
"""
