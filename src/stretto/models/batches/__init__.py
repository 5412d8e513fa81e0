"""A provider's own Batch API: calls that can wait go out as one file, and come back within a day, for less."""
