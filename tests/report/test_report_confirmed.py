"""A confirmation for people: tables that fit, and sentences with their numbers."""

import pytest
from confirmed_runs import all_records, confirmation_in, confirms, record
from rich.console import Console

from kdsweep.report.answers.confirmed import told
from kdsweep.report.confirmed import confirmation_row, confirmation_view, labels
from kdsweep.report.confirmed_sentences import confirmed_words, on_distillation, sentences
from kdsweep.results.confirmation import confirmation
from kdsweep.results.confirmations import best_first
from kdsweep.results.confirms import Opening


def shown(found, width=80):
    console = Console(width=width, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(confirmation_view(found))
    return console.export_text()


def test_the_numbers_stand_side_by_side(tmp_path):
    text = shown(confirmation(confirmation_in(tmp_path)))
    assert max(map(len, text.splitlines())) <= 80
    (row,) = (line for line in text.splitlines() if line.split()[:2] == ["00005", "cnn"])
    assert row.split() == ["00005", "cnn", "w4", "kd", "100", "80.00", "77.00", "±1.41", "76.00",
                           "±2.83", "1.00"]  # fmt: skip
    # A probability is named as one, and a line says of what.
    (head,) = (line for line in text.splitlines() if line.strip().startswith("of trial  student"))
    assert head.split()[-1] == "P(front)"
    assert "P(front): how probably it is on the front of all these on test data" in text
    assert "teacher" in text
    assert "94.00" in text
    # 2 points, and half of it is 12.7062 times one point.
    assert "+2.00 [-10.71 +14.71]" in text


def test_the_sentences_say_by_how_much(tmp_path):
    said = sentences(confirmation(confirmation_in(tmp_path)))
    assert said == [
        "The sweep's accuracies were 2.50 ±0.71 points (mean and deviation of 2 students) above "
        "those of fresh seeds on the same validation data [-3.85 +8.85]: that cannot be told from "
        "chance.",
        "The sweep's accuracies were 3.00 ±1.41 points (mean and deviation of 2 students) above "
        "those on test data.",
        "So far apart are the two sets of data: with fresh seeds the controls, which nobody chose, "
        "had accuracies on validation data that were 1.00 points (of one control) below those on "
        "test data.",
        "It cannot be told whether distillation helped 00005 (+2.00 percentage points, 95% "
        "interval -10.71 to +14.71): the difference on test data to the same student trained "
        "without a teacher is within chance.",
        "Of all 3 intervals of differences 0.2 would leave zero out by chance alone, if no "
        "strategy made any difference.",
    ]


def test_what_helped_is_told_from_what_did_harm(tmp_path):
    records = all_records()
    for replicate, test in enumerate((0.60, 0.601)):  # the own control, far behind its student
        metrics = {"accuracy": 0.7, "test_accuracy": test, "params": 100.0}
        records[6 + replicate] = record(3, replicate, metrics=metrics)
    records[0] = record(0, 0, metrics={**records[0].metrics, "test_accuracy": 0.779})
    said = sentences(confirmation(confirmation_in(tmp_path, records)))
    # Both differences are 17.9 points.
    assert (
        "Distillation helped 00005 (+17.90 percentage points, 95% interval +17.90 to +17.90): so "
        "much more accurate on test data than the same student trained without a teacher."
    ) in said


def test_one_that_runs_on_says_how_far_it_is(tmp_path):
    found = confirmation(confirmation_in(tmp_path, all_records()[:3], status="running"))
    said = sentences(found)
    assert said[0] == "3 of 8 trainings have ended: these are the numbers so far."
    assert "00009" in shown(found)


def test_test_data_that_were_opened_before_are_told(tmp_path):
    before = (
        Opening(run="digits-confirm", when="2026-11-21T10:00:00+00:00"),
        Opening(run="other", when="2026-11-22T10:00:00+00:00", same_sweep=False),
    )
    found = confirmation(confirmation_in(tmp_path, confirms=confirms(opened_before=before)))
    assert sentences(found)[-1] == (
        "The test data have been opened before, by digits-confirm (2026-11-21T10:00:00+00:00), "
        "other (2026-11-22T10:00:00+00:00, another sweep on the same data): what was chosen since "
        "then may have been chosen by them, and these numbers are no longer those of untouched "
        "data."
    )


def test_scripts_get_plain_values(tmp_path):
    row = confirmation_row(confirmation(confirmation_in(tmp_path)))
    student = row["students"][0]
    assert student["swept_accuracy"] == 0.80
    assert student["test_accuracy"]["mean"] == pytest.approx(0.76)
    assert student["minus"]["own control"]["low"] == pytest.approx(0.02 - 0.127062, abs=1e-6)
    assert [each["kind"] for each in row["controls"]] == ["control", "own_control"]
    assert row["seeds"] == [7, 8]
    assert row["optimism"]["mean"] == pytest.approx(0.025)


def test_what_no_seed_has_trained_yet_is_called_by_what_it_will_be(tmp_path):
    found = confirmation(confirmation_in(tmp_path, all_records()[:4]))
    assert [labels(found, position) for position in range(4)] == [
        ("cnn w4", "kd"), ("cnn w8", "kd"), ("none w8", "(control)"),
        ("the same, not distilled", "own control of 00005"),
    ]  # fmt: skip
    (control,) = (line for line in shown(found).splitlines() if line.strip().startswith("00000"))
    assert control.split() == ["00000", "none", "w8", "(control)", "200", "70.00"]


def test_how_probably_a_student_is_on_the_front_waits_for_all_others(tmp_path):
    half = confirmation(confirmation_in(tmp_path / "half", all_records()[:7]))
    assert not half.is_whole
    assert [each.on_front for each in half.points] == [None] * 4
    assert "P(front)" not in [
        word for line in shown(half).splitlines()[3:] for word in line.split()
    ]
    whole = confirmation(confirmation_in(tmp_path / "whole"))
    assert whole.is_whole
    assert None not in [each.on_front for each in whole.points]


def test_of_several_confirmations_a_report_has_all_the_untouched_one_first(tmp_path):
    before = (Opening(run="digits-confirm", when="2026-11-24T10:00:00+00:00"),)
    runs = [
        confirmation_in(tmp_path / "0"),
        confirmation_in(
            tmp_path / "1", confirms=confirms(opened_before=before, with_validation=True)
        ),
        confirmation_in(tmp_path / "2", all_records()[:3]),
    ]
    found = list(map(confirmation, runs))
    assert best_first(found) == [found[0], found[1], found[2]]
    assert best_first(found[1:]) == [found[1], found[2]]
    told_of = told(found)
    assert len(told_of.tables) == 3
    assert told_of.sentences[0] == "digits-confirm, 2 fresh seeds:"
    assert "digits-confirm, 2 fresh seeds, trained on validation data as well:" in told_of.sentences
    assert told_of.helped == tuple(on_distillation(found[0]))
    assert "that of fresh seeds on none" in told_of.tables[1].note
    strategies = [row[2].text for row in told_of.tables[0].rows]
    assert strategies == ["kd", "kd", "none (control)", "none (own control)", ""]
    teacher = told_of.tables[0].rows[-1]
    assert [each.text for each in teacher][1:6] == ["teacher", "", "95.00%", "", "94.00%"]
    assert told([]) is None
    assert told(found[:1]).sentences == tuple(sentences(found[0]))


def test_what_is_known_of_one_student(tmp_path):
    whole = confirmation(confirmation_in(tmp_path / "0"))
    half = confirmation(confirmation_in(tmp_path / "1", all_records()[2:3], name="half"))
    assert confirmed_words([whole, half], ["00005"]) == [
        "digits-confirm: 76.00% ±2.83 on test data over 2 seeds, P(front) 1.00; minus the same "
        "student without a teacher +2.00 percentage points, 95% interval -10.71 to +14.71",
        "half: no training of it has ended yet",
    ]
    assert confirmed_words([half], ["00009"]) == ["half: 86.00% on test data over 1 seed"]
    assert confirmed_words([whole], ["00000"]) == [], "a control was not chosen there"
