"""What a model card says of confirmations: each number with its data, and beside the teacher's."""

import pytest
from confirmed_runs import (
    TEST,
    VALIDATION,
    all_records,
    confirmation_in,
    confirms,
    record,
    sweep_in,
    teacher_record,
)
from run_records import run_meta, trial_result

from kdsweep.export.confirmed import paragraphs, said_of, trained_again
from kdsweep.export.taught import Taught, taught
from kdsweep.results.confirmations import best_first, confirmations_of
from kdsweep.results.confirms import Opening

BEFORE = (Opening(run="digits-first", when="2026-11-27T16:03:06+00:00"),)


def of(store, trial="00005", teacher=Taught()):  # noqa: B008, which is frozen
    found = best_first(confirmations_of(store))
    return trained_again(found, trial_result(5, trial_id=trial), teacher)


def text(again):
    return "\n\n".join(paragraphs(again))


def with_test(point, *accuracies):
    """The records of a point with other accuracies on test data."""
    return [
        record(point, seed, metrics={"accuracy": VALIDATION[point][seed], "params": 100.0,
                                     "test_accuracy": accuracy, "test_loss": 0.6})
        for seed, accuracy in enumerate(accuracies)
    ]  # fmt: skip


def test_student_and_teacher_stand_side_by_side_on_the_same_data(tmp_path):
    confirmation_in(tmp_path, examples={"train": 1000, "validation": 300, "test": 1300})
    (again,) = of(sweep_in(tmp_path))
    said = text(again)
    # Of seeds 0.76 and 0.78 on validation data, 0.74 and 0.78 on test data.
    assert (
        "| accuracy | student in the sweep | student, 2 fresh seeds, mean ±deviation | teacher |\n"
        "| --- | --- | --- | --- |\n"
        "| validation data | 80.00% | 77.00% ±1.41 | 95.00% |\n"
        "| test data | not measured | 76.00% ±2.83 | 94.00% |\n"
    ) in said
    assert "with 2 fresh seeds of random numbers on training data, and measured these other" in said
    assert "students on test data (1,300 samples), from which nothing was learned" in said
    assert "No run beside the sweep had opened the test data before." in said
    assert "the sweep's accuracy is 3.00 percentage points above the mean of the fresh" in said
    plain = said_of(again)
    assert plain["teacher"] == {"validation_accuracy": 0.95, "test_accuracy": 0.94}
    assert plain["sweep_validation_accuracy"] == 0.80
    assert plain["validation_accuracy"]["mean"] == pytest.approx(0.77)
    assert plain["test_accuracy"]["mean"] == pytest.approx(0.76)


def test_the_difference_to_its_own_control_is_said_with_its_interval(tmp_path):
    confirmation_in(tmp_path)
    (again,) = of(sweep_in(tmp_path))
    # Pairs 0.01 and 0.03: Student's t of one degree is 12.706, times 0.0141 / sqrt(2).
    assert (
        "differs by +2.00 percentage points (mean of 2 pairs of the same seed, 95% interval -10.71 "
        "to +14.71): the interval has zero in it, so chance cannot be excluded."
    ) in text(again)
    minus = said_of(again)["test_accuracy_minus_own_control"]
    assert minus["mean"] == pytest.approx(0.02)
    assert minus["low"] == pytest.approx(0.02 - 0.12706, abs=1e-5)
    assert minus["high"] == pytest.approx(0.02 + 0.12706, abs=1e-5)
    assert (minus["seeds"], minus["confidence"], minus["excludes_chance"]) == (2, 0.95, False)


@pytest.mark.parametrize(("student", "said"), [((0.83, 0.852), "helped"), ((0.63, 0.652), "hurt")])
def test_where_chance_is_excluded_that_is_said(tmp_path, student, said):
    # Pairs are ±0.1 with 0.002 between them: 12.706 times 0.001 is well below.
    records = [*with_test(0, *student), *with_test(3, 0.73, 0.75)]
    confirmation_in(tmp_path, [*records, *all_records()[2:6]])
    (again,) = of(sweep_in(tmp_path))
    assert f"the interval excludes zero, and so chance. Distillation {said}." in text(again)
    assert said_of(again)["test_accuracy_minus_own_control"]["excludes_chance"] is True


def test_without_an_own_control_nothing_is_said_to_have_helped(tmp_path):
    confirmation_in(tmp_path)
    (again,) = of(sweep_in(tmp_path), "00009")
    assert "Nothing says whether the teacher helped: of the same student without" in text(again)
    assert said_of(again)["test_accuracy_minus_own_control"] is None


def test_of_one_pair_nobody_can_say_and_a_failed_seed_is_counted(tmp_path):
    failed = record(0, 1, status="failed", metrics={})
    confirmation_in(tmp_path, [record(0, 0), failed, *all_records()[2:]])
    (again,) = of(sweep_in(tmp_path))
    assert "1 training with a fresh seed failed and is not in these numbers." in text(again)
    assert "(mean of 1 pair of the same seed): of one pair nobody can say" in text(again)
    assert "student, 1 fresh seed | teacher |" in text(again)
    assert said_of(again)["seeds_failed"] == 1
    assert said_of(again)["test_accuracy_minus_own_control"]["excludes_chance"] is None


def test_none_of_the_seeds_came_to_a_student(tmp_path):
    failed = [record(0, seed, status="failed", metrics={}) for seed in range(2)]
    confirmation_in(tmp_path, [*failed, *all_records()[2:]])
    (again,) = of(sweep_in(tmp_path))
    assert text(again).endswith("None of these trainings came to an accuracy on test data.")


def test_learning_from_validation_data_and_opened_test_data_are_said(tmp_path):
    records = [
        each.model_copy(update={"metrics": {k: v for k, v in each.metrics.items()
                                            if k not in ("accuracy", "loss")}})
        for each in all_records()
    ]  # fmt: skip
    given = confirms(with_validation=True, opened_before=BEFORE)
    confirmation_in(tmp_path, [*records, teacher_record()], confirms=given)
    (again,) = of(sweep_in(tmp_path))
    said = text(again)
    assert "of random numbers on training and validation data, and measured" in said
    assert "The test data have been opened before, by digits-first (2026-11-27T16:03:06" in said
    assert "No run beside" not in said
    assert "| validation data | 80.00% | none: learned from these | 95.00% |" in said
    assert "had the validation data to learn from as well, which the student in" in said
    assert said_of(again)["with_validation"] is True
    assert said_of(again)["opened_before"][0]["run"] == "digits-first"


def test_the_probability_is_explained_and_each_is_of_the_run_above_it(tmp_path):
    confirmation_in(tmp_path)
    (again,) = of(sweep_in(tmp_path))
    assert text(again).startswith("### Trained again and tested: `digits-confirm`\n")
    assert (
        "how probably it is on the front of accuracy on test data and number of parameters "
        "among the 4 students and controls (what students are compared with) of this run, by the "
    ) in text(again)
    assert f"P(front) {said_of(again)['probability_on_front']:.2f}: " in text(again)


def test_an_unfinished_confirmation_is_named_so_and_has_no_probability(tmp_path):
    confirmation_in(tmp_path, all_records()[:4], status="running")
    (again,) = of(sweep_in(tmp_path))
    assert "This confirmation is unfinished: 4 of 8 trainings have ended." in text(again)
    assert "P(front)" not in text(again)
    plain = said_of(again)
    assert (plain["finished"], plain["trainings_ended"], plain["trainings_planned"]) == (
        False, 4, 8
    )  # fmt: skip
    assert plain["probability_on_front"] is None


def test_where_a_seed_is_missing_or_it_is_no_student_nothing_is_taken(tmp_path):
    confirmation_in(tmp_path, all_records()[:3], status="running")
    store = sweep_in(tmp_path)
    assert len(of(store, "00005")) == 1
    assert of(store, "00009") == ()  # one of its two seeds
    assert of(store, "00000") == ()  # the sweep's control
    assert of(store, "00017") == ()


def test_untouched_test_data_come_first_then_the_newer_confirmation(tmp_path):
    for name, hour, before in (("a", 1, BEFORE), ("b", 3, ()), ("c", 2, ()), ("d", 4, BEFORE)):
        created = f"2026-11-21T1{hour}:00:00+00:00"
        confirmation_in(tmp_path, name=name, created=created, confirms=confirms(
            opened_before=before))  # fmt: skip
    found = of(sweep_in(tmp_path))
    assert [each.confirmation.meta.name for each in found] == ["b", "c", "d", "a"]
    assert TEST[0] == found[0].found.test.values


def test_a_student_of_another_teacher_is_not_beside_the_sweeps_own(tmp_path):
    confirmation_in(tmp_path)
    (again,) = of(sweep_in(tmp_path), teacher=Taught(is_of_sweep=False))
    assert "| test data | not measured | 76.00% ±2.83 | not known |" in text(again)
    assert said_of(again)["teacher"] == {"validation_accuracy": None, "test_accuracy": None}


def of_width(width, **more):
    teacher = {"model": {"name": "cnn", "width": width}, "weights": None, "train": {}, "seed": 0}
    return {"teacher": teacher, **more}


def test_of_several_teachers_it_is_the_one_that_the_trial_had():
    meta = run_meta(teacher={"hash": "9" * 24, "accuracy": 0.95})
    records = [
        trial_result(0, trial_id=f"teacher-{digit * 8}", role="teacher", trial=of_width(width),
                     metrics={"accuracy": accuracy})
        for digit, width, accuracy in (("8", 8, 0.91), ("9", 32, 0.95))
    ]  # fmt: skip
    assert taught(meta, records, trial_result(trial=of_width(8))) == Taught(
        {"accuracy": 0.91}, is_of_sweep=False
    )
    assert taught(meta, records, trial_result(trial=of_width(32))) == Taught({"accuracy": 0.95})
    assert taught(meta, records, trial_result(trial=of_width(64))) == Taught(is_of_sweep=False)
    additional = {"teacher": None, "teachers": {"a": of_width(8)["teacher"]}}
    assert taught(meta, records, trial_result(trial=additional)).metrics == {"accuracy": 0.91}
    # Where the run has one, it is noted there as well.
    assert taught(meta, [], trial_result()) == Taught({"accuracy": 0.95})
