"""What a run looks like, before anybody draws it: rows, their calls on one axis of time, and which rows share a line.

Pure, and folded from events: the terminal, a notebook and a page draw these and know nothing else of a run's course.
"""
