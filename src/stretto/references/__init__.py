"""What an answer's passages rest on: references read out of it while it is written, checked, and shown as footnotes."""

from stretto.references.footnotes import footnotes
from stretto.references.reader import References

__all__ = ["References", "footnotes"]
