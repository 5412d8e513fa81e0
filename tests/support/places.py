"""Where things lie in a checkout."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
SUPPORT = ROOT / "tests" / "support"  # what a child process needs to import the helpers, too
GOLDEN = ROOT / "tests" / "golden"
