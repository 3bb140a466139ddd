import os
import socket
import uuid

import pytest

from kdsweep.results.meta import RunMeta
from kdsweep.results.store import RunStore
from kdsweep.tracking import where


@pytest.fixture(autouse=True)
def environment_as_before():
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture(scope="session")
def runs_root(tmp_path_factory):
    """One root for all tests here: making MLflow's tables takes seconds."""
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="session")
def uri(runs_root):
    return where.default_uri(runs_root)


@pytest.fixture
def store(runs_root):
    name = f"run-{uuid.uuid4().hex[:8]}"
    meta = RunMeta(
        sweep_id=uuid.uuid4().hex,
        name=name,
        created="2026-11-21T10:00:00+00:00",
        objectives={"accuracy": "max", "params": "min"},
        constraints={"params": {"max": 1e6, "min": None}},
        sampler="tpe",
        seed=3,
        trials=4,
        version="0.1.0",
        packages={"torch": "2.15.0"},
        git_commit="abc123",
        host="a laptop",
    )
    text = "tracking: {uri: 'https://me:s3cret@mlflow.example'}\n"
    return RunStore.create(runs_root / name, meta=meta, sweep_text=text)


@pytest.fixture
def client(uri):
    where.prepare_environment()
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=uri, registry_uri=uri)


@pytest.fixture
def spare_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
