"""What a store promises, of a file."""

from pathlib import Path

import pytest

from contract import *  # noqa: F403 - its tests
from stretto.store.locations import Location


@pytest.fixture
def where(tmp_path: Path) -> Location:
    return tmp_path / "s.db"
