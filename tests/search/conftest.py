import pytest
from search_sweeps import CONDITIONAL, SMALL_GRID

from kdsweep.sweep_file import load


@pytest.fixture(scope="session")
def conditional(tmp_path_factory):
    path = tmp_path_factory.mktemp("sweep") / "conditional.yaml"
    path.write_text(CONDITIONAL)
    return load(path)


@pytest.fixture(scope="session")
def gridded(tmp_path_factory):
    path = tmp_path_factory.mktemp("sweep") / "gridded.yaml"
    path.write_text(SMALL_GRID)
    return load(path)
