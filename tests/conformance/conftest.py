from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(scope="module", autouse=True)
def _own_cache(glyph_folder: Path) -> Iterator[None]:
    """What a data set renders once, this run of the tests renders for itself."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KDSWEEP_CACHE", str(glyph_folder))
        yield
