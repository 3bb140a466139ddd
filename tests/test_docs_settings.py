"""Every key is documented, with the default and the sizes that it really has."""

import re
from pathlib import Path

import pytest
import torch
from pydantic import TypeAdapter

from kdsweep import catalog
from kdsweep.data.partition import Shares
from kdsweep.data.treatment import ImageSettings
from kdsweep.data.views import Augment
from kdsweep.models.size import count_params
from kdsweep.results.meta import RunMeta
from kdsweep.results.record import EpochMetrics, TrialResult
from kdsweep.spec import (
    ClusterSpec,
    Component,
    SearchSpec,
    SweepSpec,
    TeacherSpec,
    TrackingSpec,
    TrainSpec,
    TrialSpec,
)
from kdsweep.spec.trial import Adam, AdamW, Constant, Cosine, Sgd, Steps
from kdsweep.sweep_file.read import parse_yaml

DOCS = Path(__file__).parent.parent / "docs"
TEXTS = {path.name: path.read_text(encoding="utf-8") for path in DOCS.glob("*.md")}


def table(document, *headings):
    """First and second cell of every row of the first table under the headings."""
    text = TEXTS[document]
    for heading in headings:
        text = text.split(f"\n{heading}\n", 1)[1]
    text = re.split(r"^#+ ", text, maxsplit=1, flags=re.M)[0]
    rows = re.search(r"^\|.*\n\|[-|]+\n((?:\|.*\n)*)", text, re.M)
    cells = [row.split("|") for row in (rows[1].splitlines() if rows else [])]
    return {row[1].strip(" `"): row[2].strip().strip("`") for row in cells}


def settings_of(kind, name):
    return catalog.find(kind, name).Params


@pytest.mark.parametrize(
    ("settings", "where"),
    [
        (SweepSpec, ("sweep_files.md", "## The file")),
        (TrialSpec, ("sweep_files.md", "## `trial`")),
        (TeacherSpec, ("sweep_files.md", "### `teacher`")),
        (TrainSpec, ("sweep_files.md", "### `train`")),
        (SearchSpec, ("sweep_files.md", "## `search`")),
        (ClusterSpec, ("sweep_files.md", "## `cluster`")),
        (TrackingSpec, ("sweep_files.md", "## `tracking`")),
        (Augment, ("data_and_models.md", "### Views")),
        *((settings_of("strategy", n), ("strategies.md", f"## `{n}`"))
          for n in catalog.names("strategy")),
        *((settings_of("model", n), ("data_and_models.md", "## Models", f"### `{n}`"))
          for n in catalog.names("model")),
    ],
    ids=lambda value: value.__qualname__ if isinstance(value, type) else "",
)  # fmt: skip
def test_every_key_is_documented_with_its_default(settings, where):
    documented = table(*where)
    assert set(documented) == set(settings.model_fields)
    for key, shown in documented.items():
        assert_default(settings.model_fields[key], shown, key)


def assert_default(field, shown, key):
    if field.is_required():
        assert shown == "required", key
        return
    value = parse_yaml(f"value: {shown}")[0]["value"]
    read = TypeAdapter(field.rebuild_annotation()).validate_python
    assert read(value) == read(field.get_default(call_default_factory=True)), key


@pytest.mark.parametrize("name", catalog.names("data"))
def test_every_key_of_a_data_set_is_documented_with_its_default(name):
    of_all = table("data_and_models.md", "### Settings of all data sets")
    shared = ImageSettings.model_fields | Shares.model_fields
    assert set(of_all) == set(shared) | {"augment"}
    for key in shared:
        assert_default(shared[key], of_all[key], key)
    own = table("data_and_models.md", "## Data", f"### `{name}`")
    fields = settings_of("data", name).model_fields
    assert set(own) == set(fields) - set(of_all)
    for key, shown in own.items():
        assert_default(fields[key], shown, key)


@pytest.mark.parametrize("settings", [Sgd, Adam, AdamW, Constant, Cosine, Steps])
def test_optimizers_and_schedules_are_documented_with_their_defaults(settings):
    made = settings()
    (row,) = re.findall(rf"^\| `{made.name}` \| (`.+?`) \|", TEXTS["sweep_files.md"], re.M)
    shown = parse_yaml("{" + row.replace("`", "") + "}")[0]
    assert set(shown) == set(settings.model_fields) - {"name"}
    assert settings(**shown) == made


def test_the_sizes_are_those_of_the_models():
    rows = re.findall(
        r"^\| `(\{name: .+?\})` \| (\d+)x(\d+)x(\d+), (\d+) \| ([\d,]+) \|$",
        TEXTS["data_and_models.md"],
        re.M,
    )
    assert len(rows) > 10
    for component, *shape, num_classes, params in rows:
        named = Component(**parse_yaml(component)[0])
        with torch.device("meta"):
            size = tuple(map(int, shape))
            network = catalog.model(named, shape=size, num_classes=int(num_classes))
        assert count_params(network) == int(params.replace(",", "")), component


@pytest.mark.parametrize(
    ("heading", "record"), [("### `result.json`", TrialResult), ("### `run.json`", RunMeta)]
)
def test_every_field_of_a_record_is_documented(heading, record):
    text = TEXTS["runs.md"].split(f"\n{heading}\n", 1)[1].split("\n#", 1)[0]
    named = {name for row in re.findall(r"^\| (.+?) \|", text, re.M)
             for name in re.findall(r"`(\w+)`", row)}  # fmt: skip
    assert named == set(record.model_fields)
    if record is TrialResult:
        (row,) = re.findall(r"^\| `epochs` \| (.+) \|$", text, re.M)
        assert set(re.findall(r"`(\w+)`", row)) == set(EpochMetrics.model_fields)
