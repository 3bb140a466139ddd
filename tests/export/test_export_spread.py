"""What a model card says of chance: replicates, and confirmations with fresh seeds."""

import json

import pytest
from confirmed_runs import SWEEP_ID, confirmation_in
from kept_students import AT_ONCE, kept
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
    assert "| accuracy | 0.93 ± 0.03606 |" in text
    assert "Mean and standard deviation of 3 trainings with other seeds" in text


def test_one_of_several_replicates_says_what_the_others_are(replicated):
    store, results = replicated
    result = trial_called(results, "2")
    made = export_student(store, result, asked(point=point_of(results, result)))
    card, text = card_and_text(made)
    assert card["metrics"]["accuracy"] == {"value": 0.97, "deviation": None, "trials": 1}
    assert card["point"]["accuracy"]["value"] == pytest.approx(0.93)
    assert "one of 3 trainings of the same settings with other seeds; of all of them the" in text
    assert "accuracy is 0.93 ± 0.03606." in text


def test_what_a_confirmation_found_is_in_the_card(tmp_path):
    meta = run_meta("digits", sweep_id=SWEEP_ID, status="complete")
    store, result, _ = kept(tmp_path, meta=meta)
    confirmed = trial_result(0, trial_id="00009", trial=result.trial, weights=result.weights)
    store.write(confirmed)
    (store.directory / "trials/t0000/student.safetensors").rename(store.weights_of("00009"))
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
    assert (
        "Confirmed in the run `digits-confirm`: trained again with 2 fresh seeds its accuracy on "
        "test data is 0.8800 ± 0.0283; on the validation data it is 0.8800, and the sweep's own "
        "accuracy there 0.0200 above that."
    ) in text


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
