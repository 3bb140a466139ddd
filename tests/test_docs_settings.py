"""Every key is documented, with the default and the sizes that it really has."""

import re
from pathlib import Path

import pytest
import torch
from pydantic import TypeAdapter

from kdsweep import catalog
from kdsweep.batch import Tokens
from kdsweep.data.partition import Shares
from kdsweep.data.text.settings import TextSettings, TokenizerSettings
from kdsweep.data.treatment import ImageSettings
from kdsweep.data.views import Augment
from kdsweep.models.embedding import embedding
from kdsweep.models.size import count_params
from kdsweep.models.stages import stages
from kdsweep.results.meta import RunMeta
from kdsweep.results.record import EpochMetrics, TrialResult
from kdsweep.spec import (
    ClusterSpec,
    Component,
    SearchSpec,
    StorageSpec,
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
        (StorageSpec, ("sweep_files.md", "## `storage`")),
        (TrackingSpec, ("sweep_files.md", "## `tracking`")),
        (Augment, ("data.md", "### Views")),
        (TokenizerSettings, ("data.md", "### Tokenizer")),
        *((settings_of("strategy", n), ("strategy_reference.md", f"### `{n}`"))
          for n in catalog.names("strategy")),
        *((settings_of("model", n), ("models.md", f"### `{n}`"))
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
    params = settings_of("data", name)
    shared = table("data.md", "### Settings of all data sets")
    if issubclass(params, ImageSettings):
        shared |= table("data.md", "### Settings of images")
    own = table("data.md", f"### `{name}`")
    fields = params.model_fields
    assert set(own) == set(fields) - set(shared)
    for key, shown in own.items():
        assert_default(fields[key], shown, key)


def test_the_settings_of_all_data_sets_are_documented_with_their_defaults():
    of_all = table("data.md", "### Settings of all data sets")
    of_images = table("data.md", "### Settings of images")
    assert set(of_all) == set(Shares.model_fields) | {"limit"}
    assert set(of_images) | {"limit"} == set(ImageSettings.model_fields) | {"augment"}
    fields = ImageSettings.model_fields | Shares.model_fields
    for key, shown in (of_all | of_images).items():
        if key != "augment":
            assert_default(fields[key], shown, key)
    assert_default(TextSettings.model_fields["limit"], of_all["limit"], "limit")


PAGES = {
    "strategy": ("strategies.md", "## Which one", "strategy_reference.md"),
    "model": ("models.md", "# Models", "models.md"),
    "data": ("data.md", "# Data", "data.md"),
}


@pytest.mark.parametrize("kind", PAGES)
def test_there_is_a_table_of_all_that_link_to_their_sections(kind):
    page, heading, sections = PAGES[kind]
    file = "" if sections == page else sections
    links = {f"[`{name}`]({file}#{name})" for name in catalog.names(kind)}
    assert {f"[`{first}" for first in table_under(page, heading)} == links


def table_under(page, heading):
    """As ``table``, where the heading may be the page's first line."""
    text = f"\n{TEXTS[page]}".split(f"\n{heading}\n", 1)[1]
    rows = re.search(r"^\|.*\n\|[-|]+\n((?:\|.*\n)*)", text, re.M)[1].splitlines()
    return {row.split("|")[1].strip(" [`"): row.split("|")[2].strip() for row in rows}


def test_the_table_says_what_each_strategy_asks_of_its_teacher():
    for first, asked in table_under("strategies.md", "## Which one").items():
        needs = catalog.find("strategy", first.split("`")[0]).needs
        read = "features" if needs.features else "logits"
        expected = (read if needs.stored else "live") if needs.teacher else "none"
        assert asked == expected, first


@pytest.mark.parametrize("name", sorted(set(catalog.names("strategy")) - {"none"}))
def test_the_section_of_a_strategy_has_its_formula_and_its_source(name):
    section = TEXTS["strategy_reference.md"].split(f"\n### `{name}`\n", 1)[1].split("\n#", 1)[0]
    assert re.search(r"^\n    \S", section), "opens with its formula"
    papers = re.findall(r"arXiv:\d+\.\d+", catalog.find("strategy", name).source)
    assert papers
    assert [paper for paper in papers if paper not in section] == []


@pytest.mark.parametrize("settings", [Sgd, Adam, AdamW, Constant, Cosine, Steps])
def test_optimizers_and_schedules_are_documented_with_their_defaults(settings):
    made = settings()
    (row,) = re.findall(rf"^\| `{made.name}` \| (`.+?`) \|", TEXTS["sweep_files.md"], re.M)
    shown = parse_yaml("{" + row.replace("`", "") + "}")[0]
    assert set(shown) == set(settings.model_fields) - {"name"}
    assert settings(**shown) == made


def test_the_sizes_are_those_of_the_models():
    rows = re.findall(
        r"^\| `(\{name: .+?\})` \| (\d+)(x| of )([\dx]+), (\d+) \| ([\d,]+) \|$",
        TEXTS["models.md"],
        re.M,
    )
    assert {parse_yaml(row[0])[0]["name"] for row in rows} == set(catalog.names("model"))
    for component, first, between, rest, num_classes, params in rows:
        named = Component(**parse_yaml(component)[0])
        sizes = int(first), *map(int, rest.split("x"))
        shape = Tokens(*sizes) if between == " of " else sizes
        with torch.device("meta"):
            network = catalog.model(named, shape=shape, num_classes=int(num_classes))
        assert count_params(network) == int(params.replace(",", "")), component


def test_the_layers_are_those_of_the_models():
    rows = re.findall(r"^\| `(\w+)` \| (.+?) \| `(.+?)` \|$", TEXTS["models.md"], re.M)
    found = {name: (paths, path) for name, paths, path in rows if name in catalog.names("model")}
    assert set(found) == set(catalog.names("model"))
    for name, (paths, path) in found.items():
        if catalog.find("model", name).reads == "tokens":
            shape, inputs = Tokens(16, 40), torch.ones(2, 16, dtype=torch.int64)
        else:
            side = 64 if name == "torchvision" else 32
            shape, inputs = (3, side, side), torch.zeros(2, 3, side, side)
        network = catalog.model(Component(name=name), shape=shape, num_classes=10)
        assert tuple(re.findall(r"`(.+?)`", paths)) == stages(network, inputs), name
        assert path == embedding(network, inputs), name


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
