"""Where runs are kept: an append-only log of events and the records of calls, in one SQLite file."""
