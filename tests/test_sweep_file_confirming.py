"""The points of a confirmation, from the records of a sweep."""

import pytest
from run_records import trial_result

from kdsweep.errors import SpecError
from kdsweep.results.record import TrialResult
from kdsweep.sweep_file import at, load, load_trial, resolved, to_yaml
from kdsweep.sweep_file.confirming import points_to_confirm, refuse_validation, trial_of

SWEEP = """
name: small
trial:
  data: {name: digits}
  teacher: {model: {name: cnn, width: 4, stages: 2, hidden: 12}, train: {epochs: 1}}
  student: {name: cnn, width: 4, stages: 2, hidden: 12}
  strategy: {name: kd, temperature: 2.0, alpha: 0.5}
  train: {epochs: 2}
space:
  student.width: {choice: [2, 4]}
  train.lr: {loguniform: [1.0e-3, 1.0e-2]}
  strategy.temperature: {uniform: [1, 9]}
  strategy.extra.fitnet.weight: {uniform: [0.1, 1]}
search: {trials: 2}
"""
LR = {"train.lr": 2.0e-3}


@pytest.fixture
def sweep(tmp_path):
    path = tmp_path / "small.yaml"
    path.write_text(SWEEP)
    return load(path)


def result(sweep, number, changes, **more) -> TrialResult:
    trial = resolved(at(sweep.spec.trial, changes))
    given = {"trial": trial, "changes": changes, "params": dict(changes)}
    return trial_result(number, trial_id=f"{number:05d}", **{**given, **more})


def controls(sweep):
    return [
        result(sweep, number, {"strategy": {"name": name}}, role="control")
        for number, name in enumerate(("none", "kd"))
    ]


def student(sweep, number, width, **changes):
    drawn = {"student.width": width, **LR, "strategy.temperature": 3.0,
             "strategy.extra.fitnet.weight": 0.5, **changes}  # fmt: skip
    return result(sweep, number, drawn)


def test_each_student_has_the_control_of_its_size_and_training(sweep):
    students = [student(sweep, 7, 2), student(sweep, 9, 4, seed=3)]
    points, of_sweep = points_to_confirm(sweep, students, controls(sweep), own_controls=True)
    assert [p.kind for p in points] == [
        "student", "student", "control", "control", "own_control", "own_control",
    ]  # fmt: skip
    assert of_sweep == {"none": 2, "kd": 3}
    assert [p.own_control for p in points] == [4, 5, None, None, None, None]
    own, base = trial_of(sweep, points[4]), trial_of(sweep, points[0])
    assert own.strategy.model_dump() == {"name": "none"}
    assert (own.student, own.train, own.data) == (base.student, base.train, base.data)
    assert points[0].trial_ids == ("00007",)
    assert points[0].metrics == students[0].metrics
    # The seed is the confirmation's to choose.
    assert "seed" not in points[1].changes
    assert "seed" not in points[1].params


def test_two_students_of_a_kind_share_their_control(sweep):
    students = [student(sweep, 7, 2), student(sweep, 8, 2, **{"strategy.temperature": 5.0})]
    points, _ = points_to_confirm(sweep, students, [], own_controls=True)
    assert [p.own_control for p in points] == [2, 2, None]


def test_the_sweeps_control_serves_where_it_is_the_same(sweep):
    same = result(sweep, 7, {"strategy.temperature": 3.0})
    points, of_sweep = points_to_confirm(sweep, [same], controls(sweep), own_controls=True)
    assert points[0].own_control == of_sweep["none"] == 1
    assert len(points) == 3


def test_a_control_on_the_front_is_confirmed_once(sweep):
    both = controls(sweep)
    points, of_sweep = points_to_confirm(sweep, both[:1], both, own_controls=True)
    assert [p.kind for p in points] == ["student", "control"]
    assert of_sweep == {"none": 0, "kd": 1}
    assert points[0].own_control is None


def test_without_own_controls_there_are_the_sweeps(sweep):
    students = [student(sweep, 7, 2)]
    points, _ = points_to_confirm(sweep, students, controls(sweep), own_controls=False)
    assert [p.kind for p in points] == ["student", "control", "control"]


def test_students_without_training_data_have_no_use_for_validation_data(sweep):
    changes = {"strategy": {"name": "data_free"}}
    points, _ = points_to_confirm(sweep, [result(sweep, 7, changes, name="free")], [],
                                  own_controls=False)  # fmt: skip
    with pytest.raises(SpecError, match="--with-validation: free: learns from no training data"):
        refuse_validation(sweep, points)
    points, _ = points_to_confirm(sweep, [student(sweep, 7, 2)], [], own_controls=False)
    refuse_validation(sweep, points)


@pytest.mark.parametrize(
    "change",
    [
        ("  train: {epochs: 2}\n", "  train: {epochs: 2}\n  with_validation: true\n"),
        ("space:\n", "space:\n  with_validation: {choice: [true, false]}\n"),
    ],
)
def test_a_sweep_does_not_learn_from_what_it_chooses_by(tmp_path, change):
    path = tmp_path / "small.yaml"
    path.write_text(SWEEP.replace(*change))
    with pytest.raises(SpecError, match="a sweep chooses its students on the validation data"):
        load(path)


def test_a_trial_file_may_and_says_so(sweep, tmp_path):
    trial = at(sweep.spec.trial, {"with_validation": True})
    assert resolved(trial)["with_validation"] is True
    assert "with_validation" not in resolved(sweep.spec.trial)
    path = tmp_path / "trial.yaml"
    path.write_text(to_yaml({"trial": resolved(trial)}))
    assert load_trial(path).with_validation
    free = at(trial, {"strategy": {"name": "data_free"}})
    path.write_text(to_yaml({"trial": resolved(free)}))
    with pytest.raises(SpecError, match="with_validation: true does nothing for the strategy"):
        load_trial(path)
