from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from kdsweep.data.glyph_cache import open_glyphs


@pytest.fixture(scope="session")
def glyph_records(glyph_folder: Path) -> NDArray[np.void]:
    """All glyphs, rendered once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KDSWEEP_CACHE", str(glyph_folder))
        found = open_glyphs()
    return found
