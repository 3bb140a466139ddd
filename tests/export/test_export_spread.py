"""What a model card says of chance: replicates, and confirmations with fresh seeds."""

import json

import pytest
from confirmed_runs import SWEEP_ID, confirmation_in, confirms, teacher_record
from kept_students import AT_ONCE, TRIAL, kept
from run_records import run_meta, trial_result

from kdsweep.errors import ResultError
from kdsweep.export.folder import Asked, export_student
from kdsweep.results.called import point_of, trial_called
from kdsweep.results.replicates import by_point
from kdsweep.train.weights import save_weights


def asked(**more):
    return Asked(formats=("pt2",), patience=AT_ONCE, **more)


def card_and_text(made):
    text = (made.folder / "README.md").read_text()
    return json.loads((made.folder / "card.json").read_text()), text


@pytest.fixture
def replicated(tmp_path):
    """Three trials of one point, of accuracies 0.90, 0.92 and 0.97; the weights are the same."""
    store, first, network = kept(tmp_path, replicates=3)
    results = [first]
    for replicate, accuracy in ((1, 0.92), (2, 0.97)):
        result = trial_result(
            replicate, point=0, replicate=replicate, replicates=3, trial=first.trial,
            metrics={"accuracy": accuracy, "params": 100.0},
            weights=store.weights_name(f"t000{replicate}"),
        )  # fmt: skip
        store.write(result)
        save_weights(network, store.weights_of(result.trial_id))
        results.append(result)
    return store, results


def test_a_point_is_exported_with_the_spread_of_its_replicates(replicated):
    store, results = replicated
    (point,) = by_point(results)
    card, text = card_and_text(export_student(store, point, asked()))
    # Their mean is 0.93, the squares of what they are off by 0.0009 + 0.0001 + 0.0016.
    said = card["metrics"]["accuracy"]
    assert said["value"] == pytest.approx(0.93)
    assert said["deviation"] == pytest.approx((0.0026 / 2) ** 0.5)
    assert said["trials"] == 3
    assert card["trial"]["trial_id"] == "t0001"  # of median accuracy
    assert "| accuracy on validation data | 93.00% ±3.61 |" in text
    assert "Mean and standard deviation of 3 trainings with other seeds" in text


def test_one_of_several_replicates_says_what_the_others_are(replicated):
    store, results = replicated
    result = trial_called(results, "2")
    made = export_student(store, result, asked(point=point_of(results, result)))
    card, text = card_and_text(made)
    assert card["metrics"]["accuracy"] == {
        "value": 0.97, "deviation": None, "split": "validation", "trials": 1
    }  # fmt: skip
    assert card["point"]["accuracy"]["value"] == pytest.approx(0.93)
    assert (
        "one of 3 trainings of the same settings with other seeds; of all of them the accuracy on "
        "validation data is 93.00% ±3.61."
    ) in text


def kept_as(root, trial_id, trial=TRIAL, *, meta=None, **more):
    """A sweep with one trial of this id, whose weights are kept."""
    meta = meta or run_meta("digits", sweep_id=SWEEP_ID, status="complete", teacher=TEACHER)
    store, result, _ = kept(root, trial, meta=meta)
    called = trial_result(0, trial_id=trial_id, trial=result.trial, weights=result.weights, **more)
    store.write(called)
    (store.directory / "trials/t0000/student.safetensors").rename(store.weights_of(trial_id))
    return store, called


TEACHER = {"hash": "9" * 24, "accuracy": 0.95, "loss": 0.25, "params": 1000}
WITH_TEACHER = {
    **TRIAL,
    "teacher": {"model": {"name": "cnn", "width": 4}},
    "strategy": {"name": "kd", "temperature": 2.680936, "extra": {"attention_transfer": {}}},
}


def test_what_a_confirmation_found_stands_in_place_of_the_general_sentence(tmp_path):
    store, confirmed = kept_as(tmp_path, "00009")
    confirmation_in(tmp_path)
    card, text = card_and_text(export_student(store, confirmed, asked()))
    (said,) = card["confirmed"]
    # Of two seeds 0.86 and 0.90 on test data; the sweep had found 0.90 on validation.
    assert said["run"] == "digits-confirm"
    assert said["test_accuracy"]["mean"] == pytest.approx(0.88)
    assert said["test_accuracy"]["deviation"] == pytest.approx(0.0008**0.5)
    assert said["test_accuracy"]["seeds"] == 2
    assert said["optimism"] == pytest.approx(0.02)
    assert said["optimism_on_test"] == pytest.approx(0.02)
    assert "### Trained again and tested: `digits-confirm`" in text
    assert "| test data | not measured | 88.00% ±2.83 | 94.00% |" in text
    assert "on new data" not in text


def test_without_a_confirmation_nothing_is_compared_across_data(tmp_path):
    store, result = kept_as(tmp_path, "00017", WITH_TEACHER)
    card, text = card_and_text(export_student(store, result, asked()))
    assert card["confirmed"] == []
    assert card["teacher"]["teacher"]["validation_accuracy"] == 0.95
    assert card["teacher"]["teacher"]["test_accuracy"] is None
    assert "|  | student | teacher |" in text
    assert "| accuracy on validation data | 90.00% | 95.00% |" in text
    assert "on new data they are likely a little worse" in text
    assert "has ended, so nothing here was measured on test data" in text


def test_the_whole_strategy_is_said_everywhere(tmp_path):
    store, result = kept_as(tmp_path, "00017", WITH_TEACHER)
    card, text = card_and_text(export_student(store, result, asked()))
    assert card["trial"]["strategy_label"] == "kd+attention_transfer"
    assert "distilled by `kd+attention_transfer` from the teacher cnn" in text
    assert "| strategy | `kd+attention_transfer` (temperature 2.681, " in text
    assert "attention_transfer.layers auto" in text
    assert "`kd`" not in text
    assert " null" not in text


def test_a_student_of_a_confirmation_is_beside_the_teacher_on_test_data(tmp_path):
    meta = run_meta("again", confirms=confirms(with_validation=True), teacher=TEACHER)
    metrics = {"params": 100.0, "test_accuracy": 0.9}
    trial = {**WITH_TEACHER, "with_validation": True}
    store, result = kept_as(tmp_path, "00003", trial, meta=meta, metrics=metrics)
    store.write(teacher_record())
    card, text = card_and_text(export_student(store, result, asked()))
    assert "| accuracy on test data | 90.00% | 94.00% |" in text
    assert "accuracy on validation data |" not in text
    assert "Trained with a fresh seed on training and validation data, to confirm" in text
    assert "On the 359 validation samples, from which it has learned, the student in" in text
    assert "Trial 0 of `again`, in which kdsweep trained students of the sweep `digits`" in text
    assert card["teacher"]["teacher"]["test_accuracy"] == 0.94
    assert card["checked"]["learned_from_it"] is True


def test_a_trial_is_called_by_its_id_or_number(replicated):
    _, results = replicated
    teacher = trial_result(7, trial_id="teacher-1", role="teacher")
    every = [*results, teacher]
    assert trial_called(every, "t0001") == results[1]
    assert trial_called(every, "2") == results[2]
    assert trial_called(every, "teacher-1") == teacher
    with pytest.raises(ResultError, match=r"no trial has the number 7 \(numbers go up to 2; "):
        trial_called(every, "7")
    with pytest.raises(ResultError, match="no trial named 't001'; did you mean 't0001'"):
        trial_called(every, "t001")
    with pytest.raises(ResultError, match=r"no trial has the number 0 \(there is none yet; "):
        trial_called([], "0")
