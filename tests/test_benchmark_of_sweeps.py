"""What benchmarks/sweep.py says of its runs, and that its other sides train what the file says."""

import json
import math
import sys
from importlib import import_module
from pathlib import Path

import pytest

from kdsweep.sweep_file import at, load

FOLDER = Path(__file__).parent.parent / "benchmarks"


@pytest.fixture(scope="module", autouse=True)
def _from_the_folder_of_the_scripts():
    sys.path.insert(0, str(FOLDER))
    yield
    sys.path.remove(str(FOLDER))


@pytest.fixture
def curves():
    return import_module("hypervolume_curves")


@pytest.fixture
def plain():
    return import_module("plain_training")


def event(at_s, accuracy, params, **more):
    metrics = {"accuracy": accuracy, "params": params}
    return {"at": at_s, "what": "ended", "metrics": metrics, **more}


def test_a_trial_counts_from_the_command_and_within_the_limit(curves):
    events = [
        event(107.0, 0.9, 100, status="complete"),
        event(103.0, 0.8, 10),
        event(104.0, None, 10, status="failed"),
        {"at": 101.0, "what": "phase", "text": "starting Ray"},
        event(111.0, 0.99, 10),
    ]
    found = curves.trials_of(events, began=100.0, limit_s=10.0)
    assert [(trial.s, trial.accuracy) for trial in found] == [(3.0, 0.8), (7.0, 0.9)]


def test_the_curve_by_hand(curves):
    # Sizes 10 and 100 are two decades and one below 1,000, which itself adds nothing.
    trials = [
        curves.Trial(1.0, 0.5, 100),
        curves.Trial(2.0, 0.9, 1000),
        curves.Trial(3.0, 0.25, 10),
        curves.Trial(4.0, 0.4, 100),
    ]
    found = curves.curve(trials, largest=1000)
    assert [s for s, _ in found] == [1.0, 2.0, 3.0, 4.0]
    assert [v for _, v in found] == pytest.approx([0.5, 0.5, 0.75, 0.75])


def test_the_ratio_is_to_the_faster_of_the_others(curves):
    found = curves.compare(
        {
            "kdsweep": [(1.0, 0.5), (2.0, 1.0), (9.0, 1.5)],
            "slow": [(50.0, 0.5), (100.0, 1.0)],
            "fast": [(10.0, 0.9), (20.0, 1.0), (40.0, 1.2)],
        }
    )
    assert found["slow"]["final"] == 1.0
    assert found["slow"]["ratio_100%"] == pytest.approx(2 / 100)
    assert found["fast"]["theirs_100%"] == 40.0
    assert found["fast"]["ours_100%"] == 9.0
    # What both have in the end is 1.0: the fast one had it first.
    assert found["faster"] == found["fast"]
    assert found["fast"]["theirs_95%"] == 40.0
    assert found["slow"]["ours_95%"] == 2.0


def test_what_was_never_reached_is_infinite_and_so_is_its_median(curves):
    never = curves.compare({"kdsweep": [(1.0, 0.5)], "other": [(2.0, 0.6)]})["other"]
    assert never["ours_100%"] == math.inf
    once = curves.compare({"kdsweep": [(1.0, 0.5)], "other": [(2.0, 0.5)]})["other"]
    assert curves.middle([never, once, never])["ratio_100%"] == math.inf
    assert curves.middle([once, never, once])["ratio_100%"] == 0.5


def test_two_runs_that_were_asked_for_in_another_way_are_not_taken_for_each_other():
    sweep = import_module("sweep")
    run = {"data": "digits", "seed": 0, "side": "optuna", "num_trials": None, "limit_s": 600.0,
           "epochs": None, "times": 3}  # fmt: skip
    assert sweep.key(run) == sweep.key({**run, "trials": []})
    assert len({sweep.key({**run, name: 1}) for name in run} | {sweep.key(run)}) == 8


def test_what_is_on_file_is_not_measured_again(tmp_path, monkeypatch):
    sweep = import_module("sweep")
    monkeypatch.setattr(sweep, "_render", lambda data: None)
    measured = []

    def measure_one(wanted, place):
        measured.append((wanted["seed"], wanted["side"]))
        return wanted

    monkeypatch.setattr(sweep, "measure_one", measure_one)
    out = tmp_path / "runs.jsonl"

    def asked(*more):
        given = ["sweep.py", "--data", "digits", "--out", str(out), *more]
        monkeypatch.setattr(sys, "argv", given)
        return sweep.measured(sweep.options())

    assert len(asked("--seeds", "0", "1")) == 6
    # Sides take turns, every other seed backwards.
    sides = ["kdsweep", "optuna", "documented"]
    assert measured == [(0, side) for side in sides] + [(1, side) for side in reversed(sides)]
    assert len(asked("--seeds", "0", "1", "2")) == 9
    assert measured[6:] == [(2, side) for side in sides]
    assert len(out.read_text().splitlines()) == 9
    assert json.loads(out.read_text().splitlines()[0])["side"] == "kdsweep"


def test_only_kdsweep_is_given_more_trials_and_all_sides_the_same_epochs(tmp_path):
    sweep = import_module("sweep")
    wanted = {"data": "digits", "seed": 3, "num_trials": 5, "epochs": 60, "times": 3}
    for side, trials in (("kdsweep", 15), ("optuna", 5), ("documented", 5)):
        times = wanted["times"] if side == "kdsweep" else 1
        path, planned = sweep._sweep_file({**wanted, "side": side, "times": times}, tmp_path)
        spec = load(path).spec
        assert (spec.search.trials, planned) == (trials, trials + 2)
        assert spec.trial.train.epochs == 60
        assert spec.search.seed == spec.trial.seed == 3


@pytest.mark.parametrize("name", ["digits", "glyphs"])
def test_the_plain_loop_has_everything_that_the_sweep_searches(plain, name):
    sweep = load(import_module("sweep").FILES[name])
    for corner in sweep.space.corners():
        plain.check_plain(at(sweep.spec.trial, corner.changes))


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"strategy": {"name": "kd", "distance": "mse"}}, "no kd with distance"),
        ({"strategy": {"name": "dkd"}}, "no dkd"),
        ({"strategy": {"name": "kd", "extra": {"pkt": {"weight": 1.0}}}}, "no pkt with weight"),
        ({"train.schedule": "constant"}, "no other recipe"),
    ],
)
def test_the_plain_loop_refuses_what_it_does_not_have(plain, changes, why):
    trial = load(FOLDER / "glyphs.yaml").spec.trial
    with pytest.raises(SystemExit, match=why):
        plain.check_plain(at(trial, changes))


@pytest.fixture(scope="module")
def small():
    return load(FOLDER.parent / "search_spaces" / "digits.yaml").spec.trial


def test_the_plain_loop_learns_and_its_terms_count(plain, small, tmp_path):
    trial = at(small, {"teacher.train.epochs": 4, "train.epochs": 15, "data.limit": 512})
    data = plain.load(trial)
    assert (len(data.train), len(data.validation)) == (512, 359)
    plain.train_teacher(trial, data, tmp_path / "teacher.pt")
    teacher = plain.load_teacher(trial, data, tmp_path / "teacher.pt")
    assert not any(parameter.requires_grad for parameter in teacher.parameters())
    before = {name: value.clone() for name, value in teacher.state_dict().items()}
    extra = {"fitnet": {"weight": 2.0}, "attention_transfer": {"weight": 0.5}}
    strategy = {"name": "kd", "temperature": 2.0, "alpha": 0.25, "extra": extra}
    with_terms = at(trial, {"strategy": strategy})
    accuracy, params = plain.train_student(with_terms, data, teacher)
    assert accuracy > 0.4  # of ten classes
    assert params == 6058
    assert all(value.equal(before[name]) for name, value in teacher.state_dict().items())


def test_the_first_step_of_the_plain_loop_by_hand(plain, small):
    import torch
    from torch.nn import functional as F

    from kdsweep import catalog

    strategy = {
        "name": "kd",
        "temperature": 2.0,
        "alpha": 0.25,
        "extra": {"fitnet": {"weight": 2.0}},
    }
    trial = at(small, {"strategy": strategy})
    data = plain.load(trial)
    student = catalog.model_for(trial.student, data.info)
    teacher = catalog.model_for(trial.teacher.model, data.info).eval()
    loss = plain.Distillation(trial, student, teacher, data)
    images, labels = data.train.images[:8], data.train.labels[:8]
    logits = student(images)
    found = loss(logits, labels, images)
    p, log_q = F.softmax(teacher(images) / 2, 1), F.log_softmax(logits / 2, 1)
    soft = 4 * (p * (p.log() - log_q)).sum(1).mean()
    # A weight of 2 is, at first, twice the loss on the labels.
    expected = 0.75 * soft + 2.0 * F.cross_entropy(logits, labels)
    torch.testing.assert_close(found, expected)
    assert loss.alpha == 0.25
