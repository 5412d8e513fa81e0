"""What an answer's passages rest on: references read out of it while it is written, checked, and shown as footnotes."""

from stretto.references.footnotes import footnotes
from stretto.references.reader import References
from stretto.references.wrapping import Unwrapped

__all__ = ["References", "Unwrapped", "footnotes"]
