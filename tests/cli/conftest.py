import pytest
from small_runs import SWEEP


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.yaml").write_text(SWEEP)
    return tmp_path


@pytest.fixture
def no_ray(monkeypatch):
    """Whoever goes on to a sweep after all fails at once."""
    import kdsweep.search.run as search_run

    def started(*given, **named):
        raise AssertionError("Ray would have been started")

    monkeypatch.setattr(search_run, "run", started)
    monkeypatch.setattr(search_run, "connected", started)
