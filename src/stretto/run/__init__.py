"""Carrying a run, from what it begins with to its end."""
