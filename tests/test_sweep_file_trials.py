"""Trials of a sweep: changed by path, written out whole, read again, and found in the space."""

from dataclasses import replace

import pytest

from kdsweep import catalog
from kdsweep.data.base import DataInfo
from kdsweep.errors import SpecError
from kdsweep.spec import Component, SweepSpec, TrialSpec
from kdsweep.sweep_file import at, controls, load, load_trial, resolved, to_yaml

TRIAL = TrialSpec.model_validate(
    {
        "data": "digits",
        "teacher": {"model": {"name": "cnn", "width": 8, "stages": 2}},
        "student": {"name": "cnn", "width": 4, "stages": 2},
        "strategy": {"name": "kd", "temperature": 2},
        "train": {"lr": 0.01},
    }
)


def settings(component):
    return {"name": component.name, **component.settings}


def test_at_sets_one_value_and_leaves_the_rest():
    changed = at(TRIAL, {"student.width": 16, "train.epochs": 3})
    assert settings(changed.student) == {"name": "cnn", "width": 16, "stages": 2}
    assert (changed.train.epochs, changed.train.lr) == (3, 0.01)
    assert settings(TRIAL.student)["width"] == 4
    assert changed.strategy == TRIAL.strategy


def test_at_replaces_a_mapping_as_a_whole():
    changed = at(TRIAL, {"strategy": {"name": "kd", "alpha": 0.5}})
    assert settings(changed.strategy) == {"name": "kd", "alpha": 0.5}


def test_at_reaches_into_defaults():
    changed = at(TRIAL, {"train.optimizer.weight_decay": 0.2, "train.schedule.warmup": 0.1})
    assert changed.train.optimizer.name == "adamw"
    assert changed.train.optimizer.weight_decay == 0.2
    assert changed.train.schedule.warmup == 0.1
    assert at(TRIAL, {"train.optimizer.name": "sgd"}).train.optimizer.name == "sgd"


def test_at_makes_what_is_absent():
    changed = at(TRIAL, {"strategy.extra.fitnet.weight": 0.5})
    assert catalog.extras(changed.strategy) == {"fitnet": Component(name="fitnet", weight=0.5)}
    assert "extra" not in TRIAL.strategy.settings


def test_at_does_not_change_what_it_starts_from():
    with_extra = at(TRIAL, {"strategy.extra.fitnet.weight": 0.5})
    at(with_extra, {"strategy.extra.fitnet.weight": 0.7})
    assert with_extra.strategy.settings["extra"] == {"fitnet": {"weight": 0.5}}


def test_at_takes_a_sweep():
    spec = SweepSpec(name="x", trial=TRIAL, space={})
    assert at(spec, {"seed": 3}).seed == 3


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"train.epoch": 3}, "train.epoch: unknown key 'epoch'; did you mean 'epochs'?"),
        ({"train.epochs": 0}, "train.epochs: 0 is not allowed: must be at least 1"),
        ({"train.lr.x": 0}, "train.lr.x: leads nowhere: train.lr is 0.01, with nothing below it"),
        ({"student.widht": 4}, "student.widht: unknown key 'widht'; did you mean 'width'?"),
        ({"strategy": "kdd"}, "strategy.name: no strategy named 'kdd'; did you mean 'kd'?"),
        ({"teacher": None}, "teacher: is missing, and strategy 'kd' learns from one"),
    ],
)
def test_at_refuses(changes, sentence):
    with pytest.raises(SpecError) as caught:
        at(TRIAL, changes)
    (problem,) = caught.value.problems
    assert problem.startswith(sentence)


def test_extras_leave_out_what_is_null():
    strategy = Component(name="kd", extra={"fitnet": {"weight": 1}, "attention_transfer": None})
    assert catalog.extras(strategy) == {"fitnet": Component(name="fitnet", weight=1)}
    assert catalog.extras(Component(name="kd", extra=None)) == {}
    assert catalog.params("strategy", strategy) == catalog.params("strategy", Component(name="kd"))


def test_resolved_writes_every_default():
    whole = resolved(TRIAL)
    assert whole["student"].keys() == {"name", *catalog.find("model", "cnn").Params.model_fields}
    assert whole["strategy"]["temperature"] == 2.0
    assert whole["strategy"]["alpha"] == 0.1
    assert whole["train"]["optimizer"] == {
        "name": "adamw", "beta1": 0.9, "beta2": 0.999, "weight_decay": 0.01
    }  # fmt: skip


@pytest.mark.parametrize(
    "strategy",
    [
        {"name": "none"},
        {"name": "kd"},
        {"name": "kd", "w_ce": 0.1, "w_kd": 9},
        {"name": "kd", "extra": {"fitnet": {"weight": 0.5}, "attention_transfer": None}},
        {"name": "fitnet", "raw_weight": 100},
        {"name": "none", "extra": {"attention_transfer": {}}},
    ],
)
def test_a_resolved_trial_reads_back_to_the_same(tmp_path, strategy):
    trial = at(TRIAL, {"strategy": strategy})
    path = tmp_path / "trial.yaml"
    path.write_text(to_yaml({"name": "kd w4", "trial": resolved(trial)}))
    again = load_trial(path)
    assert resolved(again) == resolved(trial)
    main, main_again = (catalog.params("strategy", t.strategy) for t in (trial, again))
    assert main == main_again
    extras, extras_again = (catalog.extras(t.strategy) for t in (trial, again))
    assert extras.keys() == extras_again.keys()
    for name, extra in extras.items():
        assert catalog.params("strategy", extra) == catalog.params("strategy", extras_again[name])


SWEEP = {
    "name": "small",
    "trial": resolved(TRIAL),
    "space": {
        "student.width": {"choice": [2, 4]},
        "train.lr": {"loguniform": [1e-3, 1e-1]},
        "strategy": {
            "choice": [
                {"name": "none"},
                {"name": "kd", "temperature": {"uniform": [1, 9]}},
                {
                    "name": "kd",
                    "temperature": {"uniform": [1, 9]},
                    "extra": {"fitnet": {"weight": {"loguniform": [0.1, 10]}}},
                },
            ]
        },
        "train.optimizer": {
            "choice": ["adamw", {"name": "sgd", "momentum": {"uniform": [0.5, 0.95]}}]
        },
    },
}


@pytest.fixture
def sweep(tmp_path):
    path = tmp_path / "sweep.yaml"
    path.write_text(to_yaml(SWEEP))
    return load(path)


def test_the_trial_of_a_sweep_file_reads_alone(sweep):
    alone = load_trial(sweep.path)
    assert alone.teacher.stored == "auto"
    assert at(alone, {"teacher.stored": sweep.spec.trial.teacher.stored}) == sweep.spec.trial


def test_every_corner_is_found_in_the_space(sweep):
    for corner in sweep.space.corners():
        located = sweep.locate(at(sweep.spec, corner.changes))
        assert located is not None
        assert located.items() >= corner.params.items()


def test_the_trial_itself_and_the_controls_are_found(sweep):
    assert sweep.locate(sweep.spec.trial) == {
        "student.width": 4,
        "train.lr": 0.01,
        "strategy": "kd#2",
        "strategy[kd#2].temperature": 2.0,
        "train.optimizer": "adamw",
    }
    found = {
        name: sweep.locate(trial) for name, trial in controls(sweep.spec.trial, sweep.info).items()
    }
    assert found["none"]["strategy"] == "none"
    assert found["kd"]["strategy[kd#2].temperature"] == 4.0


@pytest.mark.parametrize(
    "changes",
    [
        {"student.width": 8},
        {"train.lr": 0.5},
        {"strategy": {"name": "kd", "alpha": 0.7}},
        {"strategy": {"name": "kd", "temperature": 20}},
        {"strategy": {"name": "none", "extra": {"fitnet": {}}}},
        {"strategy": {"name": "kd", "extra": {"fitnet": {"weight": 1, "batch_norm": True}}}},
        {"train.optimizer": {"name": "adamw", "weight_decay": 0.5}},
    ],
)
def test_what_lies_outside_is_not_found(sweep, changes):
    assert sweep.locate(at(sweep.spec, changes)) is None


def test_controls_keep_all_but_the_strategy():
    info = DataInfo(10, tuple("0123456789"), (1, 8, 8))
    found = controls(TRIAL, info)
    assert list(found) == ["none", "kd"]
    assert settings(found["kd"].strategy) == {"name": "kd"}
    for trial in found.values():
        assert trial.model_copy(update={"strategy": TRIAL.strategy}) == TRIAL
    alone = TRIAL.model_copy(update={"teacher": None, "strategy": Component(name="none")})
    assert list(controls(alone, info)) == ["none"]
    assert controls(TRIAL, replace(info, no_training="none")) == {}


def test_a_trial_file_says_nothing_else(tmp_path):
    path = tmp_path / "trial.yaml"
    path.write_text(to_yaml({"trial": resolved(TRIAL), "nme": "x"}))
    with pytest.raises(SpecError) as caught:
        load_trial(path)
    assert list(caught.value.problems) == [
        "nme: unknown key 'nme'; did you mean 'name'? (allowed: description, name, trial)"
    ]
    path.write_text("trial: {data: digits, student: {name: cnn, stages: 5}, strategy: kdd}")
    with pytest.raises(SpecError) as caught:
        load_trial(path)
    paths = [problem.partition(": ")[0] for problem in caught.value.problems]
    assert paths == ["trial.strategy.name", "trial.student"]


def test_yaml_keeps_what_it_is_given():
    from kdsweep.sweep_file.read import parse_yaml

    data = {
        "b": 1e-05,
        "a": [1, {"x": None}],
        "t": "1e-3",
        "no": "no",
        "on": True,
        "e": {},
        "l": [],
    }
    again, problems = parse_yaml(to_yaml(data))
    assert (again, problems) == (data, [])
    assert list(again) == list(data)
