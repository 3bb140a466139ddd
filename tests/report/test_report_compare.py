import io
import json

from rich.console import Console
from run_records import run_meta, trial_result

from kdsweep.report.comparable import differing, doubts, examples_of, warm_started
from kdsweep.report.compare_view import (
    band_noise_words,
    band_table,
    comparison_row,
    differing_lines,
    joint_table,
    plot,
    reference_words,
    run_lines,
    volume_table,
)
from kdsweep.results.compare import Compared, compare

DATA = {"name": "digits", "validation": 0.2, "test": 0.2, "split_seed": 0}


def student(number, accuracy, params, **data):
    return trial_result(
        number, metrics={"accuracy": accuracy, "params": params}, epochs=(),
        trial={"student": {"name": "cnn", "width": 2}, "strategy": {"name": "kd"},
               "data": {**DATA, **data}},
    )  # fmt: skip


def run(*students, **meta):
    return Compared(run_meta(**{"data_fingerprint": "a" * 64, **meta}), students)


ONE = run(student(0, 0.5, 100), student(1, 1.0, 10_000), status="complete")
TWO = run(student(0, 0.9, 1_000), student(1, 0.5, 100), status="complete")
FOUND = compare([ONE, TWO])


def printed(table):
    console = Console(file=io.StringIO(), width=80)
    console.print(table)
    return [line.split() for line in console.file.getvalue().splitlines() if line.strip()]


def test_runs_that_are_comparable_leave_no_doubt():
    assert doubts([ONE, TWO]) == []


def test_of_validation_examples_a_few_trials_show_a_divisor():
    # Halves and tenths are shares of ten; halves and thirds of one number only of six.
    assert examples_of([ONE, TWO]) == 10
    assert examples_of([ONE, run(student(0, 1 / 3, 100))]) is None
    assert examples_of([run(), run()]) is None


def test_every_doubt_by_its_sentence():
    other = run(
        student(0, 1 / 3, 100, validation=0.1), data_fingerprint="b" * 64, replicates=2,
        objectives={"accuracy": "max", "macs": "min"}, constraints={"macs": {"max": 5.0}},
        status="running",
    )  # fmt: skip
    assert doubts([ONE, other]) == [
        "the data or their settings are not the same, and accuracies on different examples cannot "
        "be compared: A aaaaaaaa, B bbbbbbbb",
        "the validation split is not the same: "
        "A name=digits validation=0.2 test=0.2 split_seed=0, "
        "B name=digits validation=0.1 test=0.2 split_seed=0",
        "they have other numbers of validation examples: A 2, B 3",
        "the objectives are not the same: A accuracy=max params=min, B accuracy=max macs=min",
        "the constraints are not the same: A none, B macs.max=5.0",
        "points have other numbers of trials: A 1, B 2; "
        "the best of single ones is luckier than the best of means",
        "B had not ended when this was read",
    ]
    unknown = run(data_fingerprint=None, status="complete")
    assert doubts([ONE, unknown]) == ["not all runs know their data: they may be others"]


def test_what_sweep_files_say_differently():
    one = {"name": "a", "trial": {"train": {"lr": 0.1}}, "search": {"trials": 40, "seed": 0}}
    two = {"name": "b", "trial": {"train": {"lr": 0.2}}, "search": {"trials": 40},
           "space": {"student.width": {"choice": [2, 4]}}}  # fmt: skip
    found = differing([one, two])
    assert found == {
        "trial.train.lr": [0.1, 0.2],
        "search.seed": [0, None],
        "space.student.width.choice": [None, "[2, 4]"],
    }
    assert differing_lines(found)[3:6] == ["search.seed", "  A  0", "  B  not given"]
    assert differing([one, one]) == {}
    long = differing_lines({"space": ["x" * 61, "y"]})
    assert long[1] == "  A  " + "x" * 57 + "..."


def test_tables_have_a_line_or_a_column_for_each_run():
    # As worked in tests/results: the box is 2.2 by 0.55.
    rows = printed(volume_table(FOUND))[2:]
    assert rows[0] == ["A", f"{0.21 / 1.21:.4f}", "2", "2", "100.00%"]
    assert rows[1] == ["B", f"{(0.11 + 1.2 * 0.4) / 1.21:.4f}", "2", "2", "90.00%"]
    assert rows[2] == ["joint", f"{0.61 / 1.21:.4f}", "3", "3"]
    assert printed(joint_table(FOUND))[2:] == [
        ["100", "50.00%", "A", "B", "cnn", "w2,", "kd", "t0000"],
        ["1,000", "90.00%", "B", "cnn", "w2,", "kd", "t0000"],
        ["10,000", "100.00%", "A", "cnn", "w2,", "kd", "t0001"],
    ]
    assert printed(band_table(FOUND))[2:] == [
        ["64", "to", "127", "50.00%*", "50.00%*"],
        ["512", "to", "1,023", "-", "90.00%*"],
        ["8,192", "to", "16,383", "100.00%*", "-"],
    ]
    assert reference_words(FOUND).endswith("the reference, params 15,849 and accuracy 45.00%")
    assert run_lines([ONE], ["runs/digits"]) == [
        "A  runs/digits: complete, 2 trials, 0s, 0 epochs of students"
    ]


def test_the_plot_has_a_letter_for_each_run_and_a_mark_for_both():
    lines = plot(FOUND, width=37, height=10).splitlines()
    assert lines[1] == "  100 │                             A"
    assert lines[2] == "      │              B" or lines[2] == "      │               B"
    assert lines[6] == "   50 │#"
    assert lines[-1].endswith("the fronts of A B, # of several")


def test_bands_that_chance_decides_are_counted():
    # One success of ten more or less is within chance, 0.5 against 1 of a million is not.
    near = compare([run(student(0, 0.8, 100)), run(student(0, 0.9, 100))])
    assert band_noise_words(near, 10) == (
        "noise: in 1 of the 1 sizes that more than one run has, the best two differ by no more "
        "than chance may do"
    )
    assert band_noise_words(near, 1_000_000) is None
    assert band_noise_words(near, None) is None


def test_the_row_is_plain_data():
    row = comparison_row(
        [ONE, TWO], ["a", "b"], FOUND,
        doubts=["d"], copies=["c"], differences={"p": [1, None]},
    )  # fmt: skip
    again = json.loads(json.dumps(row, allow_nan=False))
    assert [each["run"] for each in again["runs"]] == ["a", "b"]
    assert [each["runs"] for each in again["joint"]] == [[0, 1], [1], [0]]
    assert again["bands"][1]["best"] == [
        None, {"trial_id": "t0000", "params": 1000.0, "accuracy": 0.9}
    ]  # fmt: skip
    assert (again["doubts"], again["copies"], again["differences"]) == (
        ["d"],
        ["c"],
        {"p": [1, None]},
    )
    assert len(again["runs"][0]["front"]) == 2


def test_a_long_value_is_shown_where_it_differs():
    same = "name: none, " * 10
    lines = differing_lines({"space": [f"{same}alpha: 0.5", f"{same}alpha: 0.9"]})
    # Sixteen characters before the first that differs, which is the last but none.
    assert lines == ["space", "  A  ...none, alpha: 0.5", "  B  ...none, alpha: 0.9"]


def test_a_run_that_began_with_the_results_of_another_is_named():
    warm = {"search": {"warm_start": ["runs/digits", "runs/other"]}}
    (said,) = warm_started([{"search": {}}, warm, {"search": "?"}, {}])
    assert said.startswith("B began with what runs/digits, runs/other had shown")
