"""Passwords that a person keeps in the environment, and where they are not to be found."""

import socket

import pytest
from finished_sweeps import DIGITS, finished, kdsweep

pytestmark = pytest.mark.ray

SECRETS = {
    "MLFLOW_TRACKING_USERNAME": "somebody-in-particular",
    "MLFLOW_TRACKING_PASSWORD": "correct-horse-battery",
    "RAY_AUTH_TOKEN": "0123456789abcdef0123456789abcdef",
}


def test_a_sweep_writes_down_none_of_them(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    text = DIGITS.replace("trials: 6, seed: 6, batch: 2", "trials: 1, seed: 6")
    text += f"tracking: {{uri: 'http://127.0.0.1:{port}'}}\n"
    (tmp_path / "digits.yaml").write_text(text)
    done = finished(kdsweep("run", "digits.yaml", cwd=tmp_path, **SECRETS))
    said = done.stdout + done.stderr
    assert f"MLflow at http://127.0.0.1:{port} does not take results" in said
    written = [path for path in (tmp_path / "runs").rglob("*") if path.is_file()]
    assert {"run.json", "sweep.yaml", "result.json", "driver.log"} <= {p.name for p in written}
    for secret in SECRETS.values():
        assert secret not in said
        assert [path for path in written if secret.encode() in path.read_bytes()] == []
