"""Many tasks out of one file, each a run of its own, and a line for each in another file."""
