"""cluster.yaml is what Ray's cluster launcher takes, and lets nobody in."""

import re
from pathlib import Path

import pytest
from jsonschema import ValidationError
from ruamel.yaml import YAML

from kdsweep.cli import app

PATH = Path(__file__).parent.parent / "cluster.yaml"
TEXT = PATH.read_text(encoding="utf-8")


def checked(text):
    """The file with the launcher's defaults filled in, after its own checks."""
    from ray.autoscaler._private.util import prepare_config, validate_config

    whole = prepare_config(YAML(typ="safe").load(text))
    validate_config(whole)
    return whole


def test_rays_launcher_takes_it():
    pytest.importorskip("boto3")
    whole = checked(TEXT)
    nodes = whole["available_node_types"]
    head, worker = nodes["head"], nodes["gpu_worker"]
    assert whole["head_node_type"] == "head"
    # No lane on the head, which must not go away with a spot machine.
    assert head["resources"]["CPU"] == 0
    assert "InstanceMarketOptions" not in head["node_config"]
    assert (worker["min_workers"], worker["max_workers"]) == (0, whole["max_workers"])
    assert worker["node_config"]["InstanceMarketOptions"] == {"MarketType": "spot"}
    assert whole["idle_timeout_minutes"] <= 10


@pytest.mark.parametrize(
    ("good", "wrong"),
    [
        ("idle_timeout_minutes: 5", "idle_timeout_minutes: five"),
        ("max_workers: 8", "max_worker: 8"),
        ("head_node_type: head", "head_node_type: [head]"),
    ],
)
def test_the_check_finds_mistakes(good, wrong):
    assert TEXT.count(good) >= 1
    with pytest.raises((ValidationError, ValueError)):
        checked(TEXT.replace(good, wrong, 1))


def test_nothing_listens_to_the_world_and_nodes_ask_for_a_token():
    config = YAML(typ="safe").load(TEXT)
    starts = [*config["head_start_ray_commands"], *config["worker_start_ray_commands"]]
    ray_start = [line for line in starts if "ray start" in line]
    assert len(ray_start) == 2
    assert all("RAY_AUTH_MODE=token " in line for line in ray_start)
    assert "--dashboard-host=127.0.0.1" in ray_start[0]
    assert "0.0.0.0" not in TEXT
    assert any(path.endswith("auth_token") for path in config["file_mounts"])


def test_there_is_nothing_secret_in_it():
    assert re.findall(r"AKIA[0-9A-Z]{16}|BEGIN [A-Z ]*PRIVATE KEY|(?i:password|secret)", TEXT) == []
    # A token, a key or a hash would be a long word; the names of commands and files are short.
    assert re.findall(r"\b[0-9a-fA-F]{24,}\b", TEXT) == []


def test_its_commands_are_those_that_there_are():
    import typer

    named = set(re.findall(r"kdsweep (submit|run|ui|status|stop|logs|\w+) ", TEXT)) - {"is", "on"}
    assert {"submit", "ui"} <= named <= set(typer.main.get_command(app).commands)
