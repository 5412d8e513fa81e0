"""What a run looks like to people who work with it in Python: one line, a page of HTML, a table.

Pure: from a run to text, without knowing where it is shown.
"""

from stretto.views.definition import definition_page
from stretto.views.frame import frame
from stretto.views.page import run_page, summary

__all__ = ["definition_page", "frame", "run_page", "summary"]
