"""A run as one file for a browser: its data, and the modules and styles that draw them.

The modules take what a run is from a source (`source.js`) and know nothing of where that comes from, so that a server
can feed the same ones while the run goes on.
"""
