"""What a run looks like to people who work with it in Python: one line, a page of HTML, a table.

Pure: from a run to text, without knowing where it is shown. A page loads what renders Markdown, a table does not: so
each is imported from its own module.
"""
