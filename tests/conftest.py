"""What holds for every test, and what several rooms of them share."""

import sys
from pathlib import Path

import pytest


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    """The networks of the tests are so small that threads cost more than they do."""
    # Tests of what needs no torch do not wait for it to be imported.
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(1)


@pytest.fixture(scope="session")
def glyph_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache that this run of the tests fills for itself: all glyphs are rendered once."""
    return tmp_path_factory.mktemp("glyphs")
