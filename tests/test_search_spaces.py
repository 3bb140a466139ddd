"""The sweeps that are shipped: each is good as `kdsweep check` sees it, and says what it is for."""

import re
import sys
from functools import cache
from pathlib import Path
from typing import get_args

import pytest
import torch

from kdsweep import catalog, cli
from kdsweep.batch import Batch
from kdsweep.data.base import DataInfo
from kdsweep.errors import SpecError
from kdsweep.models.size import count_params
from kdsweep.search.starts import starts
from kdsweep.spec import Component
from kdsweep.strategies.base import Seen
from kdsweep.sweep_file import at, load_for_elsewhere, plan
from kdsweep.train.needs import needs_of
from kdsweep.train.probe import probe
from kdsweep.train.teacher import Source, Teacher

FOLDER = Path(__file__).parent.parent / "search_spaces"
FILES = sorted(FOLDER.glob("*.yaml"))
PUBLISHED = [path for path in FILES if path.name.startswith(("cifar", "imagenet", "glue"))]
every_file = pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)

# Parameters of the networks in the table of arXiv:1910.10699, in millions, 100 classes.
MILLIONS = {
    "wrn40-2": 2.255, "wrn16-2": 0.703, "r56": 0.862, "r20": 0.278, "r110": 1.737, "r32": 0.473,
    "r32x4": 7.434, "r8x4": 1.234, "vgg13": 9.462, "vgg8": 3.965, "shufflenet2": 1.356,
}  # fmt: skip


def card(path):
    """The run card's parts by name: the comment that the file opens with, without the #."""
    head = re.match(r"(?:#.*\n)+", path.read_text(encoding="utf-8"))
    assert head, "the file must open with its run card"
    text = re.sub(r"^# ?", "", head[0], flags=re.M)
    parts = re.split(r"^(\w[\w ]*):", text, flags=re.M)[1:]
    return dict(zip(parts[::2], map(str.strip, parts[1::2]), strict=True))


@cache
def loaded(name):
    """A sweep by its file's name."""
    return load_for_elsewhere(FOLDER / f"{name}.yaml")


def members(sweep, path):
    """What the space puts at a path, one assignment for each way, ranges at both ends."""
    return [assignment.changes for assignment in sweep.space.under(path).grid(2)]


def test_there_are_files():
    assert {"digits", "cifar10_resnet110", "cifar100", "imagenet_resnet152"} <= {
        path.stem for path in FILES
    }


@every_file
def test_is_good_without_data_and_weights(path, monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["kdsweep", "check", str(path), "--elsewhere"])
    with pytest.raises(SystemExit) as end:
        sys.exit(cli.main())
    out, err = capsys.readouterr()
    assert (err, end.value.code or 0) == ("", 0)
    assert out.startswith(f"{path}: good\n")
    assert list(tmp_path.iterdir()) == []


@every_file
def test_is_called_as_its_file(path):
    assert loaded(path.stem).spec.name == path.stem


@every_file
def test_a_grid_is_searched_whole(path):
    assert plan(loaded(path.stem)).grid_points_left_out == 0


@every_file
def test_begins_with_its_controls(path):
    roles = [start.role for start in starts(loaded(path.stem))]
    assert roles[:2] == ["control", "control"]


@every_file
def test_opens_with_a_run_card(path):
    found = card(path)
    assert "?" in found["Question"]
    assert f"kdsweep run search_spaces/{path.name}" in found["Command"]
    assert re.search(r"\b[CG]PUs?\b", found["Hardware"])
    assert re.search(r"\d+ (s|seconds|min|minutes|hours|days)\b", found["Time"])
    assert "published" in found["Published"].lower() or re.search(r"\d\d\.\d", found["Published"])


@pytest.mark.parametrize("path", PUBLISHED, ids=lambda path: path.stem)
def test_the_card_of_a_published_sweep_says_more(path):
    found = card(path)
    assert "estimate" in found["Time"]
    assert re.search(r"\bGPUs?\b", found["Hardware"])
    assert len(re.findall(r"\b\d\d\.\d+\b", found["Published"])) >= 5, "which numbers to meet?"


@every_file
def test_a_search_never_draws_a_seed(path):
    seeds = [d for d in loaded(path.stem).space.dimensions() if d.path == "seed"]
    assert seeds == [], "a search over seeds finds luck: search.replicates repeats points"


@pytest.mark.parametrize(
    ("name", "epochs", "decays", "lr", "weight_decay", "batch_size"),
    [
        ("cifar10_resnet110", 200, [80, 120, 160], 0.1, 2e-4, 128),
        ("cifar100", 240, [150, 180, 210], 0.05, 5e-4, 64),
        ("imagenet_resnet152", 100, [30, 60, 90], 0.1, 1e-4, 256),
    ],
)
def test_trains_by_the_published_schedule(name, epochs, decays, lr, weight_decay, batch_size):
    trial = loaded(name).spec.trial
    for train in [trial.train, *([trial.teacher.train] if trial.teacher.train else [])]:
        assert (train.epochs, train.lr, train.batch_size) == (epochs, lr, batch_size)
        assert [share * epochs for share in train.schedule.milestones] == pytest.approx(decays)
        assert train.schedule.factor == 0.1
        assert train.optimizer.name == "sgd"
        assert (train.optimizer.momentum, train.optimizer.weight_decay) == (0.9, weight_decay)


def test_the_response_surface_has_its_range_and_four_seeds_at_every_point():
    sweep = loaded("cifar10_resnet110")
    depths = [change["student.depth"] for change in members(sweep, "student.depth")]
    assert depths == [8, 14, 20, 32, 44, 56]
    assert sweep.spec.search.replicates == 4
    assert plan(sweep).total == 4 * (234 + 2)
    strategies = [change["strategy"] for change in members(sweep, "strategy")]
    assert {"name": "none"} in strategies
    tied = [(s["temperature"], s["alpha"]) for s in strategies if "alpha" in s]
    temperatures, alphas = ({point[axis] for point in tied} for axis in (0, 1))
    assert len(tied) == len(set(tied)) == len(temperatures) * len(alphas)
    assert (min(temperatures), max(temperatures)) == (1, 40)
    assert {1, 2, 5} < temperatures
    assert min(alphas) == 0
    # Published without the factor T^2, and with .7 on KL.
    untied = [s for s in strategies if "w_kd" in s]
    assert untied
    assert all(s["w_kd"] * s["temperature"] ** 2 == pytest.approx(0.7) for s in untied)
    assert {s["w_ce"] for s in untied} == {0.3}


def test_the_pairs_are_the_published_networks():
    sweep = loaded("cifar100")
    pairs = sweep.space.dimensions()[0].labels
    assert len(pairs) == 6
    for label, change in zip(pairs, members(sweep, "student"), strict=True):
        networks = {"teacher.model": label.split("-to-")[0], "student": label.split("-to-")[1]}
        for path, network in networks.items():
            with torch.device("meta"):
                built = catalog.model_for(Component(**change[path]), sweep.info)
            assert round(count_params(built) / 1e6, 3) == MILLIONS[network]
        assert change["train.lr"] == (0.01 if "shufflenet" in label else 0.05)


def test_the_students_of_glyphs_have_5_thousand_to_a_million_parameters():
    sweep = loaded("glyphs")
    sizes = []
    for change in members(sweep, "student"):
        with torch.device("meta"):
            built = catalog.model_for(Component(**change["student"]), sweep.info)
        sizes.append(count_params(built))
    assert (min(sizes), max(sizes)) == (5_397, 985_817)
    assert len(sizes) == 18


def test_every_strategy_that_fits_an_image_teacher_is_tried_on_glyphs():
    tried = {change["strategy"]["name"] for change in members(loaded("glyphs"), "strategy")}
    assert set(catalog.names("strategy")) - tried == {"transformer"}
    assert "transformer" in card(FOLDER / "glyphs.yaml")["Left out"]


def test_every_strategy_that_fits_the_pairs_is_tried_on_cifar100():
    tried = {change["strategy"]["name"] for change in members(loaded("cifar100"), "strategy")}
    assert set(catalog.names("strategy")) - tried == {"transformer"}
    assert "transformer" in card(FOLDER / "cifar100.yaml")["Left out"]


def test_every_distance_of_kd_is_tried_on_glyphs():
    changes = [change["strategy"] for change in members(loaded("glyphs"), "strategy")]
    tried = {each.get("distance", "kl") for each in changes if each["name"] == "kd"}
    distances = catalog.find("strategy", "kd").Params.model_fields["distance"].annotation
    assert tried == set(get_args(distances))


def probed(sweep, pair, shape):
    """The pair's two networks, and further teachers, after two images of ``shape``."""
    info = DataInfo(sweep.info.num_classes, sweep.info.class_names, shape)
    trial = at(sweep.spec, pair)
    torch.manual_seed(0)
    student = catalog.model_for(trial.student, info)
    teachers = {
        name: Source(Teacher(catalog.model_for(teacher.model, info), digest="", accuracy=0))
        for name, teacher in trial.all_teachers.items()
    }
    images = torch.randn(2, *shape)
    batch = Batch({"images": images}, torch.tensor([0, 1]), torch.tensor([0, 1]))
    found = probe(trial, student, teachers, batch, info, num_samples=50)
    return batch, found


def refusals(sweep, pair, shape):
    """The strategies that cannot be made for a pair, or whose terms are not finite."""
    batch, found = probed(sweep, pair, shape)
    seen = Seen(batch, found.student, found.teacher, found.teachers)
    wrong = {}
    for change in members(sweep, "strategy"):
        component = Component(**change["strategy"])
        for each in (component, *catalog.extras(component).values()):
            try:
                made = catalog.strategy(each, found)
            except SpecError as error:
                wrong[str(each)] = str(error)
                continue
            # What makes its own batches reads what a probe does not keep: a trial shows its terms.
            if needs_of(each).teacher and needs_of(each).data:
                terms = made.terms(seen)
                if not all(term.isfinite().all() for term in terms.values()):
                    wrong[str(each)] = f"terms: {terms}"
    return wrong


@pytest.mark.parametrize("number", range(6))
def test_every_strategy_takes_every_pair_of_cifar100(number):
    """Terms and all: `check` builds the strategies, and computes nothing."""
    sweep = loaded("cifar100")
    assert refusals(sweep, members(sweep, "student")[number], (3, 32, 32)) == {}


@pytest.mark.parametrize("number", range(2))
def test_every_strategy_takes_both_teachers_of_imagenet(number):
    sweep = loaded("imagenet_resnet152")
    assert refusals(sweep, members(sweep, "teacher")[number], (3, 64, 64)) == {}


@pytest.mark.parametrize("family", ["cnn", "resnet", "vgg", "mobilenet", "shufflenet"])
def test_every_strategy_takes_every_family_of_glyphs(family):
    sweep = loaded("glyphs")
    of_family = [c for c in members(sweep, "student") if c["student"]["name"] == family]
    assert refusals(sweep, of_family[0], (1, 32, 32)) == {}
